"""Waiting chats are offered to agents one after another, on the real router in virtual time."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from kefu.agents import messages as agents
from kefu.dispatch import messages
from protocol.agent import AgentStatusName
from protocol.codes import ErrorCode
from tests.fakes.shop import (
    SEEDS,
    AgentOnStage,
    CustomerOnStage,
    Listener,
    Shop,
    on_stage,
    play,
    settled,
)

OFFER_S = 30.0


async def at_work(shop: Shop, *numbers: int, **desk: Any) -> list[AgentOnStage]:
    """Agents who have come in that order, in a shop that offers chats in turn."""
    shop.mode = "round_robin"
    there = [shop.agent(number, **desk) for number in numbers]
    for agent in there:
        await agent.connect()
        await settled(0.1)
    return there


def offered(agent: AgentOnStage) -> list[UUID]:
    return [offer.chat_id for offer in agent.line.heard("chat_offer")]


async def decline(agent: AgentOnStage, chat_id: UUID) -> None:
    message = messages.DeclineOffer(agent.line.origin("d"), agent.id, chat_id)
    assert agent.shop.queue().tell(message)
    await settled(0.1)


async def choose(agent: AgentOnStage, name: AgentStatusName) -> None:
    await agent.ref.ask(agents.SetStatus(agent.line.origin(), name), within=30)
    await settled(0.1)


async def waits(shop: Shop, number: int = 1) -> tuple[UUID, CustomerOnStage]:
    customer = shop.customer(number)
    chat_id = await customer.start()
    await settled(0.1)
    return chat_id, customer


@on_stage
async def test_a_waiting_chat_is_offered_to_one_agent_on_all_their_sockets(shop: Shop) -> None:
    ke, fu = await at_work(shop, 1, 2)
    phone = shop.listen(ke.line.topics[0])
    chat_id, _ = await waits(shop)
    (offer,) = ke.line.heard("chat_offer")
    assert offer.chat_id == chat_id
    left = offer.expires_at - shop.clock.now()
    assert timedelta(seconds=OFFER_S - 1) < left <= timedelta(seconds=OFFER_S)
    assert ke.line.tags.index("queue_update") < ke.line.tags.index("chat_offer")
    assert phone.heard("chat_offer") == [offer]
    assert offered(fu) == []


@on_stage
async def test_where_agents_pick_nobody_is_offered_anything(shop: Shop) -> None:
    ke = shop.agent()
    await ke.connect()
    chat_id, _ = await waits(shop)
    await settled(100)
    assert offered(ke) == []
    assert shop.stranded == []
    await decline(ke, chat_id)
    assert ke.line.codes() == ["NOT_WAITING"]


@on_stage
async def test_a_declined_chat_is_offered_to_the_next_one(shop: Shop) -> None:
    ke, fu = await at_work(shop, 1, 2)
    chat_id, _ = await waits(shop)
    await decline(ke, chat_id)
    assert (offered(ke), offered(fu)) == ([chat_id], [chat_id])
    assert ke.line.codes() == []


@on_stage
async def test_only_what_is_offered_to_oneself_can_be_declined(shop: Shop) -> None:
    ke, fu = await at_work(shop, 1, 2)
    chat_id, _ = await waits(shop)
    await decline(fu, chat_id)
    (fault,) = fu.line.heard("error")
    assert (fault.code, fault.chat_id) == ("NOT_WAITING", chat_id)
    assert fu.line.frames[-1].reply_to == "d"
    assert (offered(ke), offered(fu)) == ([chat_id], [])


@on_stage
async def test_an_offer_that_runs_out_goes_to_the_next_one_and_later_comes_back(
    shop: Shop,
) -> None:
    ke, fu = await at_work(shop, 1, 2)
    chat_id, _ = await waits(shop)
    await settled(OFFER_S - 1)
    assert offered(fu) == []
    await settled(2)
    assert offered(fu) == [chat_id]
    await settled(OFFER_S + 1)
    assert offered(ke) == [chat_id], "there is a rest when everybody was asked"
    await settled(OFFER_S + 1)
    assert offered(ke) == [chat_id, chat_id]


@on_stage
async def test_an_accepted_chat_rings_nobody_else(shop: Shop) -> None:
    ke, fu = await at_work(shop, 1, 2, max_sessions=1)
    chat_id, wang = await waits(shop)
    assert await ke.accept(chat_id, wang) is None
    await settled(3 * OFFER_S)
    assert (offered(ke), offered(fu)) == ([chat_id], [])


@on_stage
async def test_anybody_with_a_place_may_take_what_is_on_offer_to_another(shop: Shop) -> None:
    ke, fu = await at_work(shop, 1, 2, max_sessions=1)
    chat_id, wang = await waits(shop)
    assert await fu.accept(chat_id, wang) is None
    other, _ = await waits(shop, 2)
    assert offered(ke) == [chat_id, other]
    assert offered(fu) == []


@on_stage
async def test_a_place_that_comes_free_pulls_from_the_queue(shop: Shop) -> None:
    (ke,) = await at_work(shop, 1, max_sessions=1)
    first, wang = await waits(shop)
    await ke.accept(first, wang)
    second, _ = await waits(shop, 2)
    assert offered(ke) == [first]
    await wang.end()
    await settled(0.1)
    assert offered(ke) == [first, second]


@on_stage
async def test_a_place_held_for_a_chat_that_another_got_is_free_again(shop: Shop) -> None:
    ke, fu = await at_work(shop, 1, 2, max_sessions=1)
    first, wang = await waits(shop)
    await ke.accept(first, wang)
    assert await fu.accept(first, wang) is ErrorCode.ALREADY_TAKEN
    second, _ = await waits(shop, 2)
    assert offered(fu) == [second]


@on_stage
async def test_an_agent_who_comes_online_pulls_from_the_queue(shop: Shop) -> None:
    (ke,) = await at_work(shop, 1, chosen="lunch")
    chat_id, _ = await waits(shop)
    assert offered(ke) == []
    await choose(ke, "online")
    assert offered(ke) == [chat_id]


@on_stage
async def test_who_goes_away_loses_their_offers_to_the_others_at_once(shop: Shop) -> None:
    ke, fu = await at_work(shop, 1, 2)
    chat_id, _ = await waits(shop)
    await choose(ke, "break")
    assert offered(fu) == [chat_id]
    await decline(ke, chat_id)
    assert ke.line.codes() == ["NOT_WAITING"]


@on_stage
async def test_nobody_is_offered_more_than_they_have_places(shop: Shop) -> None:
    ke, fu = await at_work(shop, 1, 2, max_sessions=2)
    chats = [await waits(shop, number) for number in range(1, 7)]
    assert len(offered(ke)) == len(offered(fu)) == 2
    mine = dict(chats)[offered(ke)[0]]
    assert await ke.accept(offered(ke)[0], mine) is None
    await settled(0.1)
    assert len(offered(ke)) == 2


@on_stage
async def test_a_chat_taken_from_the_list_costs_an_offer_for_which_no_place_is_left(
    shop: Shop,
) -> None:
    (ke,) = await at_work(shop, 1, max_sessions=2)
    chats = [await waits(shop, number) for number in range(1, 4)]
    assert offered(ke) == [chats[0][0], chats[1][0]]
    assert await ke.accept(*chats[2]) is None
    (fu,) = await at_work(shop, 2, max_sessions=2)
    assert offered(fu) == [chats[1][0]]


@on_stage
async def test_the_members_of_a_team_are_offered_its_chats(shop: Shop) -> None:
    team = UUID(int=51)
    ke, fu = shop.agent(1), shop.agent(2, team_ids=(team,))
    shop.mode = "least_busy"
    for agent in (ke, fu):
        await agent.connect()
    now, chat_id = shop.clock.now().timestamp(), UUID(int=7)
    waiting = messages.Waiting(chat_id, UUID(int=99), now, team_id=team)
    shop.queue().tell(messages.Enqueue(waiting))
    await settled(0.1)
    assert (offered(ke), offered(fu)) == ([], [chat_id])
    assert ke.line.heard("queue_update")[-1].item.team_id == team
    shop.queue().tell(messages.Enqueue(messages.Waiting(chat_id, UUID(int=99), now)))
    await settled(0.1)
    assert (offered(ke), offered(fu)) == ([chat_id], [chat_id]), "it is for anybody now"


@on_stage
async def test_who_connects_again_hears_their_open_offers_behind_the_list(shop: Shop) -> None:
    ke, fu = await at_work(shop, 1, 2)
    await waits(shop)
    (first,) = ke.line.heard("chat_offer")
    await settled(10)
    for agent, expected in ((ke, [first.expires_at]), (fu, [])):
        again = shop.listen("workbench")
        shop.queue().tell(messages.SubscribeFeed(again.origin("s"), agent.id))
        await settled(0.1)
        assert again.tags[0] == "queue_snapshot"
        assert [offer.expires_at for offer in again.heard("chat_offer")] == expected
        assert {frame.reply_to for frame in again.frames} == {"s"}


async def snapshot(shop: Shop) -> Any:
    line: Listener = shop.listen()
    shop.queue().tell(messages.SubscribeFeed(line.origin(), UUID(int=404)))
    await settled(0.1)
    (found,) = line.heard("queue_snapshot")
    return found


async def crash(shop: Shop, *, while_down: bool = False) -> None:
    """Let the queue fail once, and start anew while its store answers or does not."""
    usual = shop.storage.waiting

    async def waiting() -> list[messages.Waiting]:
        shop.storage.waiting = usual
        shop.storage.is_down = while_down
        raise RuntimeError("a bug")

    shop.storage.waiting = waiting
    while not shop.crashes:
        await settled(0.1)
    await settled(0.5)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_queue_that_starts_anew_knows_at_once_who_is_there_and_offers_again(
    seed: int | None,
) -> None:
    async def scene(shop: Shop) -> None:
        ke, fu = await at_work(shop, 1, 2)
        await choose(fu, "lunch")
        shop.agent(3)  # who is not there
        chat_id, _ = await waits(shop)
        old = await snapshot(shop)
        await crash(shop)
        fresh = await snapshot(shop)
        assert fresh.feed_id != old.feed_id
        assert {agent.agent_id: agent.status for agent in fresh.agents} == {
            ke.id: "online",
            fu.id: "lunch",
        }
        assert offered(ke) == [chat_id, chat_id]

    assert {str(error) for error in play(scene, seed).crashes} == {"a bug"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_queue_without_its_store_answers_and_says_what_it_finds_later(seed: int | None) -> None:
    async def scene(shop: Shop) -> None:
        chat_id, _ = await waits(shop)
        await crash(shop, while_down=True)
        empty = await snapshot(shop)
        assert empty.waiting == ()
        watcher = shop.listen("workbench")
        shop.storage.is_down = False
        await settled(1.1)
        (update,) = watcher.heard("queue_update")
        assert (update.feed_id, update.change, update.chat_id) == (empty.feed_id, "added", chat_id)
        await settled(60)
        assert len(watcher.heard("queue_update")) == 1

    assert {str(error) for error in play(scene, seed).crashes} == {"a bug"}


@on_stage
async def test_nobody_was_ever_left_waiting_while_somebody_was_free(shop: Shop) -> None:
    ke, fu = await at_work(shop, 1, 2, max_sessions=2)
    chats = dict([await waits(shop, number) for number in range(1, 8)])
    for second in range(200):
        await settled(1)
        if second % 7 == 0:
            agent = (ke, fu)[second % 2]
            for chat_id in offered(agent)[-2:]:
                await agent.accept(chat_id, chats[chat_id])
        if second % 11 == 0:
            await chats[list(chats)[second % 7]].end()
    assert len(shop.stranded) >= 199
    assert set(shop.stranded) == {0}
