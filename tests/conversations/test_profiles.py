"""What is known of a customer is durable together with the first thing that stands on it."""

from msgspec.structs import replace

from kefu.conversations.escalation import Rules
from kefu.storage.errors import StoreUnavailable
from kefu.storage.journal import JournalFull
from tests.fakes.shop import CustomerOnStage, Shop, on_stage, settled
from tests.fakes.storage import Fault


def with_token(wang: CustomerOnStage, **says: bool) -> None:
    wang.customer = replace(wang.customer, **says)


@on_stage
async def test_a_customer_is_written_with_their_first_chat_and_not_with_every_word(
    shop: Shop,
) -> None:
    wang = shop.customer()
    wang.say("在吗")
    await settled(1)
    wang.say("有人吗")
    await settled(1)
    opened, *later = shop.storage.entries
    assert opened.customer is not None
    assert (opened.customer.name, len(opened.chats), len(opened.messages)) == ("顾客1", 1, 1)
    assert [entry.customer for entry in later] == [None] * len(later)


@on_stage
async def test_from_the_first_signed_word_on_the_chat_is_known_to_be_theirs(shop: Shop) -> None:
    wang = shop.customer()
    await wang.start()
    with_token(wang, is_signed=True)
    await wang.start()
    assert shop.storage.customers[wang.customer.id].is_signed
    count = len(shop.storage.entries)
    await wang.start()
    assert len(shop.storage.entries) == count, "said once is enough"


@on_stage
async def test_a_signature_that_was_not_written_is_with_the_next_try(shop: Shop) -> None:
    wang = shop.customer()
    wang.say("在吗")
    await settled(1)
    with_token(wang, is_signed=True)
    shop.storage.faults += [Fault(StoreUnavailable("unheard")), Fault(JournalFull())]
    for words in ("一", "二"):
        wang.say(words)
        await settled(5)
    assert wang.line.codes() == ["OVERLOADED", "OVERLOADED"]
    assert not shop.storage.customers[wang.customer.id].is_signed
    wang.say("三")
    await settled(1)
    assert shop.storage.customers[wang.customer.id].is_signed


@on_stage
async def test_who_is_refused_has_shown_their_signature_all_the_same(shop: Shop) -> None:
    shop.is_bot_ready = True
    wang = shop.customer()
    for number in range(20):
        wang.say(str(number))
        await settled(0.5)
    with_token(wang, is_signed=True)
    wang.say("在吗")
    await settled(0.5)
    assert wang.line.codes() == ["RATE_LIMITED"]
    assert shop.storage.customers[wang.customer.id].is_signed


@on_stage
async def test_a_vip_is_one_in_the_next_chat_too_whatever_its_token_says(shop: Shop) -> None:
    shop.is_bot_ready, shop.rules = True, Rules()
    wang = shop.customer()
    await wang.start(wants_human=False)
    with_token(wang, is_signed=True, is_vip=True)
    await wang.start(wants_human=False)
    await wang.end()
    with_token(wang, is_signed=False, is_vip=False)
    wang.say("在吗")
    await settled(1)
    assert (await wang.look()).status == "waiting"
