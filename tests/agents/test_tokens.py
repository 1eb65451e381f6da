"""Which tokens count, and for whom. Every other one is refused in the same words."""

import base64
import random
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import jwt
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.agents.tokens import NAMESPACE, AgentIdentity, CustomerIdentity, Tokens
from kefu.errors import KefuError, Problem
from kefu.secret import Secret
from protocol.accounts import Agent
from protocol.codes import ERRORS, ErrorCode
from tests.agents.office import OWN, SHOP, tokens_of
from tests.fakes.clock import HandClock

CLOCK = HandClock()
NOW = int(CLOCK.now().timestamp())
SESSION = UUID(int=7)
LIN = Agent(
    id=UUID(int=1),
    username="lin",
    name="Lin Mei",
    avatar_url=None,
    role="supervisor",
    max_sessions=5,
    status="offline",
    status_note=None,
    is_active=True,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    last_login_at=None,
    skills=(),
    team_ids=(),
)


def signed(key: str = SHOP, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token of the shop; a claim given as ... is left out."""
    stated = {"sub": "customer-9", "exp": NOW + 60} | claims
    kept = {name: value for name, value in stated.items() if value is not ...}
    return jwt.encode(kept, key, "HS256", headers)


def pieced(header: dict[str, Any], payload: bytes, key: str = SHOP) -> str:
    """What no library would make: a right signature below any header over any bytes."""
    parts = [_base64(msgspec.json.encode(header)), _base64(payload)]
    signature = jwt.get_algorithm_by_name("HS256").sign(".".join(parts).encode(), key.encode())
    return ".".join([*parts, _base64(signature)])


def _base64(piece: bytes) -> str:
    return base64.urlsafe_b64encode(piece).rstrip(b"=").decode()


def unsigned(alg: str) -> str:
    _, body, _ = signed().split(".")
    return f"{_base64(msgspec.json.encode({'alg': alg, 'typ': 'JWT'}))}.{body}."


def raw(payload: bytes) -> str:
    return pieced({"alg": "HS256"}, payload)


BAD: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "words": lambda: "not a token",
    "two parts": lambda: signed().rsplit(".", 1)[0],
    "not ASCII": lambda: signed() + "客",
    "half a character": lambda: signed() + "\ud83d",
    "alg none": lambda: unsigned("none"),
    "alg None": lambda: unsigned("None"),
    "alg nONE": lambda: unsigned("nONE"),
    "alg none, signed": lambda: pieced({"alg": "none"}, b'{"sub":"a","exp":99999999999}'),
    "alg missing": lambda: pieced({"typ": "JWT"}, b'{"sub":"a","exp":99999999999}'),
    "alg a list": lambda: pieced({"alg": ["HS256"]}, b'{"sub":"a","exp":99999999999}'),
    "alg RS256": lambda: pieced({"alg": "RS256"}, b'{"sub":"a","exp":99999999999}'),
    "alg HS512": lambda: jwt.encode({"sub": "a", "exp": NOW + 60}, SHOP * 2, "HS512"),
    "kid a number": lambda: pieced({"alg": "HS256", "kid": 1}, b'{"sub":"a","exp":99999999999}'),
    "crit unknown": lambda: pieced({"alg": "HS256", "crit": ["x"], "x": 1}, b'{"sub":"a"}'),
    "header deep": lambda: _base64(b"[" * 5000) + ".e30.c2ln",
    "header no object": lambda: f"{_base64(b'[1]')}.e30.c2ln",
    "another key": lambda: signed(key="somebody else's secret of 32 bytes..."),
    "own key, not named": lambda: signed(key=OWN),
    "kid kefu, shop's key": lambda: signed(headers={"kid": "kefu"}),
    "kid kefu, shop's key, agent": lambda: signed(
        headers={"kid": "kefu"},
        sub=str(UUID(int=1)),
        sid=str(SESSION),
        type="access",
        role="admin",
        username="lin",
        name="Lin",
        is_support_agent=True,
    ),
    "own key, no type": lambda: signed(key=OWN, headers={"kid": "kefu"}),
    "own key, unknown role": lambda: signed(
        key=OWN,
        headers={"kid": "kefu"},
        sub=str(UUID(int=1)),
        sid=str(SESSION),
        type="access",
        role="owner",
        username="lin",
        name="Lin",
    ),
    "refresh token": lambda: tokens_of(CLOCK).refresh(SESSION, "nonce"),
    "agent claim": lambda: signed(is_support_agent=True),
    "agent claim, false": lambda: signed(is_support_agent=False),
    "agent claim, null": lambda: signed(is_support_agent=None),
    "expired 1 s ago": lambda: signed(exp=NOW - 1),
    "expires now": lambda: signed(exp=NOW),
    "exp missing": lambda: signed(exp=...),
    "exp a string": lambda: signed(exp=str(NOW + 60)),
    "exp true": lambda: signed(exp=True),
    "exp null": lambda: signed(exp=None),
    "exp in milliseconds": lambda: signed(exp=(NOW + 60) * 1000),
    "exp NaN": lambda: raw(b'{"sub":"a","exp":NaN}'),
    "exp beyond all dates": lambda: raw(b'{"sub":"a","exp":1e300}'),
    "exp infinite": lambda: raw(b'{"sub":"a","exp":1e999}'),
    "nbf future": lambda: signed(nbf=NOW + 1),
    "nbf a string": lambda: signed(nbf="0"),
    "sub missing": lambda: signed(sub=...),
    "sub empty": lambda: signed(sub=""),
    "sub of 129": lambda: signed(sub="a" * 129),
    "sub a number": lambda: signed(sub=9),
    "sub with NUL": lambda: signed(sub="a\x00b"),
    "vip a string": lambda: signed(vip="true"),
    "vip a number": lambda: signed(vip=1),
    "name a list": lambda: signed(name=["Lin"]),
    "email of 321": lambda: signed(email="a" * 321),
    "9 KiB": lambda: signed(padding="a" * 9 * 1024),
    "1 MB": lambda: signed(padding="a" * 1024 * 1024),
    "claims deep": lambda: raw(b'{"sub":"a","exp":99999999999,"x":' + b"[" * 4000),
    "claims no UTF-8": lambda: raw(b'{"sub":"\xff","exp":99999999999}'),
    "claims no object": lambda: raw(b"[]"),
    "claims cut": lambda: raw(b'{"sub":"a","exp":9999'),
}


def refusal(tokens: Tokens, token: str) -> Problem:
    with pytest.raises(Problem) as caught:
        tokens.verify(token)
    return caught.value


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_token_is_refused_in_the_same_words_as_every_other(kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
        token = BAD[kind]()
    problem = refusal(tokens_of(CLOCK), token)
    assert problem.code == ErrorCode.UNAUTHORIZED
    assert problem.message == ERRORS[ErrorCode.UNAUTHORIZED].sentence
    assert problem.__suppress_context__


def test_the_shop_s_token_makes_a_customer() -> None:
    token = signed(
        name="王芳", email="fang@shop.example", phone="+86 138", vip=True, locale="zh-CN", nbf=NOW
    )
    assert tokens_of(CLOCK).verify(token) == CustomerIdentity(
        customer_id=uuid5(NAMESPACE, "customer:customer-9"),
        sub="customer-9",
        name="王芳",
        email="fang@shop.example",
        phone="+86 138",
        vip=True,
        locale="zh-CN",
        is_guest=False,
        expires_at=CLOCK.now() + timedelta(seconds=60),
    )


@pytest.mark.parametrize("kid", ["", "Kefu", "kefu ", "../../dev/null", "2026-key"])
def test_any_other_kid_means_the_shop(kid: str) -> None:
    identity = tokens_of(CLOCK).verify(signed(headers={"kid": kid}))
    assert isinstance(identity, CustomerIdentity)
    assert not identity.is_guest


def test_unknown_claims_and_null_details_do_not_matter() -> None:
    token = signed(sub="客" * 128, name=None, email=None, role="admin", type="access", iat="x")
    identity = tokens_of(CLOCK).verify(token)
    assert isinstance(identity, CustomerIdentity)
    assert (identity.sub, identity.name, identity.vip) == ("客" * 128, None, False)


def test_a_token_of_just_8_kib_is_read() -> None:
    short = len(signed(padding=""))
    token = signed(padding="a" * ((8192 - short) * 3 // 4))
    assert 8100 < len(token) <= 8192
    assert isinstance(tokens_of(CLOCK).verify(token), CustomerIdentity)


def test_issuer_and_audience_count_where_they_are_set() -> None:
    asking = tokens_of(CLOCK, issuer="shop", audience="kefu")
    for claims in (
        {"iss": "shop"},
        {"aud": "kefu"},
        {"iss": "other", "aud": "kefu"},
        {"iss": "shop", "aud": "other"},
        {"iss": "shop", "aud": ["other", "kef"]},
        {"iss": "shop", "aud": []},
        {"iss": "shop", "aud": "kefu, other"},
    ):
        assert refusal(asking, signed(**claims)).code == ErrorCode.UNAUTHORIZED
    asking.verify(signed(iss="shop", aud="kefu"))
    asking.verify(signed(iss="shop", aud=["other", "kefu"]))
    asking.verify(asking.customer("customer-9"))
    tokens_of(CLOCK).verify(signed(iss="anybody", aud="anyone"))


@pytest.mark.parametrize("made", ["customer", "guest", "agent"])
def test_no_flipped_bit_goes_unnoticed(made: str) -> None:
    tokens = tokens_of(CLOCK)
    token = {
        "customer": tokens.customer("customer-9", name="Fang"),
        "guest": tokens.guest("guest-3"),
        "agent": tokens.agent_access(LIN, SESSION),
    }[made].encode()
    tokens.verify(token.decode())
    bits = [(at, bit) for at in range(len(token)) for bit in range(8)]
    chosen = random.Random(9).sample(bits, 600) + [(len(token) - 1, bit) for bit in range(8)]
    for at, bit in chosen:
        flipped = bytearray(token)
        flipped[at] ^= 1 << bit
        assert refusal(tokens, flipped.decode("latin-1")).code == ErrorCode.UNAUTHORIZED


@given(st.text(max_size=300) | st.from_regex(r"[\w-]{0,80}\.[\w-]{0,80}\.[\w-]{0,50}"))
def test_text_of_any_kind_is_refused_and_breaks_nothing(text: str) -> None:
    assert refusal(tokens_of(CLOCK), text).code == ErrorCode.UNAUTHORIZED


@given(st.text(st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1, max_size=128))
def test_a_customer_and_a_guest_of_one_name_are_two_people(sub: str) -> None:
    tokens = tokens_of(CLOCK)
    customer = tokens.verify(tokens.customer(sub))
    guest = tokens.verify(tokens.guest(sub))
    assert isinstance(customer, CustomerIdentity)
    assert isinstance(guest, CustomerIdentity)
    assert customer.sub == guest.sub == sub
    assert customer.customer_id != guest.customer_id
    assert (customer.is_guest, guest.is_guest) == (False, True)


def test_a_guest_is_known_for_30_days_and_never_vip() -> None:
    clock = HandClock()
    tokens = tokens_of(clock)
    token = tokens.guest("guest-3")
    clock.advance(30 * 86400 - 1)
    guest = tokens.verify(token)
    assert isinstance(guest, CustomerIdentity)
    assert guest.vip is False
    clock.advance(1)
    assert refusal(tokens, token).code == ErrorCode.UNAUTHORIZED


def test_an_agent_s_token_says_who_and_lasts_an_hour() -> None:
    clock = HandClock()
    tokens = tokens_of(clock)
    token = tokens.agent_access(LIN, SESSION)
    assert tokens.verify(token) == AgentIdentity(
        agent_id=LIN.id,
        username="lin",
        name="Lin Mei",
        role="supervisor",
        session_id=SESSION,
        expires_at=clock.now() + timedelta(hours=1),
    )
    claims = jwt.decode(token, OWN, ["HS256"], options={"verify_exp": False})
    assert jwt.get_unverified_header(token)["kid"] == "kefu"
    assert claims["is_support_agent"] is True
    assert (claims["type"], claims["role"], claims["sub"]) == ("access", "supervisor", str(LIN.id))
    clock.advance(3600)
    assert refusal(tokens, token).code == ErrorCode.UNAUTHORIZED


def test_only_a_refresh_token_refreshes() -> None:
    clock = HandClock()
    tokens = tokens_of(clock)
    refresh = tokens.refresh(SESSION, "nonce")
    assert tokens.read_refresh(refresh) == SESSION
    long = tokens.refresh(SESSION, "n" * 9 * 1024)
    for other in (
        tokens.agent_access(LIN, SESSION),
        tokens.guest("g"),
        signed(type="refresh"),
        long,
    ):
        with pytest.raises(Problem):
            tokens.read_refresh(other)
    clock.advance(7 * 86400)
    with pytest.raises(Problem):
        tokens.read_refresh(refresh)


def test_a_short_key_is_refused_at_the_start() -> None:
    for shop, own in (("a" * 31, OWN), (SHOP, "a" * 31)):
        with pytest.raises(KefuError, match="32 bytes"):
            Tokens(Secret(shop), Secret(own), clock=CLOCK)


@pytest.mark.parametrize("sub", ["", "a" * 129, "a\x00b"])
def test_a_customer_s_token_nobody_would_accept_is_not_made(sub: str) -> None:
    with pytest.raises(KefuError, match="sub"):
        tokens_of(CLOCK).customer(sub)


def test_a_role_may_do_what_it_includes() -> None:
    agent = tokens_of(CLOCK).verify(tokens_of(CLOCK).agent_access(LIN, SESSION))
    assert isinstance(agent, AgentIdentity)
    agent.require("chats.supervise")
    with pytest.raises(Problem) as caught:
        agent.require("agents.write")
    assert caught.value.code == ErrorCode.FORBIDDEN


def test_no_refused_token_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "kefu.agents")
    canary = "canary-7f3a"
    for token in (signed(sub=canary, exp=NOW - 1), signed(vip=canary), canary):
        refusal(tokens_of(CLOCK), token)
    assert [record.getMessage() for record in caplog.records] == ["token_refused"] * 3
    assert not any(canary in str(vars(record)) for record in caplog.records)
