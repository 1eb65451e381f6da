"""The bot that needs no key: the shop's words, an honest question, or honest ignorance."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.bot import knowledge, texts
from kefu.bot.courtesies import answer_to
from kefu.bot.figures import Figures
from kefu.bot.knowledge import KnowledgeBot, pieces
from kefu.storage.errors import StoreUnavailable
from tests.bot.parts import INVOICE, RETURNS, SHIPPING, Shelf, ask, question


def bot(shelf: Shelf) -> KnowledgeBot:
    return KnowledgeBot(shelf, Figures())


async def test_a_sure_answer_is_the_shops_own_and_names_its_entry() -> None:
    heard = await ask(bot(Shelf("sure", RETURNS, SHIPPING)))
    assert heard.answer.text == RETURNS.answer == "".join(heard.pieces)
    assert heard.answer.outcome == "answered"
    assert heard.answer.sources == (RETURNS.source,)
    assert len(heard.pieces) > 1


@pytest.mark.parametrize(
    ("locale", "asks"),
    [("zh-CN", "这是您想问的吗？"), ("zh-Hant-HK", "這是您想問的嗎？"), ("en-GB", "Is this what")],
)
async def test_where_it_is_not_sure_it_asks_and_names_the_others(locale: str, asks: str) -> None:
    shelf = Shelf("perhaps", RETURNS, SHIPPING, INVOICE)
    answer = (await ask(bot(shelf), locale=locale)).answer
    assert answer.text.startswith(RETURNS.answer)
    assert asks in answer.text
    for hit in (RETURNS, SHIPPING, INVOICE):
        assert hit.question in answer.text
    assert SHIPPING.answer not in answer.text
    assert answer.outcome == "answered"
    assert answer.sources == (RETURNS.source, SHIPPING.source, INVOICE.source)


async def test_a_single_doubtful_entry_has_no_others() -> None:
    answer = (await ask(bot(Shelf("perhaps", RETURNS)))).answer
    assert texts.OR_RATHER["zh-CN"] not in answer.text


@pytest.mark.parametrize("locale", [None, "zh-TW", "en"])
async def test_what_nobody_knows_is_said_honestly_and_kept_for_the_shop(
    locale: str | None,
) -> None:
    shelf = Shelf("none", SHIPPING)
    heard = await ask(bot(shelf), "你们老板是谁", locale=locale)
    assert heard.answer.text == texts.said(texts.UNKNOWN, locale) == "".join(heard.pieces)
    assert (heard.answer.outcome, heard.answer.sources) == ("unknown", ())
    assert shelf.unanswered == ["你们老板是谁"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("你好", texts.GREETED),
        ("您好呀！", texts.GREETED),
        ("Hi there!", texts.GREETED),
        ("在吗？", texts.GREETED),
        ("謝謝您～", texts.THANKED),
        ("Thank you.", texts.THANKED),
        ("再见", texts.TAKEN_LEAVE),
        ("bye", texts.TAKEN_LEAVE),
    ],
)
async def test_a_courtesy_is_returned_and_is_no_failure(text: str, said: texts.Texts) -> None:
    shelf = Shelf()
    answer = (await ask(bot(shelf), text)).answer
    assert (answer.text, answer.outcome) == (said["zh-CN"], "answered")
    assert shelf.unanswered == []


@pytest.mark.parametrize("text", ["你好，怎么退货", "hello my order is late", "", "了", "！！"])
def test_more_than_a_courtesy_is_a_question(text: str) -> None:
    assert answer_to(text) is None


async def test_the_shops_own_answer_to_a_greeting_goes_first() -> None:
    assert (await ask(bot(Shelf("sure", RETURNS)), "你好")).answer.text == RETURNS.answer


@pytest.mark.parametrize("failure", [StoreUnavailable("gone"), KeyError("bug")])
async def test_knowledge_that_fails_costs_a_sentence_and_nothing_more(failure: Exception) -> None:
    shelf = Shelf()
    shelf.failure = failure
    heard = await ask(bot(shelf))
    assert (heard.answer.outcome, heard.pieces) == ("failed", [])
    assert await bot(shelf).stand_in(question(), heard.pieces.append) is None


async def test_knowledge_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowledge, "FIND_WITHIN_S", 0.01)
    shelf = Shelf()
    shelf.hangs = True
    assert (await ask(bot(shelf))).answer.outcome == "failed"


async def test_nothing_is_said_any_more_once_nobody_wants_it() -> None:
    said: list[str] = []

    def say(piece: str) -> None:
        said.append(piece)
        scope.cancel()

    with anyio.CancelScope() as scope:
        await bot(Shelf("sure", RETURNS)).answer(question(), say)
    assert len(said) == 1


async def test_what_was_answered_is_counted() -> None:
    figures = Figures()
    await ask(KnowledgeBot(Shelf("sure", RETURNS), figures))
    await ask(KnowledgeBot(Shelf(), figures))
    await ask(KnowledgeBot(Shelf(), figures))
    assert figures.answers == {"answered": 1, "unknown": 2}


@given(st.text(max_size=300))
def test_the_pieces_are_the_text_and_small(text: str) -> None:
    made = list(pieces(text))
    assert "".join(made) == text
    assert all(made)
    assert all(len(piece.strip()) <= 24 for piece in made)


SENTENCES = [name for name, value in vars(texts).items() if name.isupper() and type(value) is dict]


@pytest.mark.parametrize("name", SENTENCES)
def test_every_sentence_is_there_in_every_language_and_in_no_other_twice(name: str) -> None:
    said = getattr(texts, name)
    assert set(said) == {"zh-CN", "zh-TW", "en"}
    assert len(set(said.values())) == 3
    assert all(text.strip() for text in said.values())
