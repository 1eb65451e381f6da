"""A token for each session name, each asked for with a JWT of its own, and renewed in time."""

from datetime import timedelta
from pathlib import Path

import anyio
import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kefu.bot.coze_tokens import CozeTokens, read_key
from kefu.bot.http import Client
from kefu.bot.ports import BadCredentials, ProviderError, Rejected, Transient
from kefu.errors import KefuError
from kefu.secret import Secret
from tests.bot import parts
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy
from tests.fakes.upstream.behaviour import Behaviour, Upstream, refused
from tests.fakes.upstream.keys import KEY_ID, private_key, private_pem


def granted(clock: HandClock, life_s: float) -> Behaviour:
    at = int((clock.now() + timedelta(seconds=life_s)).timestamp())
    return Behaviour(body=msgspec.json.encode({"access_token": f"czs_{at}", "expires_in": at}))


async def test_a_token_is_asked_for_as_coze_documents_it(
    tokens: CozeTokens, upstream: Upstream, clock: HandClock, address: str
) -> None:
    assert (await tokens.get("customer-1")).startswith("czs_")
    (seen,) = upstream.seen
    assert seen.body == {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "duration_seconds": 3600,
    }
    assertion = seen.headers["authorization"].removeprefix("Bearer ")
    assert jwt.get_unverified_header(assertion) == {"alg": "RS256", "typ": "JWT", "kid": KEY_ID}
    claims = jwt.decode(assertion, options={"verify_signature": False})
    now_s = int(clock.now().timestamp())
    assert claims.pop("iat") == now_s
    assert claims.pop("exp") == now_s + 600
    assert len(claims.pop("jti")) >= 32
    expected = {"iss": "1100000000001", "aud": "127.0.0.1", "session_name": "customer-1"}
    assert claims == expected  # the host alone: no port, no path, no scheme


async def test_each_session_has_a_token_of_its_own_and_keeps_it(
    tokens: CozeTokens, upstream: Upstream
) -> None:
    first, second = await tokens.get("a"), await tokens.get("b")
    assert first != second
    assert await tokens.get("a") == first
    assert len(upstream.seen) == 2


async def test_many_who_ask_at_once_for_one_session_cause_one_request(
    tokens: CozeTokens, upstream: Upstream
) -> None:
    got: list[str] = []

    async def get() -> None:
        got.append(await tokens.get("a"))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(get)
    assert len(set(got)) == 1
    assert len(upstream.seen) == 1
    assert tokens._locks == {}


async def test_one_who_gives_up_does_not_stop_the_others_from_getting_it(
    tokens: CozeTokens, upstream: Upstream
) -> None:
    gate, got = anyio.Event(), []
    upstream.next("token", Behaviour(waits_for=gate))

    async def get() -> None:
        got.append(await tokens.get("a"))

    async with anyio.create_task_group() as tasks:
        with anyio.move_on_after(0.05):
            async with anyio.create_task_group() as impatient:
                impatient.start_soon(get)
                tasks.start_soon(get)
        gate.set()
    assert len(got) == 1


@pytest.mark.parametrize(("life_s", "early_s"), [(3600, 60), (300, 30)])
async def test_a_token_is_renewed_before_it_ends(
    tokens: CozeTokens, upstream: Upstream, clock: HandClock, life_s: float, early_s: float
) -> None:
    upstream.next("token", granted(clock, life_s))
    first = await tokens.get("a")
    clock.advance(life_s - early_s - 1)
    assert await tokens.get("a") == first
    clock.advance(2)
    assert await tokens.get("a") != first


async def test_expires_in_is_a_time_of_day_and_never_more_than_was_asked_for(
    tokens: CozeTokens, upstream: Upstream, clock: HandClock
) -> None:
    await tokens.get("a")  # the fake says a time far in the future
    clock.advance(3600)
    await tokens.get("a")
    assert len(upstream.seen) == 2


async def test_a_clock_that_is_hours_off_costs_requests_and_no_answers(
    address: str, client: Client, upstream: Upstream
) -> None:
    clock = HandClock(skew_s=7200.0)
    tokens = CozeTokens(
        parts.coze_options(address), private_key(), client, clock, SeededEntropy(), capacity=3
    )
    upstream.always("token", granted(HandClock(), 3600))
    assert await tokens.get("a")
    assert await tokens.get("a")
    assert len(upstream.seen) == 2


