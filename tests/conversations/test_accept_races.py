"""Fifty agents race for every chat, while the queue offers them too. KEFU_RACES says how many
races are run; a hundred are usual, `make soak` runs ten thousand."""

import asyncio
import os
from collections import Counter
from typing import Any, Final

from kefu.conversations import messages
from tests.fakes.shop import AgentOnStage, CustomerOnStage, Shop, play, settled
from tests.fakes.storage import Storage

RACES: Final = int(os.environ.get("KEFU_RACES", "120"))
AGENTS: Final = 50
PLACES: Final = 5
AT_ONCE: Final = 60


class Counting(Storage):
    """Looks at every commit whether somebody has more chats than places."""

    most = 0

    def _write(self, entry: Any) -> None:
        super()._write(entry)
        if entry.chats:
            held = Counter(row.agent_id for row in self.chats.values() if row.status == "active")
            self.most = max(self.most, *held.values(), 0) if held else self.most


async def race(shop: Shop, agents: list[AgentOnStage], count: int, first: int) -> None:
    """Some customers come at once, everybody accepts everything, and then they go again."""
    customers = [shop.customer(first + number) for number in range(count)]
    chats = [await customer.start() for customer in customers]
    tries = [(agent, i) for agent in agents for i in range(count)]
    shop.entropy.random.shuffle(tries)
    refusals = await asyncio.gather(*(agent.accept(chats[i], customers[i]) for agent, i in tries))
    winners = Counter(i for (_, i), refusal in zip(tries, refusals, strict=True) if refusal is None)
    assert winners == Counter(range(count)), "one winner each"
    assert set(refusals) <= {None, "AGENT_AT_CAPACITY", "ALREADY_TAKEN"}
    await leave(customers)
    await settled(2)
    for customer in customers:
        del shop.listeners[customer.line.id]
        del shop.storage.chats[chats[customers.index(customer)]]


async def leave(customers: list[CustomerOnStage]) -> None:
    ending = [messages.EndChat(None, customer.party) for customer in customers]
    await asyncio.gather(
        *(c.ref.ask(end, within=30) for c, end in zip(customers, ending, strict=True))
    )


def test_each_race_has_one_winner_and_nobody_is_left_stranded() -> None:
    async def scene(shop: Shop) -> None:
        shop.mode = "round_robin"
        shop.storage = Counting()
        agents = [shop.agent(number, max_sessions=PLACES) for number in range(1, AGENTS + 1)]
        for agent in agents:
            await agent.connect()
        done = 0
        while done < RACES:
            count = min(AT_ONCE, RACES - done)
            await race(shop, agents, count, first=1 + done)
            done += count
        assert isinstance(shop.storage, Counting)
        assert 0 < shop.storage.most <= PLACES
        assert set(shop.stranded) <= {0}

    assert play(scene, 1).crashes == []
