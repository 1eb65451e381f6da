"""Products in a chat: the bot's cards come with its answer, once, and cards are read as names."""

from uuid import UUID

import pytest

from kefu.conversations import messages, wording
from kefu.conversations.escalation import Rules
from kefu.conversations.events import BotAnswered, Spoken
from kefu.conversations.wording import PRODUCT
from kefu.storage.errors import StoreUnavailable
from tests.conversations import cast
from tests.fakes.products import PACK, TENT
from tests.fakes.shop import CustomerOnStage, Shop, on_stage, play, settled
from tests.fakes.storage import Fault

SHOWN = (TENT.id, PACK.id)
ANSWER = [("ai", "text"), ("ai", "product"), ("ai", "product")]


def said(shop: Shop, chat_id: UUID) -> list[tuple[str, str]]:
    return [(row.sender_type, row.message_type) for row in shop.storage.said(chat_id)]


async def asked(shop: Shop) -> CustomerOnStage:
    """A customer who has asked a bot that shows two products."""
    shop.is_bot_ready = True
    shop.bot.products = SHOWN
    wang = shop.customer()
    wang.say("有没有帐篷")
    return wang


def test_cards_stand_right_behind_the_words_each_with_its_own_key() -> None:
    chat = cast.after(cast.opening(), cast.say(cast.OWNER))
    words, *cards, answered = cast.events_of(chat, cast.answer(1, card_count=2))
    assert isinstance(words, Spoken)
    assert isinstance(answered, BotAnswered)
    spoken = [card for card in cards if isinstance(card, Spoken)]
    assert [(card.seq, card.content) for card in spoken] == [
        (3, str(UUID(int=620))),
        (4, str(UUID(int=621))),
    ]
    assert {(card.sender, card.message_type) for card in spoken} == {(cast.BOT, "product")}
    keys = [each.client_message_id for each in (words, *spoken)]
    assert len(set(keys)) == 3
    assert [messages.answered_seq(key) for key in keys] == [1, None, None]
    assert [messages.is_card_of(keys[0], key) for key in keys] == [False, True, True]
    assert not messages.is_card_of(messages.answer_key(10), messages.card_key(1, 1))
    assert not messages.is_card_of(None, messages.card_key(1, 1))


def test_an_apology_shows_nothing() -> None:
    chat = cast.after(cast.opening(), cast.say(cast.OWNER))
    assert len(cast.events_of(chat, cast.answer(1, is_failure=True, card_count=2))) == 2


@on_stage
async def test_the_bots_cards_are_durable_with_its_answer_and_heard_behind_it(shop: Shop) -> None:
    wang = await asked(shop)
    await settled(0.35)
    before = len(shop.storage.entries)
    await settled(2)
    assert len(shop.storage.entries) == before + 1, "one step"

    heard = wang.line.heard("new_message")
    assert [each.content for each in heard] == ["您好，有什么可以帮您？", *map(str, SHOWN)]
    assert [each.seq for each in heard] == [2, 3, 4]
    assert [each.message_type for each in heard] == ["text", "product", "product"]
    assert len({each.sender_id for each in heard}) == 1
    (question,) = shop.bot.asked
    assert question.viewer == wang.customer.id


@on_stage
async def test_more_than_three_are_not_shown(shop: Shop) -> None:
    wang = await asked(shop)
    shop.bot.products = tuple(UUID(int=n) for n in range(9))
    await settled(2)
    assert len(wang.line.heard("new_message")) == 1 + 3


@on_stage
async def test_an_answer_whose_commit_failed_is_said_later_and_its_cards_once(shop: Shop) -> None:
    wang = await asked(shop)
    await settled(0.35)
    for is_written in (False, True):
        shop.storage.faults.append(Fault(StoreUnavailable("?"), is_written=is_written))
    await settled(10)
    chat_id = (await wang.look()).chat_id
    assert said(shop, chat_id) == [("customer", "text"), *ANSWER]
    await shop.router.evict(lambda id: id.kind == messages.KIND, lambda *_: None, within=1.0)
    await wang.look()
    await settled(10)
    assert said(shop, chat_id) == [("customer", "text"), *ANSWER]


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
@pytest.mark.parametrize("after_s", [0.05, 0.35, 0.39, 0.41, 0.45])
def test_after_a_takeover_no_card_comes_any_more(seed: int | None, after_s: float) -> None:
    async def scene(shop: Shop) -> None:
        wang, ke = await asked(shop), shop.agent()
        await ke.connect()
        await settled(after_s)
        chat_id = (await wang.look()).chat_id
        assert await ke.take_over(chat_id, wang) is None
        at_takeover = said(shop, chat_id)
        await settled(5)
        assert said(shop, chat_id) == at_takeover
        assert at_takeover[1:] in ([], ANSWER)

    assert play(scene, seed).crashes == []


@on_stage
async def test_the_bot_reads_a_card_as_the_products_name(shop: Shop) -> None:
    wang = await asked(shop)
    await settled(2)
    wang.say(str(PACK.id), message_type="product")
    wang.say("这个防水吗")
    await settled(3)
    question = shop.bot.asked[1]
    assert question.text == f"{PACK.name}\n这个防水吗"
    assert [each.content for each in shop.bot.earlier[1]][-2:] == [TENT.name, PACK.name]


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), KeyError("a bug"), None])
def test_a_name_that_cannot_be_found_costs_no_answer(error: Exception | None) -> None:
    async def scene(shop: Shop) -> None:
        shop.is_bot_ready = True
        shop.catalogue.error, shop.catalogue.hangs = error, error is None
        wang = shop.customer()
        wang.say(str(TENT.id), message_type="product")
        await settled(wording.NAMES_WITHIN_S + 2)
        (question,) = shop.bot.asked
        assert question.text == PRODUCT
        assert [each.sender_type for each in wang.line.heard("new_message")] == ["ai"]

    assert play(scene, None).crashes == []


@on_stage
async def test_an_id_is_no_word_that_calls_a_human(shop: Shop) -> None:
    shop.is_bot_ready = True
    shop.rules = Rules(keywords=("dead", "beef"))
    wang = shop.customer()
    wang.say("dead1234-beef-4000-8000-000000000001", message_type="product")
    await settled(2)
    assert (await wang.look()).status == "bot"
    wang.say("dead")
    await settled(2)
    assert (await wang.look()).status == "waiting"
