"""What agents are offered: the shop's words, a draft, and a summary that is there in any case."""

from collections.abc import AsyncGenerator, Sequence

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.bot import texts
from kefu.bot.breaker import Breaker
from kefu.bot.copilot import Copilot, Suggestion
from kefu.bot.openai import Openai
from kefu.bot.options import Limits
from kefu.bot.ports import Exhausted, Line, Transient, Usage
from kefu.bot.summary import Occasion, Remark, summarize
from kefu.storage.errors import StoreUnavailable
from tests.bot.parts import RETURNS, SHIPPING, Shelf, said
from tests.fakes.clock import HandClock

CHAT = (
    Remark("customer", "你好"),
    Remark("bot", "您好！"),
    Remark("customer", "耳机坏了，\n怎么退货？"),
    Remark("bot", "收到商品七天内可以退货。"),
    Remark("customer", "已经十天了"),
    Remark("customer", "我要人工"),
    Remark("system", "正在转接"),
)
OCCASION = Occasion("王小明", True, "订单 1024", "keyword", "人工")


class Pen:
    """A model that writes what it is told to, fails, or hangs."""

    def __init__(self, *moves: str | Exception | None) -> None:
        self._moves = moves
        self.lines: Sequence[Line] = ()
        self.asked = 0
        self.usage = Usage()

    async def write(self, lines: Sequence[Line]) -> AsyncGenerator[str, None]:
        self.lines = lines
        self.asked += 1
        for move in self._moves:
            if move is None:
                await anyio.sleep_forever()
            elif isinstance(move, Exception):
                raise move
            else:
                yield move


def copilot(
    pen: Pen | Openai | None = None,
    shelf: Shelf | None = None,
    breaker: Breaker | None = None,
    within_s: float = 15,
) -> Copilot:
    return Copilot(
        shelf or Shelf(), pen, breaker or Breaker(), HandClock(), Limits(), within_s=within_s
    )


async def test_the_shops_own_words_are_suggested_and_named() -> None:
    shelf = Shelf("perhaps", RETURNS, SHIPPING)
    assert await copilot(shelf=shelf).suggest("怎么退", (), None) == [
        Suggestion(RETURNS.answer, "knowledge", RETURNS.source),
        Suggestion(SHIPPING.answer, "knowledge", SHIPPING.source),
    ]


async def test_a_model_adds_a_draft_that_knows_the_shop_and_the_chat() -> None:
    pen = Pen("可以", "退的")
    suggestions = await copilot(pen, Shelf("sure", RETURNS)).suggest(
        "那运费呢", said("怎么退货", "七天内"), None
    )
    assert suggestions[1:] == [Suggestion("可以退的", "generated")]
    rules, *chat = pen.lines
    assert RETURNS.answer in rules.content
    assert [line.content for line in chat] == ["怎么退货", "七天内", "那运费呢"]


async def test_what_nobody_knows_is_no_suggestion() -> None:
    assert await copilot(shelf=Shelf("none", SHIPPING)).suggest("?", (), None) == []


TROUBLE = [Transient("x"), Exhausted("x"), KeyError("bug"), StoreUnavailable("x")]


@pytest.mark.parametrize("trouble", [*TROUBLE, None])
async def test_a_model_in_trouble_costs_nothing_but_its_draft(trouble: Exception | None) -> None:
    pilot = copilot(Pen("half", trouble), Shelf("sure", RETURNS), within_s=0.02)
    assert len(await pilot.suggest("?", (), None)) == 1
    assert await pilot.summarize(CHAT, "en", OCCASION) == summarize(CHAT, OCCASION, "en")


async def test_knowledge_in_trouble_costs_nothing_but_its_words() -> None:
    shelf = Shelf()
    shelf.failure = StoreUnavailable("gone")
    assert await copilot(Pen("好"), shelf).suggest("?", (), None) == [Suggestion("好", "generated")]


async def test_it_shares_the_breaker_with_the_bot() -> None:
    breaker, pen = Breaker(threshold=2), Pen(Transient("x"))
    pilot = copilot(pen, breaker=breaker)
    for _ in range(4):
        await pilot.summarize(CHAT, None)
    assert pen.asked == 2
    assert breaker.phase(HandClock().monotonic()) == "open"


async def test_a_model_words_the_summary_in_the_agents_language() -> None:
    pen = Pen("  客戶想退耳機。 ")
    assert await copilot(pen).summarize(CHAT, "zh-TW", OCCASION) == "客戶想退耳機。"
    rules, chat = pen.lines
    assert "traditional Chinese" in rules.content
    assert "王小明" in chat.content
    assert "customer: 已经十天了" in chat.content


async def test_a_model_that_writes_nothing_leaves_the_summary_to_the_rules() -> None:
    assert await copilot(Pen(" ")).summarize(CHAT, "en") == summarize(CHAT, Occasion(), "en")


async def test_it_works_with_a_real_model_over_the_net(openai: Openai) -> None:
    assert "七天无理由退货" in await copilot(openai).summarize(CHAT, None)


def test_the_rules_say_who_what_and_why() -> None:
    assert summarize(CHAT, OCCASION, "zh-CN").splitlines() == [
        "客户：王小明 VIP",
        "主题：订单 1024",
        "最近的问题：耳机坏了， 怎么退货？ / 已经十天了 / 我要人工",
        "机器人已回答：收到商品七天内可以退货。",
        "转人工原因：客户要求人工 (人工)",
    ]
    assert summarize(CHAT, OCCASION, "en").splitlines()[0] == "Customer: 王小明 VIP"
    assert "客戶要求真人" in summarize(CHAT, OCCASION, "zh-TW")


def test_a_chat_without_a_word_has_a_summary_too() -> None:
    assert summarize((), Occasion(), "en") == "The customer has not said anything yet."
    assert "由管理员" in summarize((), Occasion(reason="由管理员"), "zh-CN")
    with_agent = summarize((Remark("agent", "我来处理"),), Occasion(details="x"), None)
    assert "客服曾回复：我来处理" in with_agent


REMARKS = st.lists(
    st.builds(
        Remark,
        by=st.sampled_from(["customer", "bot", "agent", "system"]),
        content=st.text(max_size=400),
    ),
    max_size=12,
)
OCCASIONS = st.builds(
    Occasion,
    customer=st.none() | st.text(max_size=20),
    is_vip=st.booleans(),
    topic=st.none() | st.text(max_size=300),
    reason=st.none() | st.sampled_from(["keyword", "fail_loop", "vip", "manual", "other"]),
    details=st.none() | st.text(max_size=300),
)


@given(REMARKS, OCCASIONS, st.sampled_from([None, "zh-TW", "en"]))
def test_a_summary_is_short_and_never_empty(
    remarks: list[Remark], occasion: Occasion, locale: str | None
) -> None:
    text = summarize(remarks, occasion, locale)
    assert text.strip()
    assert len(text) < 1_300


def test_what_the_bot_says_without_an_answer_is_no_answer() -> None:
    remarks = (
        Remark("customer", "能退吗"),
        Remark("bot", "七天无理由退货。"),
        Remark("customer", "火星呢"),
        Remark("bot", texts.said(texts.UNKNOWN, "zh-CN")),
    )
    assert "机器人已回答：七天无理由退货。" in summarize(remarks, Occasion(), "zh-CN")
