"""The library keeps up with the entries, in its own process and in others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kefu.knowledge import library as libraries
from kefu.knowledge.encoder import Encoder
from kefu.knowledge.engines import LexicalEngine
from kefu.knowledge.library import Index, Library
from kefu.knowledge.semantic import SemanticEngine
from kefu.storage.database import DatabasePool, connected
from tests.knowledge import catalogue
from tests.knowledge.shop import BOSS, PiecesEncoder, Shop
from tests.until import until

FEE = ("运费怎么算", "满 199 元包邮。")
RETURN = ("怎么退货", "在订单页点退货。")


@asynccontextmanager
async def running(library: Library) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(library.run)
        yield
        tasks.cancel_scope.cancel()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A background of a few texts."""
    some = (("今天天气怎么样", "会下雨吗"), ("讲个笑话",))
    monkeypatch.setattr(libraries, "read_background", lambda: some)


async def ask(library: Library, text: str, locale: str | None = "zh-CN") -> str | None:
    found = await library.search(text, locale)
    return found.hits[0].answer if found.hits else None


@pytest.mark.usefixtures("quick")
async def test_entries_are_found_changed_and_deleted_while_it_runs(shop: Shop) -> None:
    async with running(shop.library):
        fee = await shop.add(*FEE)
        await until(lambda: found(shop.library, "怎么算运费", FEE[1]))
        await shop.entries.change(BOSS, fee.id, {"answer": "全场包邮。"})
        await until(lambda: found(shop.library, "怎么算运费", "全场包邮。"))
        await shop.entries.change(BOSS, fee.id, {"enabled": False})
        await until(lambda: found(shop.library, "怎么算运费", None))
        await shop.entries.change(BOSS, fee.id, {"enabled": True})
        await until(lambda: found(shop.library, "怎么算运费", "全场包邮。"))
        await shop.entries.delete(BOSS, fee.id)
        await until(lambda: found(shop.library, "怎么算运费", None))


async def found(library: Library, text: str, answer: str | None) -> bool:
    return await ask(library, text) == answer


@pytest.mark.usefixtures("quick")
async def test_another_instance_sees_a_change_at_its_next_look(shop: Shop) -> None:
    other = shop.another_library()
    await shop.add(*FEE)
    await other.refresh()
    await shop.add(*RETURN)
    assert await ask(other, "我要退货") != RETURN[1]
    await other.refresh()
    assert await ask(other, "我要退货") == RETURN[1]


@pytest.mark.usefixtures("quick")
async def test_an_answer_is_in_the_language_of_the_question(shop: Shop) -> None:
    await shop.add(*FEE, key="fee", locale="zh-CN", phrasings=("包邮吗",))
    await shop.add("How much is shipping?", "Free from 199.", key="fee", locale="en")
    await shop.library.refresh()
    assert await ask(shop.library, "包邮吗") == FEE[1]
    assert await ask(shop.library, "is shipping free") == "Free from 199."
    found = await shop.library.search("is shipping free", "en")
    assert len(found.hits) == 1


async def test_before_the_first_look_nobody_knows(shop: Shop) -> None:
    assert (await shop.library.find("怎么退货", None)).confidence == "none"


async def test_what_is_not_answered_has_no_hits_for_the_bot(shop: Shop) -> None:
    library = shop.library
    async with running(library):
        await shop.add(*RETURN, phrasings=("我要退货", "退货流程"))
        await until(lambda: found(library, "我要退货", RETURN[1]))
        talk = await library.find("明天北京会下雨吗", "zh-CN")
        assert (talk.confidence, talk.hits) == ("none", ())
        assert (await library.search("退货下雨", "zh-CN")).hits != ()
        known = await library.find("我要退货", "zh-CN")
        assert known.confidence == "sure"
        assert known.hits[0].source.question == RETURN[0]


@settings(max_examples=50, deadline=None)
@given(text=st.text(alphabet=st.characters(), max_size=500), locale=st.text(max_size=40))
def test_no_text_is_too_odd(text: str, locale: str) -> None:
    """Nor a page's language."""

    library = Library(None, None, None)  # type: ignore[arg-type]
    library._index = demo_index()
    anyio.run(library.find, text, locale)


@cache
def demo_index() -> Index:
    groups = catalogue.demo_groups()
    return Index(groups, catalogue.lexical(groups))


@pytest.mark.usefixtures("quick")
async def test_too_many_questions_at_once_are_not_answered(shop: Shop) -> None:
    release = anyio.Event()
    await shop.add(*RETURN)
    await shop.library.refresh()

    async def hold() -> None:
        async with shop.library._asking:
            await release.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hold)
        await until(lambda: shop.library._asking.borrowed_tokens == 1)
        for _ in range(libraries.QUESTIONS_WAITING):
            tasks.start_soon(shop.library.find, "怎么退货", None)
        await until(
            lambda: shop.library._asking.statistics().tasks_waiting == libraries.QUESTIONS_WAITING
        )
        assert (await shop.library.find("怎么退货", None)).confidence == "none"
        release.set()
    assert (await shop.library.find("怎么退货", None)).confidence == "sure"


