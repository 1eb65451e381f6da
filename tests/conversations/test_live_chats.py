"""What Redis shows of live chats, on a real Valkey."""

from uuid import uuid4

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from redis.exceptions import RedisError

from kefu.conversations.live import LiveChats, key_of
from kefu.conversations.parties import AgentSeat
from kefu.storage.redis import open_redis
from tests.conversations.cast import after, opening


async def shown(redis: "Redis", chat_id: object) -> dict[str, str]:
    found = await redis.hgetall(f"chat:{chat_id}")
    return {name.decode(): value.decode() for name, value in found.items()}


async def test_a_live_chat_is_shown_as_it_is_last(redis: "Redis") -> None:
    live, chat = LiveChats(redis, 60), after(opening())
    live.note(chat)
    live.note(replace(chat, seq=3))
    await live.flush()
    seen = await shown(redis, chat.chat_id)
    assert (seen["status"], seen["last_seq"], seen["agent_name"]) == ("bot", "3", "")
    assert 0 < await redis.ttl(key_of(chat.chat_id)) <= 60

    taken = replace(chat, phase="manual_live", agent=AgentSeat(uuid4(), "林"), seq=4)
    live.note(taken)
    await live.flush()
    seen = await shown(redis, chat.chat_id)
    assert (seen["status"], seen["agent_name"], seen["last_seq"]) == ("active", "林", "4")


async def test_a_chat_that_ended_is_no_longer_live(redis: "Redis") -> None:
    live, chat = LiveChats(redis, 60), after(opening())
    live.note(chat)
    await live.flush()
    live.note(replace(chat, phase="closed"))
    await live.flush()
    assert await shown(redis, chat.chat_id) == {}


async def test_a_redis_that_is_away_is_said_and_holds_up_nobody() -> None:
    async with open_redis("redis://127.0.0.1:1/0") as nowhere:
        live = LiveChats(nowhere, 60)
        live.note(after(opening()))
        with pytest.raises((OSError, RedisError)):
            await live.flush()
        await live.flush()  # nothing is kept for later: the next change writes all of it
