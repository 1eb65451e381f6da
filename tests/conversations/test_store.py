"""What a chat is in memory and what PostgreSQL gives back are the same chat."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import anyio
import asyncpg
import pytest
from msgspec.structs import replace

from kefu.cluster.placement import SLOT_COUNT, slot_of
from kefu.cluster.store import claim
from kefu.conversations.chat import Chat
from kefu.conversations.commands import Command
from kefu.conversations.keys import Known, fingerprint
from kefu.conversations.parties import Customer
from kefu.conversations.reads import ReadMarks
from kefu.conversations.store import PostgresChats
from kefu.conversations.turn import Step, Turn
from kefu.storage.database import DatabasePool
from kefu.storage.journal import Journal
from tests.conversations import cast

TEAM = UUID(int=51)


class Writer:
    """Decides and commits, as the actor does."""

    def __init__(self, journal: Journal, epochs: dict[int, int]) -> None:
        self._journal = journal
        self._epochs = epochs

    async def write(
        self, chat: Chat | None, *commands: Command, customer: Customer = cast.CUSTOMER
    ) -> Chat:
        turn = Turn(chat)
        turn.note(customer)
        step = Step(chat)
        for command in commands:
            assert step.apply(command) is None
        turn.take(step)
        slot = slot_of(str(cast.CUSTOMER.id))
        entry = turn.entry(slot, self._epochs[slot], ReadMarks())
        assert entry is not None
        await self._journal.append(entry)
        assert turn.chat is not None
        return turn.chat


@pytest.fixture
async def chats(pool: DatabasePool) -> PostgresChats:
    return PostgresChats(pool)


@pytest.fixture
async def writer(database: str, pool: DatabasePool) -> AsyncIterator[Writer]:
    connection = await asyncpg.connect(database)
    epochs = await claim(connection, range(SLOT_COUNT), "test")
    await connection.close()
    journal = Journal(lambda: asyncpg.connect(database))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.run)
        yield Writer(journal, epochs)
        tasks.cancel_scope.cancel()


LIVES: dict[str, tuple[Command, ...]] = {
    "with the bot": (cast.opening(),),
    "with words": (cast.opening(), cast.say(cast.OWNER, "你好\n\U0001f600")),
    "waiting": (cast.opening(wants_human=True),),
    "with a human": (cast.opening(wants_human=True), cast.accept(cast.KE)),
    "passed on": (
        cast.opening(wants_human=True),
        cast.accept(cast.KE),
        cast.transfer(cast.KE, cast.FU),
    ),
    # of a team that is not there at all: the journal must be able to write
    "handed to a team": (
        cast.opening(wants_human=True),
        cast.accept(cast.KE),
        cast.requeue(cast.KE, TEAM),
    ),
    "taken from a team and passed on": (
        cast.opening(wants_human=True),
        cast.accept(cast.KE),
        cast.requeue(cast.KE, TEAM),
        cast.accept(cast.FU),
        cast.transfer(cast.FU, cast.KE),
    ),
    "released": (
        cast.opening(wants_human=True),
        cast.accept(cast.KE),
        cast.release(cast.KE),
        cast.add_note(cast.KE),
    ),
    "watched, whispered in and asked about": (
        cast.opening(wants_human=True),
        cast.accept(cast.KE),
        cast.watch(cast.SUPERVISOR),
        cast.whisper(cast.SUPERVISOR),
        cast.ask_assist(cast.KE),
        cast.unwatch(cast.SUPERVISOR),
    ),
    "ended and rated": (
        cast.opening(wants_human=True),
        cast.accept(cast.KE),
        cast.end(),
        cast.rate(rating=4),
    ),
}


@pytest.mark.parametrize("life", LIVES)
async def test_a_chat_is_read_back_as_it_was(
    life: str, chats: PostgresChats, writer: Writer
) -> None:
    written = await writer.write(None, *LIVES[life])
    stored = await chats.latest(cast.CUSTOMER.id)
    assert stored is not None
    assert stored.chat == written
    by_id = await chats.chat(written.chat_id)
    assert by_id == stored
    assert [chat.chat_id for chat in await chats.waiting()] == (
        [written.chat_id] if written.phase == "pending_manual" else []
    )


@pytest.mark.parametrize("life", LIVES)
async def test_a_chat_that_is_written_step_by_step_is_the_same(
    life: str, chats: PostgresChats, writer: Writer
) -> None:
    written = None
    for command in LIVES[life]:
        written = await writer.write(written, command)
        stored = await chats.latest(cast.CUSTOMER.id)
        assert stored is not None
        assert stored.chat == written


async def test_the_open_chat_is_the_latest_even_when_the_clock_was_set_back(
    chats: PostgresChats, writer: Writer
) -> None:
    ended = await writer.write(None, cast.opening(), cast.end())
    earlier = replace(cast.opening(chat_id=101), at=cast.NOON - 3600)
    opened = await writer.write(ended, earlier)
    stored = await chats.latest(cast.CUSTOMER.id)
    assert stored is not None
    assert stored.chat.chat_id == opened.chat_id


async def test_a_message_is_found_under_its_key(chats: PostgresChats, writer: Writer) -> None:
    said = replace(cast.say(cast.OWNER, "在吗"), client_message_id="k")
    chat = await writer.write(None, cast.opening(), said)
    known = Known(chat.chat_id, said.message_id, 1, cast.NOON, fingerprint("在吗", "text"))
    assert await chats.sent(chat.chat_id, cast.CUSTOMER.id, "k") == known
    assert await chats.sent(chat.chat_id, cast.CUSTOMER.id, "other") is None
    assert await chats.sent(chat.chat_id, UUID(int=77), "k") is None
    assert await chats.keys(cast.CUSTOMER.id) == [(cast.CUSTOMER.id, "k", known)]


async def test_messages_are_read_between_two_points(chats: PostgresChats, writer: Writer) -> None:
    words = [replace(cast.say(cast.OWNER, str(n)), message_id=UUID(int=n)) for n in range(1, 8)]
    chat = await writer.write(None, cast.opening(), *words)
    found = await chats.messages(chat.chat_id, after=2, until=6, limit=3)
    assert [(message.seq, message.content) for message in found] == [(3, "3"), (4, "4"), (5, "5")]
    assert found[0].timestamp == datetime.fromtimestamp(cast.NOON, UTC)


async def test_agents_chats_and_their_owners_are_found(
    chats: PostgresChats, writer: Writer
) -> None:
    chat = await writer.write(None, cast.opening(wants_human=True), cast.accept(cast.KE))
    assert cast.KE.id is not None
    assert await chats.active(cast.KE.id) == {chat.chat_id: cast.CUSTOMER.id}
    assert await chats.owner(chat.chat_id) == cast.CUSTOMER.id
    assert await chats.owner(UUID(int=404)) is None
    await writer.write(chat, cast.end())
    assert await chats.active(cast.KE.id) == {}


async def test_a_customer_once_known_as_vip_stays_one_and_keeps_what_is_not_said_again(
    chats: PostgresChats, writer: Writer
) -> None:
    known = replace(cast.CUSTOMER, name="小林", email="lin@shop.example", phone="1", locale="zh-CN")
    chat = await writer.write(None, cast.opening(), customer=known)
    for customer in (
        replace(known, is_vip=True, is_signed=True),
        replace(cast.CUSTOMER, name=None, phone="2"),
    ):
        chat = await writer.write(chat, cast.say(cast.OWNER), customer=customer)
    stored = await chats.latest(cast.CUSTOMER.id)
    assert stored is not None
    assert stored.chat.customer == replace(known, phone="2", is_vip=True, is_signed=True)


async def test_heads_are_of_open_chats_alone(chats: PostgresChats, writer: Writer) -> None:
    opened = await writer.write(None, cast.opening(wants_human=True))
    mine, row = cast.CUSTOMER.id, (opened.chat_id, cast.CUSTOMER.id, None, "waiting", 0, False)

    assert await chats.heads([mine], [], []) == [row]
    assert await chats.heads([], [], [opened.chat_id]) == [row]
    assert await chats.heads([mine], [], [opened.chat_id]) == [row]
    assert await chats.heads([], [mine], []) == []


async def test_a_head_tells_whether_the_bot_owes_an_answer(
    chats: PostgresChats, writer: Writer
) -> None:
    chat = await writer.write(None, cast.opening())
    for command, owes in (
        (cast.say(cast.OWNER), True),
        (cast.answer(1), False),
        (cast.say(cast.OWNER), True),
        (cast.call_human(), False),
        (cast.return_to_bot(), False),
    ):
        chat = await writer.write(chat, command)
        ((*_, is_unanswered),) = await chats.heads([cast.CUSTOMER.id], [], [])
        assert is_unanswered == owes, command
        stored = await chats.latest(cast.CUSTOMER.id)
        assert stored is not None
        assert stored.chat == chat
