"""People at different instances talk, compete and are signed out as if there were only one."""

from contextlib import AsyncExitStack

import anyio
import asyncpg
import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.cluster.processes.several import COUNT, Several
from tests.server import Agent
from tests.talk import Talker

SIGNED_OUT_WITHIN_S = 2.0
RACERS = 20
RACES = 5
ROUNDS = 20
PLACES = 2

pytestmark = pytest.mark.timeout(120)

WHO_ACCEPTED = """
    SELECT by_id FROM chat_events WHERE chat_id = $1 AND to_phase = 'manual_live'
"""


@pytest.mark.parametrize("customers_at", range(COUNT))
async def test_they_talk(town: Several, customers_at: int) -> None:
    people = town.people_at(customers_at)
    lin = await people.agent("林")
    for agents_at in range(COUNT):
        async with (
            people.connected(people.customer()) as customer,
            town.people_at(agents_at).at_work(lin) as agent,
        ):
            chat_id = await customer.start(topic="退款")
            await agent.expect("queue_update", chat_id=chat_id, change="added")
            await agent.send("accept_chat", {"chat_id": chat_id}, id="take")
            await agent.expect("chat_status", chat_id=chat_id, status="active")
            await customer.expect("chat_status", chat_id=chat_id, status="active")
            assert (await customer.say("在吗"))["seq"] == 1
            said = await agent.expect("new_message", chat_id=chat_id)
            assert said["payload"]["content"] == "在吗"
            assert (await agent.say("您好", chat_id=chat_id))["seq"] == 2
            heard = await customer.expect("new_message", chat_id=chat_id)
            assert heard["payload"]["content"] == "您好"
            await customer.send("end_chat", {"rating": 5})
            await agent.expect("chat_status", chat_id=chat_id, status="ended")
    assert all(town.server(number).troubles == [] for number in range(COUNT))


async def test_signing_out_at_one_closes_the_sockets_at_the_others(town: Several) -> None:
    agent, colleague = await town.people.agent(), await town.people.agent()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        its_own = [await enter(town.people_at(each).at_work(agent)) for each in range(COUNT)]
        others = [await enter(town.people_at(each).at_work(colleague)) for each in range(COUNT)]
        async with httpx.AsyncClient(base_url=town.urls[0], trust_env=False) as http:
            headers = {"Authorization": f"Bearer {agent.token}"}
            assert (await http.post("/api/agent/logout", headers=headers)).is_success
        with anyio.fail_after(SIGNED_OUT_WITHIN_S):
            assert [await closed(talker) for talker in its_own] == [4501] * COUNT
        for talker in others:
            await talker.settle()


async def closed(talker: Talker) -> int | None:
    """The code the socket is closed with."""
    try:
        while True:
            await talker.socket.recv()
    except ConnectionClosed as end:
        return end.rcvd.code if end.rcvd is not None else None


async def answer_to(talker: Talker, frame_id: str) -> str:
    """`taken`, or the code of the error."""
    while True:
        frame = await talker.next()
        if frame.get("reply_to") == frame_id:
            code: str = "taken" if frame["type"] == "chat_status" else frame["payload"]["code"]
            return code


async def accept_at_once(tries: list[tuple[Talker, str]]) -> list[str]:
    """What each (who, chat) is answered."""
    answers = [""] * len(tries)

    async def accept(number: int, talker: Talker, chat_id: str) -> None:
        await talker.send("accept_chat", {"chat_id": chat_id}, id=f"accept-{chat_id}")
        answers[number] = await answer_to(talker, f"accept-{chat_id}")

    async with anyio.create_task_group() as tasks:
        for number, (talker, chat_id) in enumerate(tries):
            tasks.start_soon(accept, number, talker, chat_id)
    return answers


async def test_of_twenty_who_accept_at_three_instances_one_wins(town: Several) -> None:
    agents = [await town.people.agent() for _ in range(RACERS)]
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        racers = [
            await enter(town.people_at(number % COUNT).connected(agent.token))
            for number, agent in enumerate(agents)
        ]
        for race in range(RACES):
            people = town.people_at(race % COUNT)
            customer = await enter(people.connected(people.customer()))
            chat_id = await customer.start()
            answers = await accept_at_once([(racer, chat_id) for racer in racers])
            assert sorted(answers) == ["ALREADY_TAKEN"] * (RACERS - 1) + ["taken"]
            winner = agents[answers.index("taken")]
            shown = await customer.expect("chat_status", status="active")
            assert shown["payload"]["agent"]["id"] == str(winner.id)
            assert await who_accepted(town, chat_id) == [winner.id]


async def who_accepted(town: Several, chat_id: str) -> list[object]:
    connection = await asyncpg.connect(town.database)
    try:
        return [row["by_id"] for row in await connection.fetch(WHO_ACCEPTED, chat_id)]
    finally:
        await connection.close()


async def started(customer: Talker, over: set[str]) -> str:
    """A new chat, whatever may still be heard of those that are over."""
    await customer.send("start_chat")
    while True:
        status = await customer.expect("chat_status", status="waiting")
        chat_id: str = status["payload"]["chat_id"]
        if chat_id not in over:
            return chat_id


async def test_who_has_two_places_never_gets_three(town: Several) -> None:
    agent: Agent = await town.people.agent(max_sessions=PLACES)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        desks = [await enter(town.people_at(each).connected(agent.token)) for each in range(COUNT)]
        customers = [
            await enter(town.people_at(each).connected(town.people.customer()))
            for each in range(COUNT)
        ]
        over: set[str] = set()
        for _ in range(ROUNDS):
            chat_ids = [await started(customer, over) for customer in customers]
            answers = await accept_at_once(list(zip(desks, chat_ids, strict=True)))
            assert sorted(answers) == ["AGENT_AT_CAPACITY"] + ["taken"] * PLACES
            for customer, chat_id in zip(customers, chat_ids, strict=True):
                await customer.send("end_chat", {"chat_id": chat_id})
                await customer.expect("chat_status", chat_id=chat_id, status="ended")
            over.update(chat_ids)
            for desk in desks:
                await desk.settle()
