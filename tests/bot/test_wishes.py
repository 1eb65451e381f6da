"""Which sentences wish to be shown products, and which only look like it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kefu.bot.wishes import Wish, is_named, wish_of

ANYTHING = Wish(is_advice=True)
ADVICE = {
    **dict.fromkeys(
        (
            "有什么推荐",
            "有什麼推薦的嗎",
            "有推荐的吗",
            "你好，推荐一下",
            "能推荐一下吗",
            "请推荐",
            "求推荐",
            "有什么好",
            "有什么好的？",
            "有什么好东西",
            "有什麼好吃的",
            "买什么好",
            "送女朋友什么好",
            "给朋友推荐一款礼物",
            "有哪些热销的",
            "what do you recommend?",
            "What do you recommend for beginners?",
            "Could you please suggest something",
            "any recommendations?",
            "Any suggestions for a rainy trip",
            "what's popular",
        )
    ),
    "推荐一款帐篷": "帐篷",
    "推薦一款帳篷": "帳篷",
    "给我推荐个睡袋吧": "睡袋",
    "推荐点零食": "零食",
    "推荐点心": "点心",
    "帮我推荐几款适合新手的帐篷": "帐篷",
    "有没有推荐的帐篷": "帐篷",
    "有什么帐篷推荐吗": "帐篷",
    "帐篷推荐": "帐篷",
    "can you recommend a tent?": "tent",
    "recommend me a sleeping bag": "sleeping bag",
    "Tent recommendations": "Tent",
    "我上次买的很好，再推荐一款背包": "背包",
}
SEARCHES = {
    "有没有帐篷": "帐篷",
    "有沒有帳篷": "帳篷",
    "有帐篷吗": "帐篷",
    "有帐篷卖吗": "帐篷",
    "帐篷有吗": "帐篷",
    "双人帐篷有货吗": "双人帐篷",
    "卖帐篷吗": "帐篷",
    "有没有卖帐篷的": "帐篷",
    "我想买帐篷": "帐篷",
    "想買個雙人帳篷": "雙人帳篷",
    "在找一顶帐篷": "帐篷",
    "请问你们家有没有那种双人的帐篷啊？": "帐篷",
    "有没有红色的帐篷": "帐篷",
    "有没有帐篷和睡袋": "帐篷",
    "有什么好的帐篷": "帐篷",
    "买哪款帐篷好": "帐篷",
    "有灯吗": "灯",
    "有没有 GoPro 支架": "GoPro 支架",
    "上次客服推荐的睡袋有货吗": "睡袋",
    "do you have a tent": "tent",
    "Hi! Do you have any waterproof tents for two people?": "waterproof tents",
    "do you sell lamps?": "lamps",
    "I'm looking for a sleeping bag": "sleeping bag",
    "i want to buy a tent": "tent",
    "are there any backpacks": "backpacks",
    "any tents in stock": "tents",
}
NO_WISH = """
推荐人怎么填
推荐人是谁
推薦人
推荐码在哪
推荐奖励什么时候到
有推荐奖励吗
推荐好友有奖励吗
推荐给朋友有优惠吗
朋友推荐我来的
朋友推荐的
你们推荐的帐篷坏了
你们推荐的帐篷很好用
客服推荐我换货
别再给我推荐了
不要推荐
不推荐购买
强烈推荐
怎么关闭个性化推荐
推荐尺码是多少
我要投诉，有没有帐篷
骗子，还有没有帐篷
帐篷坏了怎么办
帐篷什么时候发货
有没有我的快递
我的订单到哪了
订单有没有发货
想买的帐篷什么时候到货
有货吗
有现货吗
有人吗
有问题吗
有优惠吗
有没有优惠券
帐篷有红色吗
有什么好处
有什么好办法
有什么好的解决方案
怎么退货
有没有收到我的钱
没有了
运费多少
帐篷多少钱
双人帐篷
有没有
你好
谢谢
hello
I would not recommend this
My friend recommended you
Who recommended it?
can I recommend a friend
do I get something if I recommend a friend
the tent you recommended is broken
I suggest you refund me
please suggest a solution
any suggestions on how to fix it
would you recommend this tent?
what do you recommend I do about the noise
do you have my order
where is my tent
is there any news about my parcel
I want to return a tent
This is terrible, do you have any tents that work
""".strip().splitlines()


@pytest.mark.parametrize(("text", "noun"), ADVICE.items())
def test_who_asks_for_advice_is_advised(text: str, noun: str | None) -> None:
    wish = wish_of(text)
    assert wish is not None
    assert wish.is_advice
    assert wish.noun == (noun or "")
    assert bool(wish.phrase) == bool(noun)


@pytest.mark.parametrize(("text", "noun"), SEARCHES.items())
def test_who_asks_for_something_is_shown_that_and_nothing_else(text: str, noun: str) -> None:
    wish = wish_of(text)
    assert wish is not None
    assert (wish.is_advice, wish.noun) == (False, noun)
    assert noun in wish.phrase
    assert wish.phrase in text


@pytest.mark.parametrize("text", NO_WISH)
def test_what_only_looks_like_a_wish_is_none(text: str) -> None:
    assert wish_of(text) is None


def test_of_several_sentences_the_first_wish_counts() -> None:
    assert wish_of("帐篷什么时候发货？有没有睡袋。推荐一下") == Wish(False, "睡袋", "睡袋")
    assert wish_of("双人帐篷\n有什么推荐") == ANYTHING


@pytest.mark.parametrize(
    ("name", "noun"),
    [
        ("山野双人帐篷", "帐篷"),
        ("山野雙人帳篷", "帐篷"),
        ("山野双人帐篷", "雙人帳篷"),
        ("露营灯", "灯"),
        ("Trail tent 2P", "Tents"),
        ("Sleeping bag, down", "sleeping bags"),
        ("Rechargeable batteries", "battery"),
        ("运动相机 GoPro 支架", "gopro 支架"),
        ("iPhone15 case", "iphone"),
        ("露营灯 三档可调", "灯"),
    ],
)
def test_a_name_has_the_noun_in_either_script_and_number(name: str, noun: str) -> None:
    assert is_named(name, noun)


@pytest.mark.parametrize(
    ("name", "noun"),
    [
        ("徒步背包", "帐篷"),
        ("山野双人帐篷", "单人帐篷"),
        ("菜单夹", "单"),
        ("Content management for dummies", "tent"),
        ("Pants", "pan"),
        ("Tote bag", "sleeping bag"),
        ("山野双人帐篷", ""),
    ],
)
def test_a_name_without_the_noun_is_of_something_else(name: str, noun: str) -> None:
    assert not is_named(name, noun)


WORDS = st.lists(
    st.sampled_from([*"有没推荐的帐篷吗买什么好想一个款给我朋友 ", "do you have ", "recommend "])
    | st.characters(),
    max_size=40,
).map("".join)


@given(WORDS)
@example("有推 有没")
def test_whatever_is_said_a_wish_names_what_was_said_or_nothing(text: str) -> None:
    wish = wish_of(text)
    if wish is not None:
        assert wish.phrase in text
        assert wish.noun in wish.phrase
        assert bool(wish.noun) == bool(wish.phrase)
        assert wish.is_advice or wish.noun
        assert not wish.noun or is_named(wish.noun, wish.noun) or not wish.noun.strip()
