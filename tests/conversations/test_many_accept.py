"""Agents race for chats: one winner each, and never a chat more than there are places."""

import asyncio
from collections import Counter
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.shop import Shop, play, settled


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    max_sessions=st.integers(1, 6),
    commit_s=st.sampled_from([0.0, 0.01, 0.3]),
)
def test_fifty_accepts_at_once_fill_exactly_the_places(
    seed: int, max_sessions: int, commit_s: float
) -> None:
    async def scene(shop: Shop) -> None:
        shop.storage.commit_s = commit_s
        ke = shop.agent(max_sessions=max_sessions)
        await ke.connect()
        customers = [shop.customer(number) for number in range(1, 11)]
        chats = [await customer.start() for customer in customers]
        refusals = await asyncio.gather(
            *(
                ke.accept(chat_id, customer)
                for _ in range(5)
                for chat_id, customer in zip(chats, customers, strict=True)
            )
        )
        await settled(2)
        assert len(shop.storage.active(ke.id)) == max_sessions
        assert set(refusals) <= {None, "AGENT_AT_CAPACITY"}
        assert ke.presence().active_count == max_sessions

    assert play(scene, seed).crashes == []


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), commit_s=st.sampled_from([0.0, 0.01, 0.3]))
def test_of_many_agents_exactly_one_gets_each_chat(seed: int, commit_s: float) -> None:
    async def scene(shop: Shop) -> None:
        shop.storage.commit_s = commit_s
        agents = [shop.agent(number, max_sessions=2) for number in range(1, 6)]
        for agent in agents:
            await agent.connect()
        customers = [shop.customer(number) for number in range(1, 11)]
        chats = [await customer.start() for customer in customers]
        tries = [
            (agent, chat_id, customer)
            for agent in agents
            for chat_id, customer in zip(chats, customers, strict=True)
        ]
        shop.entropy.random.shuffle(tries)
        refusals = await asyncio.gather(
            *(agent.accept(chat_id, customer) for agent, chat_id, customer in tries)
        )
        await settled(2)
        won = Counter(
            chat_id
            for (_, chat_id, _), refusal in zip(tries, refusals, strict=True)
            if refusal is None
        )
        held: list[UUID] = [chat for agent in agents for chat in shop.storage.active(agent.id)]
        assert set(won.values()) <= {1}
        assert sorted(held) == sorted(won)
        assert all(len(shop.storage.active(agent.id)) <= 2 for agent in agents)
        assert set(refusals) <= {None, "AGENT_AT_CAPACITY", "ALREADY_TAKEN"}

    assert play(scene, seed).crashes == []
