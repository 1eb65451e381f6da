"""Agents' accounts and the ways in: password and link, and the locks before them."""

from typing import Any

import anyio
import bcrypt
import pytest
from argon2 import PasswordHasher

from kefu.agents.accounts import ensure_secrets
from kefu.agents.tokens import AgentIdentity, CustomerIdentity
from kefu.entropy import SystemEntropy
from kefu.errors import Problem
from kefu.secret import Secret
from kefu.storage.database import DatabasePool, connected
from protocol.codes import ErrorCode
from tests.agents.office import GOOD, HERE, WRONG, Office
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy


async def deactivate(office: Office, username: str) -> None:
    async with connected(office.pool) as connection:
        await connection.execute(
            "UPDATE agents SET is_active = false WHERE username = $1", username
        )


async def attempts(pool: DatabasePool) -> dict[str, int]:
    async with connected(pool) as connection:
        rows = await connection.fetch("SELECT key, failures FROM sign_in_attempts")
    return {row["key"]: row["failures"] for row in rows}


async def test_the_right_password_signs_in(office: Office) -> None:
    answer = await office.accounts.sign_in("lin", GOOD, HERE)
    assert answer.expires_in == 3600
    assert answer.agent.username == "lin"
    assert answer.agent.last_login_at == office.clock.now()
    identity = await office.accounts.authenticate(answer.token)
    assert (identity.agent_id, identity.role) == (answer.agent.id, "agent")
    assert await attempts(office.pool) == {HERE: 0}


async def test_a_username_is_one_whatever_its_case(office: Office) -> None:
    assert (await office.accounts.sign_in("LIN", GOOD, HERE)).agent.username == "lin"
    with pytest.raises(Problem, match="already") as caught:
        await office.create("Lin", "Another Lin", password=GOOD)
    assert caught.value.code == ErrorCode.UNPROCESSABLE


async def test_wrong_password_unknown_name_and_inactive_agent_are_told_alike(
    office: Office,
) -> None:
    await office.create("gone", "Gone", password=GOOD)
    await deactivate(office, "gone")
    await office.create("linked", "By Link")
    told = []
    for username, password in (
        ("lin", WRONG),
        ("nobody", WRONG),
        ("gone", GOOD),
        ("linked", GOOD),
        ("linked", "decoy"),
    ):
        before = office.passwords.checks
        problem = await office.refusal(username, password)
        told.append((problem.code, problem.message, problem.retry_after_s, problem.fields))
        assert office.passwords.checks == before + 1
    assert told[0][0] == ErrorCode.UNAUTHORIZED
    assert told == [told[0]] * 5


@pytest.mark.parametrize("username", ["lin", "nobody"])
async def test_five_failures_lock_the_name_for_15_minutes(office: Office, username: str) -> None:
    for _ in range(5):
        assert (await office.refusal(username)).code == ErrorCode.UNAUTHORIZED
    checks = office.passwords.checks
    locked = await office.refusal(username.upper(), GOOD)
    assert locked.code == ErrorCode.RATE_LIMITED
    assert locked.retry_after_s == 900
    assert "15 min" in locked.message
    office.clock.advance(899.5)
    assert (await office.refusal(username, GOOD)).retry_after_s == 1
    assert office.passwords.checks == checks
    office.clock.advance(0.5)
    assert (await office.refusal(username, WRONG)).code == ErrorCode.UNAUTHORIZED
    await office.accounts.sign_in("lin", GOOD, HERE)


async def test_a_lock_outlives_the_server(office: Office) -> None:
    for _ in range(5):
        await office.refusal()
    again = Office(office.pool, clock=office.clock)
    assert (await again.refusal(password=GOOD)).code == ErrorCode.RATE_LIMITED


async def test_success_forgets_the_name_s_failures(office: Office) -> None:
    for _ in range(3):
        for _ in range(4):
            assert (await office.refusal()).code == ErrorCode.UNAUTHORIZED
        await office.accounts.sign_in("lin", GOOD, HERE)


async def test_failures_older_than_15_minutes_do_not_count(office: Office) -> None:
    for _ in range(4):
        await office.refusal()
    office.clock.advance(900)
    for _ in range(4):
        assert (await office.refusal()).code == ErrorCode.UNAUTHORIZED
    await office.accounts.sign_in("lin", GOOD, HERE)


