"""Claims on a real PostgreSQL: whoever owned the slot before writes no more."""

import asyncio
from collections.abc import AsyncIterator

import anyio
import asyncpg
import pytest
from anyio import TaskHandle

from kefu.cluster.placement import SLOT_COUNT
from kefu.cluster.store import PostgresClaims, claim
from kefu.storage.database import DatabasePool, open_pool
from kefu.storage.journal import Journal
from tests.fakes.proxy import proxied_database
from tests.storage.entries import (
    Chat,
    in_the_way_of,
    outcome,
    prepared,
    running,
    seqs,
    until_blocked,
)
from tests.until import until

SLOTS = range(SLOT_COUNT)
CHUNKS = 8  # more than a claim needs, both ways together
HELD_UP_S = 3.0


@pytest.fixture
async def store(pool: DatabasePool) -> DatabasePool:
    return await prepared(pool)


@pytest.fixture
def claims(store: DatabasePool) -> PostgresClaims:
    return PostgresClaims(store)


@pytest.fixture
async def journal(store: DatabasePool, database: str) -> AsyncIterator[Journal]:
    async with running(lambda: asyncpg.connect(database)) as journal:
        yield journal


async def test_a_claim_raises_the_epochs_of_its_slots_and_no_others(
    claims: PostgresClaims, store: DatabasePool
) -> None:
    assert await claims.claim([3, 5], "a") == {3: 2, 5: 2}
    assert await claims.claim([5], "b") == {5: 3}
    rows = await store.fetch("SELECT slot, epoch, instance FROM slot_owner WHERE epoch > 1")
    found = {row["slot"]: (row["epoch"], row["instance"]) for row in rows}
    assert found == {3: (2, "a"), 5: (3, "b")}


async def test_every_slot_can_be_claimed_at_once(claims: PostgresClaims) -> None:
    assert await claims.claim(SLOTS, "a") == dict.fromkeys(SLOTS, 2)


async def test_claiming_nothing_is_nothing(claims: PostgresClaims) -> None:
    assert await claims.claim([], "a") == {}
    assert await claims.renew({}, "a") == {}


async def test_renewing_gives_back_only_what_is_still_held(claims: PostgresClaims) -> None:
    mine = await claims.claim([1, 2, 3], "a")
    await claims.claim([2], "b")
    assert await claims.renew(mine, "a") == {1: 3, 3: 3}
    assert await claims.renew(mine, "a") == {}, "those epochs are over"


async def test_whoever_has_not_claimed_writes_nothing(
    claims: PostgresClaims, journal: Journal, store: DatabasePool
) -> None:
    (old,) = (await claims.claim([7], "a")).values()
    (new,) = (await claims.claim([7], "b")).values()
    stale, current = Chat(7, epoch=old), Chat(7, epoch=new)
    assert await outcome(journal, stale.entry(1)) == "Fenced"
    assert await outcome(journal, current.entry(1)) == "written"
    assert await seqs(store, stale) == []


async def test_whoever_renews_fences_itself_until_it_uses_the_new_epoch(
    claims: PostgresClaims, journal: Journal
) -> None:
    mine = await claims.claim([7], "a")
    renewed = await claims.renew(mine, "a")
    assert await outcome(journal, Chat(7, epoch=mine[7]).entry(1)) == "Fenced"
    assert await outcome(journal, Chat(7, epoch=renewed[7]).entry(1)) == "written"


@pytest.mark.parametrize("is_renewal", [False, True], ids=["claim", "renewal"])
async def test_a_claim_waits_for_a_write_under_way_and_what_is_read_then_is_all_there_is(
    claims: PostgresClaims, journal: Journal, store: DatabasePool, is_renewal: bool
) -> None:
    chat = Chat()
    entry = chat.entry(1)

    async def take_and_read() -> list[int]:
        taken = claims.renew({7: 1}, "b") if is_renewal else claims.claim([7], "b")
        assert await taken == {7: 2}
        return await seqs(store, chat)

    async with in_the_way_of(store, entry) as let_go, anyio.create_task_group() as tasks:
        write = tasks.create_task(outcome(journal, entry))
        await until_blocked(store, "WITH found")
        taking = tasks.create_task(take_and_read())
        await until_blocked(store, "UPDATE slot_owner")
        assert write.status is TaskHandle.Status.PENDING
        await let_go()

    assert write.return_value == "written"
    assert taking.return_value == [1]


async def test_a_write_waits_for_a_claim_under_way_and_then_writes_nothing(
    journal: Journal, store: DatabasePool
) -> None:
    chat = Chat()
    async with store.acquire() as claimant, anyio.create_task_group() as tasks:
        transaction = claimant.transaction()
        await transaction.start()
        await claim(claimant, [7], "b")
        write = tasks.create_task(outcome(journal, chat.entry(1)))
        await until_blocked(store, "WITH found")
        await transaction.commit()

    assert write.return_value == "Fenced"
    assert await seqs(store, chat) == []


async def test_claims_of_overlapping_slots_never_wait_for_each_other_for_ever(
    claims: PostgresClaims,
) -> None:
    """Each names its slots in another order; the rows are locked in one."""
    async with asyncio.timeout(30):
        for _ in range(5):
            taken = await asyncio.gather(
                claims.claim(list(SLOTS), "a"),
                claims.claim(list(reversed(SLOTS)), "b"),
                claims.claim([*SLOTS[500:], *SLOTS[:600]], "c"),
                claims.renew(dict.fromkeys(reversed(SLOTS), 1), "d"),
            )
            assert all(len(one) == SLOT_COUNT for one in taken[:3])
            for slot in SLOTS:
                epochs = [one[slot] for one in taken if slot in one]
                assert len(set(epochs)) == len(epochs), "no two have the same epoch"


@pytest.mark.parametrize("is_renewal", [False, True], ids=["claim", "renewal"])
@pytest.mark.parametrize("chunks", range(1, CHUNKS))
async def test_whoever_falls_asleep_in_the_middle_of_a_claim_keeps_nobody_from_the_slot(
    claims: PostgresClaims, database: str, is_renewal: bool, chunks: int
) -> None:
    """Wherever that is: behind each of the chunks that go to PostgreSQL and come back."""
    async with proxied_database(database) as (network, url), anyio.create_task_group() as tasks:
        pool = await open_pool(url, min_size=1, max_size=1)
        sleeper = PostgresClaims(pool)
        held = await sleeper.claim([7], "a")
        held = await sleeper.renew(held, "a")  # both are known to the connection now
        network.silent_after = chunks
        taken = sleeper.renew(held, "a") if is_renewal else sleeper.claim([7], "a")
        falling_asleep = tasks.create_task(taken)
        await until(
            lambda: network.is_silent or falling_asleep.status is TaskHandle.Status.FINISHED
        )
        try:
            with anyio.fail_after(HELD_UP_S):
                assert await claims.claim([7], "b")
        finally:
            network.silent_after, network.is_silent = None, False
        await falling_asleep.wait()
        await pool.close()


async def test_two_databases_are_told_apart(claims: PostgresClaims) -> None:
    assert await claims.identity() == await claims.identity()
