"""Chats everybody has left end by themselves: which ones, when, and never under anybody's hands."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from actors import Ref
from kefu.conversations import cleanup
from kefu.conversations.cleanup import ROUND_CHATS, Cleanup
from kefu.conversations.messages import EndSilent
from kefu.conversations.ports import SilentChat
from kefu.conversations.store import SILENT_CHATS, PostgresChats
from kefu.instants import instant
from kefu.storage.database import DatabasePool
from kefu.storage.errors import StoreUnavailable
from tests.conversations import cast
from tests.conversations.test_store import Writer, chats, writer
from tests.fakes.clock import HandClock
from tests.fakes.shop import Shop, on_stage, settled

__all__ = ["chats", "writer"]  # fixtures: one writes real rows, one reads them
HALF_AN_HOUR = 1800.0


# --- the rows -------------------------------------------------------------------------------------


async def silent(chats: PostgresChats, minutes: float) -> list[SilentChat]:
    """What has been silent so many minutes after noon began, for half an hour."""
    since = instant(cast.NOON) + timedelta(minutes=minutes) - timedelta(seconds=HALF_AN_HOUR)
    return await chats.silent(since, UUID(int=0), 10)


async def test_a_chat_is_silent_half_an_hour_after_its_last_word(
    chats: PostgresChats, writer: Writer
) -> None:
    said = replace(cast.say(cast.OWNER), at=cast.NOON + 600)
    chat = await writer.write(None, cast.opening(), said)
    assert await silent(chats, 30) == await silent(chats, 40) == []
    assert await silent(chats, 40.1) == [SilentChat(chat.chat_id, cast.CUSTOMER.id, 1, 1)]


async def test_a_chat_without_a_word_is_silent_from_its_start(
    chats: PostgresChats, writer: Writer
) -> None:
    chat = await writer.write(None, cast.opening())
    assert await silent(chats, 29.9) == []
    assert await silent(chats, 30.1) == [SilentChat(chat.chat_id, cast.CUSTOMER.id, 0, 1)]


async def test_an_agent_who_has_just_come_has_time_to_speak(
    chats: PostgresChats, writer: Writer
) -> None:
    accept = replace(cast.accept(cast.KE), at=cast.NOON + 3600)
    await writer.write(None, cast.opening(wants_human=True), cast.say(cast.OWNER), accept)
    assert await silent(chats, 89.9) == []
    assert [chat.log_id for chat in await silent(chats, 90.1)] == [3]


async def test_who_waits_is_never_silent_and_what_has_ended_is_left_alone(
    chats: PostgresChats, writer: Writer
) -> None:
    waiting = await writer.write(None, cast.opening(wants_human=True))
    assert await silent(chats, 6000) == []
    await writer.write(waiting, cast.end())
    assert await silent(chats, 6000) == []


async def test_what_is_silent_is_found_by_an_index(pool: DatabasePool) -> None:
    """Among a million chats that are over there may be two hundred open ones."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch(
            f"EXPLAIN {SILENT_CHATS}", instant(cast.NOON), UUID(int=0), ROUND_CHATS
        )
    assert any("chats_may_be_silent" in row[0] for row in plan)


# --- the rounds -----------------------------------------------------------------------------------


class Shelf:
    """Silent chats in the order of their ids, and what was said to whose conversation."""

    def __init__(self, count: int) -> None:
        self.chats = [
            SilentChat(UUID(int=n), UUID(int=9000 + n), n, 1) for n in range(1, count + 1)
        ]
        self.since: list[datetime] = []
        self.told: list[tuple[UUID, EndSilent]] = []
        self.here: set[UUID] = set()
        self.failures: list[Exception] = []

    async def silent(self, since: datetime, after: UUID, limit: int) -> list[SilentChat]:
        self.since.append(since)
        if self.failures:
            raise self.failures.pop(0)
        return [chat for chat in self.chats if chat.chat_id > after][:limit]

    def cleanup(self, clock: Any, **more: Any) -> Cleanup:
        world = cleanup.World(
            chats=self,
            clock=clock,
            is_here=self.here.__contains__,
            tell=lambda customer_id, message: self.told.append((customer_id, message)),
        )
        return Cleanup(world, timeout_s=HALF_AN_HOUR, **more)


