"""Which conversation a session is in, on a real PostgreSQL, for several instances at once."""

import anyio
import pytest

from kefu.bot import contexts
from kefu.bot.contexts import NAMELESS, ProviderContexts
from kefu.bot.ports import Context, ProviderError, Transient
from kefu.errors import Problem
from kefu.storage.database import DatabasePool
from protocol.codes import ErrorCode
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy


class Maker:
    """A provider that makes conversations, all different, each for one session."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.failure: ProviderError | None = None
        self.gate: anyio.Event | None = None

    async def new_conversation(self, session: str) -> str:
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.made.append(f"{session}/{len(self.made)}")
        return self.made[-1]


@pytest.fixture
def maker() -> Maker:
    return Maker()


def book_of(
    pool: DatabasePool, clock: HandClock, maker: Maker | None, provider: str = "coze"
) -> ProviderContexts:
    return ProviderContexts(pool, clock, SeededEntropy(), provider, maker)


@pytest.fixture
def book(pool: DatabasePool, clock: HandClock, maker: Maker) -> ProviderContexts:
    return book_of(pool, clock, maker)


async def test_a_session_is_in_one_conversation_from_its_first_message_on(
    book: ProviderContexts, maker: Maker
) -> None:
    assert await book.known("a") is None
    first = await book.current("a")
    assert await book.known("a") == "a/0"
    assert first == Context("a/0", 0.0), "all it has ever said counts"
    assert await book.current("a") == first
    assert (await book.current("b")).conversation_id == "b/1"
    assert maker.made == ["a/0", "b/1"]


async def test_two_instances_that_begin_at_once_agree(
    pool: DatabasePool, clock: HandClock, maker: Maker
) -> None:
    maker.gate = anyio.Event()
    found: list[Context] = []

    async def begin() -> None:
        found.append(await book_of(pool, clock, maker).current("a"))

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(begin)
        await anyio.wait_all_tasks_blocked()
        maker.gate.set()
    assert len(set(found)) == 1
    assert await book_of(pool, clock, maker).current("a") == found[0]


async def test_a_new_one_is_the_providers_own_and_what_was_said_before_is_forgotten(
    book: ProviderContexts, clock: HandClock
) -> None:
    await book.current("a")
    clock.advance(60)
    assert await book.new("a") == "a/1"
    assert await book.current("a") == Context("a/1", clock.now().timestamp())
    clock.advance(60)
    assert await book.clear("a") == "a/2"
    assert await book.current("a") == Context("a/2", clock.now().timestamp())


async def test_a_session_that_was_never_seen_can_be_cleared_too(book: ProviderContexts) -> None:
    id = await book.clear("never-seen")
    assert (await book.current("never-seen")).conversation_id == id


async def test_nothing_is_looked_up_for_a_model_in_whose_chat_nothing_was_said(
    pool: DatabasePool, clock: HandClock
) -> None:
    book = ProviderContexts(pool, clock, SeededEntropy(), "openai", None)
    await book.clear("a")
    assert (await book.current("a")).since == clock.now().timestamp()
    assert await book.current("a", is_first=True) == NAMELESS


async def test_providers_do_not_mix(
    book: ProviderContexts, pool: DatabasePool, clock: HandClock
) -> None:
    await book.current("a")
    other = book_of(pool, clock, Maker(), "openai")
    await other.new("a")
    assert (await book.current("a")).since == 0.0


async def test_a_lost_conversation_is_replaced_and_what_was_said_still_counts(
    book: ProviderContexts, clock: HandClock
) -> None:
    await book.new("a")
    lost = await book.current("a")
    clock.advance(60)
    await book.renew("a", lost)
    assert await book.current("a") == Context("a/1", lost.since)
    await book.renew("a", lost)  # found out late, after another has replaced it
    assert (await book.current("a")).conversation_id == "a/1"


async def test_a_provider_in_trouble_is_said_in_one_sentence_and_nothing_is_made_up(
    book: ProviderContexts, maker: Maker
) -> None:
    maker.failure = Transient("4009")
    for call in (book.new, book.clear):
        with pytest.raises(Problem) as caught:
            await call("a")
        assert caught.value.code == ErrorCode.OVERLOADED
    with pytest.raises(Transient):
        await book.current("a")
    maker.failure = None
    assert (await book.current("a")).conversation_id == "a/0"


async def test_a_provider_that_does_not_answer_is_not_waited_for_for_ever(
    book: ProviderContexts, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contexts, "MAKE_WITHIN_S", 0.01)
    maker.gate = anyio.Event()
    with pytest.raises(Problem):
        await book.new("a")


async def test_the_longest_session_name_and_ids_of_any_kind_fit(
    pool: DatabasePool, clock: HandClock
) -> None:
    class Long(Maker):
        async def new_conversation(self, session: str) -> str:
            return "7" * 128

    book = book_of(pool, clock, Long())
    assert await book.new("客" * 128) == "7" * 128


async def test_where_a_provider_keeps_none_a_session_has_one_only_when_it_asks_for_it(
    pool: DatabasePool, clock: HandClock
) -> None:
    book = book_of(pool, clock, None, "openai")
    assert await book.current("a") == Context("", 0.0)
    assert await book.known("a") is None
    name = await book.new("a")
    assert await book.current("a") == Context(name, clock.now().timestamp())
    assert await book.known("a") == name
    assert await book.new("b") != name