async def test_guesses_sent_at_once_are_not_more_than_five(office: Office) -> None:
    told: list[ErrorCode] = []

    async def guess(number: int) -> None:
        told.append((await office.refusal("lin", WRONG, f"198.51.100.{number}")).code)

    async with anyio.create_task_group() as group:
        for number in range(40):
            group.start_soon(guess, number)
    assert office.passwords.checks == 5
    assert told.count(ErrorCode.UNAUTHORIZED) == 5
    assert told.count(ErrorCode.RATE_LIMITED) == 35


async def test_twenty_failures_slow_the_address_whatever_the_names(office: Office) -> None:
    for number in range(19):
        assert (await office.refusal(f"name-{number}")).code == ErrorCode.UNAUTHORIZED
        await office.accounts.sign_in("lin", GOOD, HERE)  # one's own success buys no more guesses
    assert (await office.refusal("name-19")).code == ErrorCode.UNAUTHORIZED
    slowed = await office.refusal("lin", GOOD)
    assert (slowed.code, slowed.retry_after_s) == (ErrorCode.RATE_LIMITED, 900)
    assert (await office.accounts.sign_in("lin", GOOD, "203.0.113.8")).agent.username == "lin"
    office.clock.advance(900)
    await office.accounts.sign_in("lin", GOOD, HERE)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("203.0.113.7", "203.0.113.7"),
        ("unknown", "unknown"),
        ("x" * 500, "x" * 64),
    ],
)
async def test_the_addresses_of_one_household_count_as_one(
    office: Office, address: str, key: str
) -> None:
    await office.refusal("nobody", WRONG, address)
    assert await attempts(office.pool) == {key: 1, "nobody": 1}


async def test_old_attempts_are_swept_away(office: Office) -> None:
    for number in range(8):
        await office.refusal(f"name-{number}", WRONG, f"198.51.100.{number}")
    office.clock.advance(1801)
    await office.refusal("nobody", WRONG, HERE)
    assert await attempts(office.pool) == {"nobody": 1, HERE: 1}


async def test_being_turned_away_by_a_full_line_is_no_failure(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: Any) -> bool:
        raise Problem(ErrorCode.OVERLOADED, retry_after_s=1.0)

    with monkeypatch.context() as patch:
        patch.setattr(office.passwords, "matches", full)
        for _ in range(30):
            assert (await office.refusal()).code == ErrorCode.OVERLOADED
    await office.accounts.sign_in("lin", GOOD, HERE)


async def test_an_old_hash_is_upgraded_by_signing_in(office: Office) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(GOOD)
    async with connected(office.pool) as connection:
        await connection.execute("UPDATE agents SET password_hash = $1", old)
        await office.accounts.sign_in("lin", GOOD, HERE)
        new = await connection.fetchval("SELECT password_hash FROM agents")
    assert new.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    await office.accounts.sign_in("lin", GOOD, HERE)


async def test_a_bcrypt_hash_signs_in_and_becomes_argon2id(office: Office) -> None:
    old = bcrypt.hashpw(GOOD.encode(), bcrypt.gensalt(4)).decode()
    async with connected(office.pool) as connection:
        await connection.execute("UPDATE agents SET password_hash = $1", old)
        assert (await office.refusal("lin", WRONG)).code == ErrorCode.UNAUTHORIZED
        assert await connection.fetchval("SELECT password_hash FROM agents") == old
        await office.accounts.sign_in("lin", GOOD, HERE)
        new = await connection.fetchval("SELECT password_hash FROM agents")
    assert new.startswith("$argon2id$")
    await office.accounts.sign_in("lin", GOOD, HERE)


async def test_a_link_signs_in_once(office: Office) -> None:
    link = await office.make_link("Lin")
    answer = await office.accounts.redeem_link(link)
    assert (await office.accounts.authenticate(answer.token)).username == "lin"
    with pytest.raises(Problem, match="used or has expired") as caught:
        await office.accounts.redeem_link(link)
    assert caught.value.code == ErrorCode.UNAUTHORIZED


async def test_a_link_used_twice_at_once_signs_in_once(office: Office) -> None:
    link = await office.make_link("lin")
    answers: list[str] = []

    async def redeem() -> None:
        try:
            answers.append((await office.accounts.redeem_link(link)).token)
        except Problem as problem:
            answers.append(problem.code)

    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(redeem)
    assert answers.count(ErrorCode.UNAUTHORIZED) == 5


