"""When an agent is there, as colleagues see it."""

from uuid import UUID

import pytest

from kefu.agents import messages
from kefu.agents.messages import Verdict
from kefu.agents.state import Desk
from kefu.dispatch import messages as dispatch
from protocol.agent import AgentStatusName
from protocol.codes import ErrorCode
from tests.fakes.shop import SEEDS, AgentOnStage, Shop, on_stage, play, settled


def status(agent: AgentOnStage) -> str | None:
    seen = agent.presence()
    return seen.status if seen else None


def fail_once(shop: Shop) -> None:
    usual = shop.storage.load

    async def load(agent_id: UUID) -> Desk | None:
        shop.storage.load = usual
        raise RuntimeError("a bug")

    shop.storage.load = load


async def choose(agent: AgentOnStage, name: AgentStatusName, note: str | None = None) -> Verdict:
    wish = messages.SetStatus(agent.line.origin("s"), name, note)
    verdict: Verdict = await agent.ref.ask(wish, within=30)
    return verdict


@on_stage
async def test_the_first_socket_makes_an_agent_online(shop: Shop) -> None:
    ke = shop.agent()
    await ke.connect()
    await settled()
    assert status(ke) == "online"


@on_stage
async def test_a_chosen_status_is_kept_across_sockets(shop: Shop) -> None:
    ke = shop.agent(chosen="lunch")
    await ke.connect()
    await settled()
    assert status(ke) == "lunch"
    ke.disconnect()
    await settled(20)
    assert status(ke) == "offline"
    await ke.connect()
    await settled()
    assert status(ke) == "lunch"


@on_stage
async def test_who_chose_to_be_offline_is_online_on_coming_back(shop: Shop) -> None:
    ke = shop.agent(chosen="offline")
    await ke.connect()
    await settled()
    assert status(ke) == "online"


@on_stage
async def test_an_agent_is_gone_fifteen_seconds_after_the_last_socket(shop: Shop) -> None:
    ke = shop.agent()
    phone = shop.listen()
    await ke.connect()
    await ke.connect(phone)
    ke.disconnect()
    await settled(30)
    assert status(ke) == "online"
    ke.disconnect(phone)
    await settled(14.9)
    assert status(ke) == "online"
    await settled(0.2)
    assert status(ke) == "offline"


@on_stage
async def test_a_reload_of_the_page_is_not_seen(shop: Shop) -> None:
    ke = shop.agent()
    await ke.connect()
    await settled()
    ke.disconnect()
    await settled(10)
    await ke.connect(shop.listen())
    await settled(30)
    assert [seen.agent.status for seen in ke.line.heard("agent_status")] == ["online"]


@on_stage
async def test_a_status_is_shown_to_all_and_kept(shop: Shop) -> None:
    ke = shop.agent()
    await ke.connect()
    assert await choose(ke, "break", "十分钟") == Verdict()
    await settled()
    assert (status(ke), ke.presence().note) == ("break", "十分钟")
    assert shop.storage.desks[ke.id].chosen == "break"


@on_stage
async def test_a_status_that_could_not_be_kept_is_not_shown(shop: Shop) -> None:
    ke = shop.agent()
    await ke.connect()
    await settled()
    shop.storage.is_down = True
    assert await choose(ke, "break") == Verdict(ErrorCode.OVERLOADED)
    await settled()
    assert status(ke) == "online"
    assert ke.line.codes() == ["OVERLOADED"]


@on_stage
async def test_an_agent_nobody_knows_is_not_found(shop: Shop) -> None:
    ke = shop.agent()
    del shop.storage.desks[ke.id]
    assert await choose(ke, "busy") == Verdict(ErrorCode.AGENT_NOT_FOUND)
    assert ke.line.codes() == ["AGENT_NOT_FOUND"]


@on_stage
async def test_on_connecting_an_agent_learns_of_their_live_chats(shop: Shop) -> None:
    ke, wang = shop.agent(), shop.customer()
    await ke.connect()
    chat_id = await wang.start()
    await ke.accept(chat_id, wang)
    assert await ke.connect(shop.listen()) == {chat_id: wang.customer.id}
    ke.disconnect()
    await settled(300)  # long gone and forgotten: the store remembers
    assert await ke.connect() == {chat_id: wang.customer.id}


@pytest.mark.parametrize("seed", SEEDS)
def test_an_agent_whose_actor_failed_is_there_all_the_same(seed: int | None) -> None:
    async def scene(shop: Shop) -> None:
        ke, phone = shop.agent(), shop.listen()
        await ke.connect()
        await ke.connect(phone)
        await choose(ke, "lunch")
        fail_once(shop)
        await settled(61)  # it compares, and fails
        assert len(shop.crashes) == 1
        colleague = shop.listen("workbench")
        shop.queue().tell(dispatch.SubscribeFeed(colleague.origin(), ke.id))
        ke.ref.tell(messages.TellPresence())
        ke.disconnect()
        await settled(30)
        (snapshot,) = colleague.heard("queue_snapshot")
        assert [agent.status for agent in snapshot.agents] == ["lunch"]
        assert colleague.heard("agent_status") == []
        ke.disconnect(phone)
        await settled(30)
        assert [seen.agent.status for seen in colleague.heard("agent_status")] == ["offline"]

    assert {str(error) for error in play(scene, seed).crashes} == {"a bug"}


@on_stage
async def test_an_actor_that_failed_goes_on_comparing(shop: Shop) -> None:
    ke = shop.agent()
    shop.connected[ke.id] = {ke.line.id}  # as after a failure: it knows of no socket
    ke.ref.tell(messages.TellPresence())
    await settled()
    del shop.storage.desks[ke.id]
    shop.agent(max_sessions=2)
    await settled(61)
    assert (status(ke), ke.presence().max_sessions) == ("online", 2)


@on_stage
async def test_what_changed_in_the_store_is_seen_within_a_minute(shop: Shop) -> None:
    ke = shop.agent(max_sessions=5)
    await ke.connect()
    del shop.storage.desks[ke.id]
    shop.agent(max_sessions=2)
    await settled(61)
    assert ke.presence().max_sessions == 2


@on_stage
async def test_a_shop_that_closes_has_nobody_call_each_other_awake_for_ever(shop: Shop) -> None:
    ke, slow = shop.agent(1), shop.agent(2)
    await ke.connect()
    await settled()
    load = shop.storage.load

    async def load_slowly(agent_id: UUID) -> Desk | None:
        await settled(1)
        return await load(agent_id)

    shop.storage.load = load_slowly
    before = shop.handled["TellPresence"]
    slow.ref.tell(messages.TellPresence())  # its answer finds no queue any more, and wakes one
    await shop.router.stop(within=30)
    assert shop.handled["TellPresence"] - before == 1
