"""The verdict at the end: when the faults have stopped, everybody must have everything."""

from typing import Final
from uuid import UUID

from tests.simulation.agent import Agent
from tests.simulation.client import Client
from tests.simulation.customer import Customer
from tests.simulation.supervisor import Supervisor
from tests.simulation.world import World

ANSWERED_WITHIN_S: Final = 10.0


def judge(world: World) -> None:
    """Some time after the faults stopped, and before anybody acts again."""
    for client in world.clients:
        _judge_client(world, client)
    for customer in world.customers:
        _judge_customer(world, customer)
    for agent in world.agents:
        _judge_agent(world, agent)
    _judge_sends(world)


def _judge_client(world: World, client: Client) -> None:
    if not client.is_ready:
        world.violate("I9", f"{client.name} is not connected")
    for sending in client.pending.values():
        world.violate("I9", f"{client.name} still holds {sending.key}")
    for asked in client.asked.values():
        if asked.at > world.now - ANSWERED_WITHIN_S:
            continue
        world.violate("I12", f"{client.name} got no answer to {asked.type}")
    for copy in client.copies.values():
        if copy.is_followed and copy.have != world.tables.head(copy.chat_id):
            head = world.tables.head(copy.chat_id)
            world.violate("I9", f"{client.name} has {copy.have} of {head} in {copy.chat_id}")
        for seq, message_id in copy.message_ids.items():
            stored = world.tables.messages[copy.chat_id].get(seq)
            if stored is None or stored["message_id"] != message_id:
                world.violate("I3", f"{client.name} saw another seq {seq} in {copy.chat_id}")


def _judge_customer(world: World, customer: Customer) -> None:
    open_chat = world.tables.open_chat_of.get(customer.person_id)
    followed = {copy.chat_id: copy for copy in customer.copies.values() if copy.is_followed}
    if set(followed) != ({open_chat} if open_chat is not None else set()):
        world.violate("I9", f"{customer.name} follows {set(followed)}, open is {open_chat}")
        return
    if open_chat is None:
        return
    row, state = world.tables.chats[open_chat], followed[open_chat].state
    assert state is not None
    if world.is_bot_ready and row["status"] == "bot":
        asked, answered = world.tables.asked_seq(open_chat), row["answered_seq"]
        if asked > answered:
            world.violate("I17", f"{customer.name} asked {asked}, answered is {answered}")
    told = (state.status, state.agent.id if state.agent else None)
    if told != (row["status"], row["agent_id"] if row["status"] == "active" else None):
        world.violate("I9", f"{customer.name} was told {told} of {open_chat}: {row['status']}")


def _judge_agent(world: World, agent: Agent) -> None:
    active = {row["id"]: row for row in world.tables.in_status("active")}
    mine = {id for id, row in active.items() if row["agent_id"] == agent.person_id}
    if {copy.chat_id for copy in agent.chats} != mine:
        world.violate("I9", f"{agent.name} follows other chats than are in their charge")
    if isinstance(agent, Supervisor):
        _judge_watches(world, agent)
    feed = agent.feed
    if feed is None:
        world.violate("I9", f"{agent.name} has no list")
        return
    waiting = {row["id"] for row in world.tables.in_status("waiting")}
    if set(feed.waiting) != waiting:
        world.violate("I9", f"{agent.name} sees {len(feed.waiting)} waiting, {len(waiting)} are")
    counts: dict[UUID, int] = {}
    for row in active.values():
        counts[row["agent_id"]] = counts.get(row["agent_id"], 0) + 1
    unseen = [other.name for other in world.agents if other.person_id not in feed.agents]
    if unseen:
        world.violate("I9", f"{agent.name} sees nothing of {', '.join(unseen)}")
    for id, presence in feed.agents.items():
        if presence.active_count != counts.get(id, 0):
            told = f"{presence.name} has {presence.active_count}, really {counts.get(id, 0)}"
            world.violate("I9", f"{agent.name} was told that {told}")


def _judge_watches(world: World, supervisor: Supervisor) -> None:
    """What is watched is followed: that nothing of it is missing is checked as of any chat."""
    for chat_id in supervisor.watching:
        copy = supervisor.copies[chat_id]
        is_open = world.tables.chats[chat_id]["status"] != "ended"
        if copy.is_followed != is_open:
            told = f"follows {chat_id}: {copy.is_followed}, which is open: {is_open}"
            world.violate("I9", f"{supervisor.name} {told}")


def judge_positions(world: World) -> None:
    """Each customer who waits was told their place in the one order."""
    feed = world.agents[0].feed
    for customer in world.customers:
        chat = customer.chat
        if feed is None or chat is None or chat.state is None or chat.status != "waiting":
            continue
        place = feed.order.index(chat.chat_id) + 1 if chat.chat_id in feed.order else None
        if chat.state.queue_position != place:
            told = f"was told place {chat.state.queue_position}, it is {place}"
            world.violate("I9", f"{customer.name} {told}")


def _judge_sends(world: World) -> None:
    order = world.rules.order
    for client in world.clients:
        last: dict[tuple[int, UUID], tuple[int, int]] = {}
        for sending in client.sendings.values():
            place = order.get((client.person_id, sending.key))
            if sending.refused is not None and place is not None:
                world.violate("I2", f"{sending.key} was refused ({sending.refused}) and written")
            if sending.receipt is None:
                continue
            chat_id, seq, message_id = sending.receipt
            stored = world.tables.messages[chat_id].get(seq)
            if stored is None or stored["message_id"] != message_id:
                world.violate("I1", f"{sending.key} was acknowledged and is not there")
            if sending.attempts == 1:
                connection, frame = sending.place
                before = last.get((connection, chat_id), (0, 0))
                if frame > before[0] and seq < before[1]:
                    world.violate("I3", f"{sending.key} overtook what {client.name} said before")
                last[connection, chat_id] = (frame, seq)
