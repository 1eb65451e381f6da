"""Sessions in Redis, as other programs read them there."""

from uuid import UUID

import msgspec
from redis.asyncio import Redis

from kefu.conversations.chat import Chat
from kefu.conversations.parties import AgentSeat, Customer
from kefu.conversations.sessions.mirror import SessionMirror
from tests.fakes.clock import HandClock

CUSTOMER = Customer(UUID(int=1), "s-1", name="王小明", email="a@b.example", is_vip=True)
CHAT = Chat(UUID(int=9), CUSTOMER, "bot_active", opened_at=1000.0, began_with_bot=True, seq=2)
KE = AgentSeat(UUID(int=5), "小可")


async def read(redis: "Redis", name: str) -> dict[str, object]:
    text = await redis.get(f"session:{name}")
    found: dict[str, object] = msgspec.json.decode(text)
    return found


async def test_a_session_is_json_under_its_name_and_expires(redis: "Redis") -> None:
    clock = HandClock()
    mirror = SessionMirror(redis, clock, expire_s=500)
    mirror.note(CHAT)
    await mirror.flush()
    value = await read(redis, "s-1")
    assert set(value) == {
        "session_id",
        "user_id",
        "agent_type",
        "metadata",
        "context",
        "created_at",
        "updated_at",
    }
    assert (value["session_id"], value["user_id"], value["agent_type"]) == ("s-1", "s-1", "ai")
    assert (value["created_at"], value["updated_at"]) == (1000.0, clock.now().timestamp())
    assert 0 < await redis.ttl("session:s-1") <= 500
    assert "小明" not in str(value)
    assert "a@b" not in str(value)


async def test_the_newest_state_is_the_one_that_is_written(redis: "Redis") -> None:
    mirror = SessionMirror(redis, HandClock(), expire_s=500)
    mirror.note(CHAT)
    mirror.note(msgspec.structs.replace(CHAT, phase="manual_live", agent=KE, seq=5))
    await mirror.flush()
    value = await read(redis, "s-1")
    assert value["agent_type"] == "human"
    assert value["context"] == {"status": "manual_live", "topic": None, "last_seq": 5}


async def test_a_guest_is_kept_under_their_id(redis: "Redis") -> None:
    mirror = SessionMirror(redis, HandClock(), expire_s=500)
    guest = msgspec.structs.replace(CUSTOMER, sub="secret", is_guest=True)
    mirror.note(msgspec.structs.replace(CHAT, customer=guest))
    await mirror.flush()
    assert await redis.keys("session:*") == [f"session:id:{guest.id}".encode()]
    assert "secret" not in str(await read(redis, f"id:{guest.id}"))
    await mirror.flush()