async def test_the_token_used_least_makes_room(tokens: CozeTokens, upstream: Upstream) -> None:
    for session in ("a", "b", "c", "a", "d", "a"):
        await tokens.get(session)
    assert tokens.count == tokens.capacity == 3
    assert len(upstream.seen) == 4
    await tokens.get("b")
    assert len(upstream.seen) == 5


async def test_a_token_coze_did_not_take_is_forgotten_but_not_the_newer_one(
    tokens: CozeTokens,
) -> None:
    first = await tokens.get("a")
    tokens.forget("a", first)
    second = await tokens.get("a")
    assert second != first
    tokens.forget("a", first)
    tokens.forget("nobody", first)
    assert await tokens.get("a") == second


@pytest.mark.parametrize(
    ("behaviour", "kind", "code"),
    [
        (refused(400, {"error_code": "invalid_client"}), BadCredentials, "invalid_client"),
        (refused(200, {"error_code": "invalid_client"}), BadCredentials, "invalid_client"),
        (refused(401, {"error_code": "access_deny"}), BadCredentials, "access_deny"),
        (refused(500, {"error_code": "internal_error"}), Transient, "internal_error"),
        (refused(503, {}), Transient, "token_http_503"),
        (refused(429, {}), Transient, "token_http_429"),
        (refused(401, {}), BadCredentials, "token_http_401"),
        (refused(404, {}), Rejected, "token_http_404"),
        (Behaviour(body=b"<html>"), Rejected, "token_http_200"),
        (Behaviour(body=b"\xff"), Rejected, "token_http_200"),
        (Behaviour(body=b'{"access_token": "a\\r\\nb", "expires_in": 1}'), Rejected, "unusable"),
    ],
)
async def test_every_refusal_says_what_to_do(
    tokens: CozeTokens,
    upstream: Upstream,
    behaviour: Behaviour,
    kind: type[ProviderError],
    code: str,
) -> None:
    upstream.next("token", behaviour)
    with pytest.raises(kind, match=code) as caught:
        await tokens.get("a")
    assert type(caught.value) is kind
    assert tokens.count == 0


async def test_another_try_signs_another_jwt(tokens: CozeTokens, upstream: Upstream) -> None:
    upstream.next("token", refused(500, {"error_code": "internal_error"}))
    with pytest.raises(Transient):
        await tokens.get("a")
    assert await tokens.get("a")  # the fake takes no JWT twice
    first, second = (seen.headers["authorization"] for seen in upstream.seen)
    assert first != second


async def test_a_probe_keeps_nothing(tokens: CozeTokens) -> None:
    await tokens.probe("kefu.health")
    assert tokens.count == 0


def test_the_key_is_read_from_the_text_even_on_one_line_before_the_file(tmp_path: Path) -> None:
    one_line = private_pem().replace("\n", "\\n")
    options = parts.coze_options("http://x", oauth_private_key=Secret(one_line))
    assert read_key(options).private_numbers() == private_key().private_numbers()


def test_the_key_is_read_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(private_pem())
    options = parts.coze_options("http://x", oauth_private_key=None, oauth_private_key_file=path)
    assert read_key(options).private_numbers() == private_key().private_numbers()


def elliptic_pem() -> str:
    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize("text", ["", "nonsense", private_pem()[:300], elliptic_pem()])
def test_a_key_that_is_none_stops_the_start_in_one_sentence_without_the_key(text: str) -> None:
    with pytest.raises(KefuError) as caught:
        read_key(parts.coze_options("http://x", oauth_private_key=Secret(text)))
    assert "COZE_OAUTH_PRIVATE_KEY" in str(caught.value)
    assert not text or text not in str(caught.value)


def test_no_key_at_all_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(KefuError, match="needs COZE_OAUTH_PRIVATE_KEY or"):
        read_key(parts.coze_options("http://x", oauth_private_key=None))
    with pytest.raises(KefuError, match="cannot be read"):
        read_key(
            parts.coze_options(
                "http://x", oauth_private_key=None, oauth_private_key_file=tmp_path / "none"
            )
        )