async def test_a_link_ends_after_15_minutes_or_when_a_newer_one_is_made(office: Office) -> None:
    first = await office.make_link("lin")
    second = await office.make_link("lin")
    office.clock.advance(899)
    with pytest.raises(Problem):
        await office.accounts.redeem_link(first)
    office.clock.advance(1)
    with pytest.raises(Problem):
        await office.accounts.redeem_link(second)


async def test_a_link_of_an_agent_deactivated_meanwhile_is_refused(office: Office) -> None:
    link = await office.make_link("lin")
    await deactivate(office, "lin")
    for refused in (office.accounts.redeem_link(link), office.make_link("lin")):
        with pytest.raises(Problem):
            await refused


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"username": ""}, "username"),
        ({"username": "a" * 65}, "username"),
        ({"username": "lin mei"}, "no spaces"),
        ({"username": "lin\n"}, "no spaces"),
        ({"username": "lin\u200b"}, "no spaces"),
        ({"username": "lin/mei"}, "no slashes"),
        ({"name": "  "}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"role": "owner"}, "role"),
        ({"max_sessions": 0}, "max_sessions"),
        ({"max_sessions": 51}, "max_sessions"),
        ({"password": "short"}, "8 to 128"),
    ],
)
async def test_an_account_with_a_wrong_field_is_not_made(
    office: Office, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(Problem, match=words) as caught:
        await office.create(**({"username": "mei", "name": "Mei"} | fields))
    assert caught.value.code == ErrorCode.INVALID_MESSAGE
    assert len((await office.roster.list()).agents) == 1


async def test_agents_are_listed_by_username_a_page_at_a_time(office: Office) -> None:
    for username in ("Zoe", "anna", "客服一号"):
        await office.create(username, username, role="admin", max_sessions=9)
    everyone = (await office.roster.list()).agents
    assert [agent.username for agent in everyone] == ["anna", "lin", "Zoe", "客服一号"]
    assert (everyone[0].role, everyone[0].max_sessions) == ("admin", 9)
    first = await office.roster.list(limit=2)
    assert first.next_cursor == "lin"
    rest = await office.roster.list(after=first.next_cursor, limit=3)
    assert first.agents + rest.agents == everyone
    assert rest.next_cursor is None


async def test_customers_and_agents_are_told_apart(office: Office) -> None:
    customer = office.tokens.customer("customer-9")
    assert isinstance(await office.accounts.identify(customer), CustomerIdentity)
    with pytest.raises(Problem) as caught:
        await office.accounts.authenticate(customer)
    assert caught.value.code == ErrorCode.UNAUTHORIZED
    answer = await office.accounts.sign_in("lin", GOOD, HERE)
    assert isinstance(await office.accounts.identify(answer.token), AgentIdentity)


async def test_keys_are_made_once_and_kept(pool: DatabasePool) -> None:
    made: list[tuple[str, str]] = []

    async def start() -> None:
        keys = await ensure_secrets(pool, SystemEntropy(HandClock()), None)
        made.append((keys.shop_secret.reveal(), keys.own_key.reveal()))

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(start)
    assert len(set(made)) == 1
    shop_secret, own_key = made[0]
    assert shop_secret != own_key
    assert min(len(shop_secret), len(own_key)) >= 32


async def test_a_given_shop_secret_is_used_and_not_stored(pool: DatabasePool) -> None:
    given = Secret("given by the shop's own settings")
    keys = await ensure_secrets(pool, SeededEntropy(), given)
    assert keys.shop_secret is given
    async with connected(pool) as connection:
        names = await connection.fetch("SELECT name FROM secrets")
    assert [row["name"] for row in names] == ["own_key"]


async def test_only_hashes_of_tokens_and_passwords_are_stored(office: Office) -> None:
    link = await office.make_link("lin")
    answer = await office.accounts.sign_in("lin", GOOD, HERE)
    async with connected(office.pool) as connection:
        stored = ""
        for table in ("agents", "agent_sessions", "sign_in_links", "sign_in_attempts"):
            stored += str(await connection.fetch(f"SELECT {table}::text FROM {table}"))
    for secret in (link, answer.token, answer.refresh_token, GOOD):
        assert secret not in stored
