"""Refresh tokens are good once; copied ones end the session; signing out counts at once."""

from uuid import uuid4

import anyio
import pytest

from kefu.audit.messages import SYSTEM
from kefu.errors import Problem
from kefu.storage.database import connected
from protocol.accounts import SignedIn
from protocol.codes import ErrorCode
from tests.agents.office import GOOD, HERE, Office

BLOCKED = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def refused(office: Office, refresh_token: str) -> bool:
    try:
        await office.accounts.refresh(refresh_token)
    except Problem as problem:
        return problem.code == ErrorCode.UNAUTHORIZED
    return False


async def session_row(office: Office) -> tuple[int, str | None]:
    async with connected(office.pool) as connection:
        row = await connection.fetchrow("SELECT generation, revoked_reason FROM agent_sessions")
    assert row is not None
    return row["generation"], row["revoked_reason"]


@pytest.fixture
async def signed_in(office: Office) -> SignedIn:
    return await office.accounts.sign_in("lin", GOOD, HERE)


async def test_a_refresh_gives_a_new_pair_of_the_same_session(
    office: Office, signed_in: SignedIn
) -> None:
    office.clock.advance(3600)
    assert not await office.is_alive(signed_in.token)
    renewed = await office.accounts.refresh(signed_in.refresh_token)
    assert renewed.refresh_token != signed_in.refresh_token
    assert await office.is_alive(renewed.token)
    assert await session_row(office) == (2, None)


async def test_someone_who_keeps_refreshing_stays_signed_in(
    office: Office, signed_in: SignedIn
) -> None:
    refresh_token = signed_in.refresh_token
    for _ in range(4):
        office.clock.advance(6 * 86400)
        refresh_token = (await office.accounts.refresh(refresh_token)).refresh_token
    office.clock.advance(7 * 86400)
    assert await refused(office, refresh_token)


async def test_an_exchanged_refresh_token_seen_again_ends_the_whole_session(
    office: Office, signed_in: SignedIn, caplog: pytest.LogCaptureFixture
) -> None:
    second = await office.accounts.refresh(signed_in.refresh_token)
    third = await office.accounts.refresh(second.refresh_token)
    assert await refused(office, signed_in.refresh_token)
    assert not await office.is_alive(third.token)
    assert await refused(office, third.refresh_token)
    assert (await session_row(office))[1] == "reused"
    warned = [record for record in caplog.records if record.msg == "refresh_token_reused"]
    assert len(warned) == 1
    assert signed_in.refresh_token not in str(vars(warned[0]))


async def test_the_end_of_one_session_leaves_the_agent_s_others(
    office: Office, signed_in: SignedIn
) -> None:
    other = await office.accounts.sign_in("lin", GOOD, HERE)
    await office.accounts.refresh(signed_in.refresh_token)
    assert await refused(office, signed_in.refresh_token)
    assert await office.is_alive(other.token)
    await office.accounts.refresh(other.refresh_token)


async def test_a_forged_refresh_token_ends_nothing(office: Office, signed_in: SignedIn) -> None:
    assert await refused(office, signed_in.token)
    assert await refused(office, signed_in.refresh_token[:-2] + "AA")
    assert await refused(office, office.tokens.refresh(uuid4(), "a session nobody has"))
    assert await office.is_alive(signed_in.token)


@pytest.mark.parametrize("count", [2, 5])
async def test_of_refreshes_that_overlap_exactly_one_wins_and_the_session_lives(
    office: Office, signed_in: SignedIn, count: int
) -> None:
    won: list[SignedIn] = []
    lost: list[ErrorCode] = []

    async def refresh() -> None:
        try:
            won.append(await office.accounts.refresh(signed_in.refresh_token))
        except Problem as problem:
            lost.append(problem.code)

    async with connected(office.pool) as holder, connected(office.pool) as watcher:
        async with anyio.create_task_group() as group:
            async with holder.transaction():
                # every refresh reads the session, then waits here to change it
                await holder.execute("SELECT * FROM agent_sessions FOR UPDATE")
                for _ in range(count):
                    group.start_soon(refresh)
                with anyio.fail_after(20):
                    while await watcher.fetchval(BLOCKED) < count:
                        await anyio.lowlevel.checkpoint()
    assert len(won) == 1
    assert lost == [ErrorCode.UNAUTHORIZED] * (count - 1)
    assert await office.is_alive(won[0].token)
    await office.accounts.refresh(won[0].refresh_token)


async def test_signing_out_ends_both_tokens_at_once(office: Office, signed_in: SignedIn) -> None:
    identity = await office.accounts.authenticate(signed_in.token)
    assert not await office.has_ended(identity.session_id)
    await office.own.sign_out(SYSTEM, identity.session_id)
    await office.own.sign_out(SYSTEM, identity.session_id)
    assert await office.has_ended(identity.session_id)
    assert not await office.is_alive(signed_in.token)
    assert await refused(office, signed_in.refresh_token)
    assert await session_row(office) == (1, "signed_out")


async def test_a_session_nobody_knows_is_revoked(office: Office) -> None:
    assert await office.has_ended(uuid4())


async def test_a_deactivated_agent_is_out_at_once(office: Office, signed_in: SignedIn) -> None:
    async with connected(office.pool) as connection:
        await connection.execute("UPDATE agents SET is_active = false")
    assert not await office.is_alive(signed_in.token)
    assert await refused(office, signed_in.refresh_token)


async def test_a_role_taken_away_counts_at_once(office: Office) -> None:
    await office.create("boss", "Boss", role="admin", password=GOOD)
    answer = await office.accounts.sign_in("boss", GOOD, HERE)
    (await office.accounts.authenticate(answer.token)).require("agents.write")
    async with connected(office.pool) as connection:
        await connection.execute("UPDATE agents SET role = 'agent' WHERE username = 'boss'")
    demoted = await office.accounts.authenticate(answer.token)
    with pytest.raises(Problem) as caught:
        demoted.require("agents.write")
    assert caught.value.code == ErrorCode.FORBIDDEN


async def test_dead_sessions_go_with_the_next_sign_in(office: Office, signed_in: SignedIn) -> None:
    session_id = (await office.accounts.authenticate(signed_in.token)).session_id
    office.clock.advance(7 * 86400 - 1)
    assert not await office.has_ended(session_id)
    office.clock.advance(1)
    assert await office.has_ended(session_id)
    await office.accounts.sign_in("lin", GOOD, HERE)
    async with connected(office.pool) as connection:
        assert await connection.fetchval("SELECT count(*) FROM agent_sessions") == 1