# --- with an encoder ------------------------------------------------------------------------------


@pytest.fixture
def encoding(pool: DatabasePool) -> Shop:
    return Shop(pool, PiecesEncoder())


def encoder_of(shop: Shop) -> PiecesEncoder:
    assert shop.encoder is not None
    return shop.encoder


@pytest.mark.usefixtures("quick")
async def test_texts_are_encoded_once_and_kept(encoding: Shop) -> None:
    await encoding.add(*FEE, phrasings=("包邮吗",))
    await opened(encoding.library)
    assert isinstance(encoding.library.engine, SemanticEngine)
    assert await ask(encoding.library, "包邮吗") == FEE[1]
    first = set(encoder_of(encoding).encoded)
    assert {FEE[0], " ".join(FEE), "包邮吗", "讲个笑话"} <= first

    encoder_of(encoding).encoded.clear()
    await opened(encoding.another_library())
    assert encoder_of(encoding).encoded == []


@pytest.mark.usefixtures("quick")
async def test_only_a_text_that_changed_is_encoded_again_and_the_old_one_goes(
    encoding: Shop,
) -> None:
    fee = await encoding.add(*FEE, phrasings=("包邮吗", "邮费"))
    await opened(encoding.library)
    count = await vector_count(encoding.pool)
    encoder_of(encoding).encoded.clear()
    await encoding.entries.change(BOSS, fee.id, {"phrasings": ("包邮吗", "运费多少")})
    await encoding.library.refresh()
    assert encoder_of(encoding).encoded == ["运费多少"]
    assert await vector_count(encoding.pool) == count
    await encoding.entries.delete(BOSS, fee.id)
    await encoding.library.refresh()
    assert await vector_count(encoding.pool) == count - 4
    assert await ask(encoding.library, "包邮吗") is None


@pytest.mark.usefixtures("quick")
async def test_a_text_of_two_entries_is_kept_while_one_has_it(encoding: Shop) -> None:
    await encoding.add(*FEE, phrasings=("包邮吗",))
    other = await encoding.add("邮费多少", phrasings=("包邮吗",))
    await opened(encoding.library)
    await encoding.entries.delete(BOSS, other.id)
    await encoding.library.refresh()
    encoder_of(encoding).encoded.clear()
    await opened(encoding.another_library())
    assert encoder_of(encoding).encoded == []


@pytest.mark.usefixtures("quick")
async def test_another_encoder_makes_its_own_vectors(encoding: Shop) -> None:
    await encoding.add(*FEE)
    await opened(encoding.library)
    encoding.encoder = PiecesEncoder("pieces 2")
    await opened(encoding.another_library())
    assert FEE[0] in encoder_of(encoding).encoded


@pytest.mark.usefixtures("quick")
async def test_many_new_texts_are_answered_by_words_until_they_are_encoded(
    encoding: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "ENCODED_FIRST", 3)
    await opened(encoding.library)
    await encoding.add(*FEE, phrasings=("包邮吗", "邮费"))
    seen: list[type] = []
    encoder_of(encoding).on_encode = lambda: seen.append(type(encoding.library.engine))
    await encoding.library.refresh()
    assert set(seen) == {LexicalEngine}
    assert isinstance(encoding.library.engine, SemanticEngine)


@pytest.mark.usefixtures("quick")
async def test_a_change_while_texts_are_encoded_is_not_kept_waiting(
    encoding: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kefu.knowledge.shelf._KEPT_AT_ONCE", 1)
    library = encoding.library
    await opened(library)
    await encoding.add(*FEE)
    encoder_of(encoding).on_encode = library.changed  # another entry was written meanwhile
    await library.refresh()
    assert library.is_current is False
    encoder_of(encoding).on_encode = lambda: None
    await library.refresh()
    assert library.is_current is True
    assert encoder_of(encoding).encoded.count(FEE[0]) == 1
    assert await ask(library, "运费怎么算") == FEE[1]


@pytest.mark.usefixtures("quick")
async def test_without_a_usable_encoder_words_answer(shop: Shop) -> None:
    def broken() -> Encoder | None:
        raise OSError("no such file")

    library = Library(shop.pool, shop.clock, shop.entropy, load=broken)
    await shop.add(*FEE)
    await opened(library)
    assert isinstance(library.engine, LexicalEngine)
    assert await ask(library, "运费怎么算") == FEE[1]


async def opened(library: Library) -> None:
    await library._open()
    await library.refresh()
    assert library.is_current


async def vector_count(pool: DatabasePool) -> int:
    async with connected(pool) as connection:
        return int(await connection.fetchval("SELECT count(*) FROM knowledge_vectors"))
