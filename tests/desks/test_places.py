"""Places are counted once, and a place in doubt is neither lost nor given away."""

from typing import Any

from kefu.agents import messages
from kefu.conversations import messages as conversations
from kefu.dispatch import messages as dispatch
from kefu.storage.errors import StoreUnavailable
from protocol.codes import ErrorCode
from tests.fakes.shop import AgentOnStage, CustomerOnStage, Shop, on_stage, settled
from tests.fakes.storage import Fault

UNHEARD = StoreUnavailable("PostgreSQL does not answer.")


async def two_waiting(shop: Shop) -> tuple[AgentOnStage, list[tuple[Any, CustomerOnStage]]]:
    """An agent with one place, and two customers who wait."""
    ke = shop.agent(max_sessions=1)
    await ke.connect()
    customers = [shop.customer(1), shop.customer(2)]
    return ke, [(await customer.start(), customer) for customer in customers]


@on_stage
async def test_a_full_desk_is_refused_and_a_freed_place_is_given(shop: Shop) -> None:
    ke, (first, second) = await two_waiting(shop)
    assert await ke.accept(*first) is None
    assert await ke.accept(*second) is ErrorCode.AGENT_AT_CAPACITY
    assert ke.line.codes() == ["AGENT_AT_CAPACITY"]
    await first[1].end()
    await settled()
    assert await ke.accept(*second) is None


@on_stage
async def test_accepting_ones_own_chat_again_is_no_error_at_a_full_desk(shop: Shop) -> None:
    ke, (first, _) = await two_waiting(shop)
    assert await ke.accept(*first) is None
    assert await ke.accept(*first) is None
    assert ke.presence().active_count == 1


@on_stage
async def test_a_place_is_free_again_after_a_refusal(shop: Shop) -> None:
    ke, (first, second) = await two_waiting(shop)
    fu = shop.agent(2)
    await fu.connect()
    await fu.accept(*first)
    assert await ke.accept(*first) is ErrorCode.ALREADY_TAKEN
    assert await ke.accept(*second) is None


@on_stage
async def test_a_chat_that_came_unheard_keeps_its_place(shop: Shop) -> None:
    ke, (first, second) = await two_waiting(shop)
    shop.storage.faults.append(Fault(UNHEARD, is_written=True))
    assert await ke.accept(*first) is ErrorCode.OVERLOADED
    assert await ke.accept(*second) is ErrorCode.AGENT_AT_CAPACITY
    await settled(20)
    assert ke.presence().active_count == 1
    assert await ke.accept(*second) is ErrorCode.AGENT_AT_CAPACITY


@on_stage
async def test_a_chat_that_never_came_gives_its_place_back(shop: Shop) -> None:
    ke, (first, second) = await two_waiting(shop)
    shop.storage.faults.append(Fault(UNHEARD))
    assert await ke.accept(*first) is ErrorCode.OVERLOADED
    assert await ke.accept(*second) is ErrorCode.AGENT_AT_CAPACITY
    await settled(20)
    assert await ke.accept(*second) is None


@on_stage
async def test_a_place_stays_in_doubt_while_the_store_is_down(shop: Shop) -> None:
    ke, (first, second) = await two_waiting(shop)
    shop.storage.faults.append(Fault(UNHEARD))
    await ke.accept(*first)
    shop.storage.is_down = True
    await settled(20)
    assert await ke.accept(*second) is ErrorCode.AGENT_AT_CAPACITY
    shop.storage.is_down = False
    await settled(20)
    assert await ke.accept(*second) is None


@on_stage
async def test_an_answer_that_takes_too_long_leaves_the_place_in_doubt(shop: Shop) -> None:
    ke, (first, second) = await two_waiting(shop)
    shop.storage.commit_s = 9.0
    assert await ke.accept(*first) is ErrorCode.OVERLOADED
    shop.storage.commit_s = 0.0
    await settled(3)  # by now the chat has come
    assert ke.presence().active_count == 1
    assert await ke.accept(*second) is ErrorCode.AGENT_AT_CAPACITY


@on_stage
async def test_a_freed_place_nobody_told_of_is_found(shop: Shop) -> None:
    ke, (first, second) = await two_waiting(shop)
    await ke.accept(*first)
    row = shop.storage.chats[first[0]]
    shop.storage.chats[first[0]] = type(row)(
        **{name: getattr(row, name) for name in row.__struct_fields__} | {"status": "ended"}
    )
    await settled(61)
    assert ke.presence().active_count == 0
    assert await ke.accept(*second) is None


@on_stage
async def test_presence_counts_the_live_chats(shop: Shop) -> None:
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    await ke.accept(await wang.start(), wang)
    await settled()
    assert ke.presence().active_count == 1
    await wang.end()
    await settled()
    assert ke.presence().active_count == 0


@on_stage
async def test_a_supervisor_takes_over_only_with_a_place_free(shop: Shop) -> None:
    ke, (first, second) = await two_waiting(shop)
    boss = shop.agent(2, max_sessions=1)
    await boss.connect()
    await ke.accept(*first)
    take = messages.TakeOver(boss.line.origin(), first[0], first[1].customer.id, True)
    assert (await boss.ref.ask(take, within=30)).refused is None
    await settled()
    assert (ke.presence().active_count, boss.presence().active_count) == (0, 1)
    take = messages.TakeOver(boss.line.origin(), second[0], second[1].customer.id, True)
    assert (await boss.ref.ask(take, within=30)).refused is ErrorCode.AGENT_AT_CAPACITY


@on_stage
async def test_a_released_chat_frees_the_place_and_leaves_the_queue(shop: Shop) -> None:
    ke, (first, _) = await two_waiting(shop)
    await ke.accept(*first)
    release = conversations.ReleaseChat(ke.line.origin(), ke.party, first[0])
    await first[1].ref.ask(release, within=30)
    shop.queue().tell(dispatch.SubscribeFeed(ke.line.origin("q"), ke.id))
    await settled()
    waiting = {item.chat_id for item in ke.line.heard("queue_snapshot")[-1].waiting}
    assert ke.presence().active_count == 0
    assert first[0] not in waiting