async def test_a_round_proposes_the_end_of_what_is_silent_by_the_clock() -> None:
    clock, shelf = HandClock(), Shelf(2)
    await shelf.cleanup(clock).look()
    assert shelf.since == [clock.now() - timedelta(minutes=30)]
    assert shelf.told == [
        (UUID(int=9001), EndSilent(UUID(int=1), 1, 1)),
        (UUID(int=9002), EndSilent(UUID(int=2), 2, 1)),
    ]


async def test_a_customer_who_is_here_keeps_their_chat() -> None:
    shelf = Shelf(2)
    shelf.here.add(UUID(int=9001))
    await shelf.cleanup(HandClock()).look()
    assert [customer_id for customer_id, _ in shelf.told] == [UUID(int=9002)]


async def test_many_who_sit_there_silently_hide_nobody_behind_them() -> None:
    shelf = Shelf(2 * ROUND_CHATS + 1)
    shelf.here |= {chat.customer_id for chat in shelf.chats[:-1]}
    job = shelf.cleanup(HandClock())
    await job.look()
    await job.look()
    assert shelf.told == []
    await job.look()
    assert [message.chat_id for _, message in shelf.told] == [shelf.chats[-1].chat_id]
    await job.look()  # and again from the beginning
    shelf.here.clear()
    await job.look()
    await job.look()
    assert len(shelf.told) == 1 + ROUND_CHATS + 1


@on_stage
async def test_a_round_that_fails_is_left_out_and_the_next_one_comes(shop: Shop) -> None:
    shelf = Shelf(1)
    shelf.failures += [StoreUnavailable("gone"), RuntimeError("a bug")]
    job = asyncio.ensure_future(shelf.cleanup(shop.clock).run())
    await settled(cleanup.ROUND_S - 1)
    assert shelf.since == []
    await settled(2 * cleanup.ROUND_S)
    assert (len(shelf.since), shelf.told) == (2, [])
    await settled(cleanup.ROUND_S)
    assert len(shelf.told) == 1
    job.cancel()


# --- the conversation's word ----------------------------------------------------------------------


async def tell(ref: Ref[Any], message: EndSilent) -> None:
    assert ref.tell(message)
    await settled()


@on_stage
async def test_a_silent_chat_ends_and_both_sides_hear_of_it(shop: Shop) -> None:
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    chat_id = await wang.start()
    await ke.accept(chat_id, wang)
    wang.say("在吗")
    await settled()
    await tell(wang.ref, EndSilent(chat_id, 1, 3))
    for line in (ke.line, wang.line):
        assert line.heard("chat_status")[-1].status == "ended"
    event = shop.storage.happened(chat_id)[-1]
    assert (event.kind, event.by_type, event.reason) == ("Ended", "system", "silent")
    assert ke.presence().active_count == 0


@on_stage
async def test_who_has_just_spoken_is_not_cut_off(shop: Shop) -> None:
    shop.is_bot_ready = True
    shop.bot.gap_s = 20.0
    wang = shop.customer()
    chat_id = await wang.start(wants_human=False)
    wang.say("在吗")
    await tell(wang.ref, EndSilent(chat_id, 0, 1))
    assert (await wang.look()).status == "bot"
    await tell(wang.ref, EndSilent(chat_id, 1, 1))
    assert shop.storage.chats[chat_id].status == "ended"


@on_stage
async def test_a_proposal_for_a_chat_that_is_over_touches_no_other(shop: Shop) -> None:
    shop.is_bot_ready = True
    wang = shop.customer()
    first = await wang.start(wants_human=False)
    await wang.end()
    second = await wang.start(wants_human=False)
    await tell(wang.ref, EndSilent(first, 0, 1))
    await tell(wang.ref, EndSilent(UUID(int=404), 0, 1))
    assert (await wang.look()).chat_id == second
    assert wang.line.codes() == []


@on_stage
async def test_who_waits_for_a_human_is_left_waiting(shop: Shop) -> None:
    wang = shop.customer()
    chat_id = await wang.start()
    await tell(wang.ref, EndSilent(chat_id, 0, 2))
    assert (await wang.look()).status == "waiting"
