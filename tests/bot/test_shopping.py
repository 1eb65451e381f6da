"""Cards behind the bot's words: only of what was wished for, and never at the cost of an answer."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import anyio
import pytest

from kefu.bot import texts
from kefu.bot.figures import Figures
from kefu.bot.knowledge import KnowledgeBot
from kefu.bot.messages import PRODUCTS_MOST, Answer, Bot, Question
from kefu.bot.shopping import ShoppingBot
from kefu.bot.showcase import Showcase, Suggested
from kefu.recommendations.messages import Recommended
from kefu.storage.errors import StoreUnavailable
from tests.bot.parts import RETURNS, Heard, Shelf, ask
from tests.fakes.products import BAG, LAMP, LARGE, PACK, TENT, FakeCatalogue, FakeRecommender, card

VIEWER = UUID(int=9)
PLEASES = (Recommended(PACK, 0.5, TENT), Recommended(LAMP, 0.0))
TROUBLES = [StoreUnavailable("gone"), KeyError("a bug"), None]


class Says:
    """A bot that says these pieces and ends so; it tells how many were passed on by then."""

    def __init__(self, *pieces: str, outcome: Any = "answered") -> None:
        self.pieces = pieces
        self.outcome = outcome
        self.passed_on: list[int] = []
        self.heard: list[str] = []

    async def answer(self, question: Question, say: Callable[[str], None]) -> Answer:
        for piece in self.pieces:
            say(piece)
            self.passed_on.append(len(self.heard))
        return Answer("".join(self.pieces) or "!", self.outcome)


def shop(
    bot: Bot,
    catalogue: FakeCatalogue | None = None,
    recommender: FakeRecommender | None = None,
    within_s: float = 5,
) -> ShoppingBot:
    recommender = recommender or FakeRecommender(*PLEASES)
    return ShoppingBot(bot, Showcase(catalogue or FakeCatalogue(), recommender, within_s=within_s))


def ignorant() -> KnowledgeBot:
    return KnowledgeBot(Shelf(), Figures())


def knowing() -> KnowledgeBot:
    return KnowledgeBot(Shelf("sure", RETURNS), Figures())


async def hear(bot: Bot, text: str, locale: str | None = None) -> Heard:
    return await ask(bot, text, viewer=VIEWER, locale=locale)


async def test_what_the_bot_knows_stays_and_cards_come_behind_it() -> None:
    heard = await hear(shop(knowing()), "有没有帐篷")
    assert heard.answer.text == RETURNS.answer == "".join(heard.pieces)
    assert heard.answer.sources == (RETURNS.source,)
    assert heard.answer.products == (TENT.id,)


@pytest.mark.parametrize(
    ("text", "locale", "said"),
    [
        ("有没有帐篷", "zh-CN", "为您找到了这些商品：山野双人帐篷。"),
        ("有沒有帳篷", "zh-TW", "為您找到了這些商品：山野双人帐篷。"),
        ("do you have a tent", "en", "Here is what I found for you: Family tent, four people."),
    ],
)
async def test_where_the_bot_knows_nothing_the_products_are_the_answer(
    text: str, locale: str, said: str
) -> None:
    heard = await hear(shop(ignorant()), text, locale)
    assert heard.answer.text.startswith(said)
    assert heard.answer.text == "".join(heard.pieces)
    assert heard.answer.outcome == "answered"
    assert len(heard.answer.products) == 1


async def test_who_wants_advice_is_shown_what_fits_them() -> None:
    recommender = FakeRecommender(*PLEASES)
    heard = await hear(shop(ignorant(), recommender=recommender), "有什么推荐")
    assert heard.answer.text.startswith("这些商品您可能会喜欢：徒步背包 40L、Camping lamp。")
    assert heard.answer.products == (PACK.id, LAMP.id)
    assert recommender.asked == [VIEWER]


async def test_advice_on_a_kind_of_product_is_of_that_kind_or_else_of_what_fits() -> None:
    recommender = FakeRecommender(*PLEASES)
    assert (
        await hear(shop(ignorant(), recommender=recommender), "推荐个睡袋")
    ).answer.products == (BAG.id,)
    assert recommender.asked == []
    heard = await hear(shop(ignorant(), recommender=recommender), "推荐一款适合新手的相机")
    assert heard.answer.products == (PACK.id, LAMP.id)


async def test_nothing_of_another_name_is_shown_whatever_the_search_brings() -> None:
    catalogue = FakeCatalogue(card(1, "双人床"), card(2, "帐单夹"))
    heard = await hear(shop(ignorant(), catalogue), "有没有双人帐篷")
    assert catalogue.searched == ["双人帐篷"]
    assert (heard.answer.outcome, heard.answer.products) == ("unknown", ())


async def test_what_is_described_too_closely_is_looked_for_by_its_name() -> None:
    catalogue = FakeCatalogue()
    heard = await hear(shop(ignorant(), catalogue), "有没有适合冬天的帐篷")
    assert heard.answer.products == (TENT.id,)


async def test_at_most_three_are_shown() -> None:
    catalogue = FakeCatalogue(*(card(number, f"帐篷 {number}") for number in range(9)))
    heard = await hear(shop(ignorant(), catalogue), "有没有帐篷")
    assert len(heard.answer.products) == PRODUCTS_MOST == 3


@pytest.mark.parametrize("text", ["怎么退货", "推荐人是谁", "我要投诉，有没有帐篷", "你好"])
async def test_who_wishes_nothing_costs_no_look(text: str) -> None:
    catalogue, recommender = FakeCatalogue(), FakeRecommender(*PLEASES)
    assert (await hear(shop(knowing(), catalogue, recommender), text)).answer.products == ()
    assert (catalogue.searched, recommender.asked) == ([], [])


async def test_nobody_known_is_shown_only_what_they_named() -> None:
    recommender = FakeRecommender(*PLEASES)
    bot = shop(ignorant(), recommender=recommender)
    assert (await ask(bot, "有什么推荐")).answer.products == ()
    assert (await ask(bot, "有没有帐篷")).answer.products == (TENT.id,)
    assert recommender.asked == []


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("text", ["有没有帐篷", "有什么推荐"])
async def test_trouble_costs_the_cards_and_never_the_answer(
    text: str, trouble: Exception | None
) -> None:
    catalogue, recommender = FakeCatalogue(), FakeRecommender(*PLEASES)
    for each in (catalogue, recommender):
        each.error, each.hangs = trouble, trouble is None
    heard = await hear(shop(knowing(), catalogue, recommender, within_s=0.01), text)
    assert (heard.answer.text, heard.answer.products) == (RETURNS.answer, ())


# --- pieces ---------------------------------------------------------------------------------------


async def test_an_answer_goes_out_as_it_is_written_as_soon_as_it_is_one() -> None:
    unknown = texts.said(texts.UNKNOWN, None)
    bot = Says(unknown[:4], "但是", "有的。")
    assert (await shop(bot).answer(question("有没有帐篷"), bot.heard.append)).products
    assert bot.heard == [f"{unknown[:4]}但是", "有的。"]
    assert bot.passed_on == [0, 1, 2]


async def test_a_short_answer_that_begins_like_ignorance_is_not_lost() -> None:
    bot = Says("抱歉")
    heard = await hear(shop(bot), "有没有帐篷")
    assert (heard.pieces, heard.answer.text) == (["抱歉"], "抱歉")


async def test_of_a_bot_that_fails_the_products_stand_in() -> None:
    heard = await hear(shop(Says(outcome="failed")), "有没有帐篷")
    assert heard.answer.outcome == "stood_in"
    assert heard.answer.products == (TENT.id,)
    assert heard.answer.text.startswith("为您找到了")


async def test_a_bot_that_fails_in_the_middle_has_failed() -> None:
    answer = (await hear(shop(Says("有的，", outcome="failed")), "有没有帐篷")).answer
    assert (answer.outcome, answer.products) == ("failed", ())


async def test_nothing_is_said_any_more_once_nobody_wants_it() -> None:
    said: list[str] = []

    def say(piece: str) -> None:
        said.append(piece)
        scope.cancel()

    with anyio.CancelScope() as scope:
        await shop(ignorant()).answer(question("有没有帐篷"), say)
    assert len(said) == 1


def question(text: str) -> Question:
    return Question(UUID(int=7), "c-1", text, viewer=VIEWER)


# --- for agents -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "suggested"),
    [
        ("有没有帐篷", [Suggested(TENT, "words")]),
        ("Family tent", [Suggested(LARGE, "words")]),
        ("", [Suggested(PACK, "views", TENT), Suggested(LAMP, "popular")]),
        ("有没有自行车", [Suggested(PACK, "views", TENT), Suggested(LAMP, "popular")]),
    ],
)
async def test_agents_are_told_what_to_show_and_why(said: str, suggested: list[Suggested]) -> None:
    catalogue = FakeCatalogue(TENT, PACK, LAMP, LARGE)
    showcase = Showcase(catalogue, FakeRecommender(*PLEASES))
    assert list(await showcase.suggested(said, VIEWER)) == suggested


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_agents_are_shown_nothing_in_trouble(trouble: Exception | None) -> None:
    catalogue, recommender = FakeCatalogue(), FakeRecommender(*PLEASES, viewed=(TENT,))
    for each in (catalogue, recommender):
        each.error, each.hangs = trouble, trouble is None
    showcase = Showcase(catalogue, recommender, within_s=0.01)
    assert await showcase.suggested("帐篷", VIEWER) == ()
    assert await showcase.viewed(VIEWER) == ()
    assert await showcase.recommended(VIEWER) == ()
