"""Who a token speaks for: customers by the shop's secret, agents and guests by kefu's own key.

HS256 only. The header's `kid` chooses the key and nothing else; what a token may claim depends on
the key, so the shop's secret can never make an agent. Every refusal reads the same. The time comes
from the Clock, so PyJWT checks the signature and the claims are checked here.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, NoReturn
from uuid import UUID, uuid5

import msgspec
from jwt import PyJWS, PyJWTError
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from kefu.clock import Clock
from kefu.errors import KefuError, Problem
from kefu.secret import Secret
from protocol.accounts import ACCESS_TOKEN_S, PERMISSIONS, TOKEN_BYTES, Agent, Permission, Role
from protocol.codes import ErrorCode
from protocol.limits import NO_NUL

OWN_KID: Final = "kefu"
MIN_SECRET_BYTES: Final = 32
GUEST_TOKEN_S: Final = 30 * 24 * 3600
REFRESH_TOKEN_S: Final = 7 * 24 * 3600

# Every customer's id is derived under it: it must never change.
NAMESPACE: Final = UUID("d37b38f8-8d39-58a1-9420-61d1cff898e8")

_ALGORITHM: Final = "HS256"
_JWS: Final = PyJWS(algorithms=[_ALGORITHM])
_log = logging.getLogger("kefu.agents")

_Subject = Annotated[str, Meta(min_length=1, max_length=128, pattern=NO_NUL)]
_Words = Annotated[str, Meta(max_length=320, pattern=NO_NUL)]
_Instant = Annotated[float, Meta(ge=0, le=253_402_300_799)]  # seconds; up to the year 9999


class CustomerIdentity(Struct, frozen=True):
    """A customer; `sub` is the shop's name for them, or the guest's own random one."""

    customer_id: UUID
    sub: str
    name: str | None
    email: str | None
    phone: str | None
    vip: bool
    locale: str | None
    is_guest: bool
    expires_at: datetime


class AgentIdentity(Struct, frozen=True):
    """An agent; `session_id` names the sign-in this token came from."""

    agent_id: UUID
    username: str
    name: str
    role: Role
    session_id: UUID
    expires_at: datetime

    def require(self, permission: Permission) -> None:
        """Raises `Problem(FORBIDDEN)` when the agent's role does not include it."""
        if permission not in PERMISSIONS[self.role]:
            raise Problem(ErrorCode.FORBIDDEN)


class _ShopClaims(Struct, frozen=True, omit_defaults=True):
    sub: _Subject
    exp: _Instant
    nbf: _Instant | None = None
    iss: str | None = None
    aud: str | list[str] | None = None
    name: _Words | None = None
    email: _Words | None = None
    phone: _Words | None = None
    vip: bool = False
    locale: _Words | None = None
    is_support_agent: Raw | UnsetType = UNSET


class _AccessClaims(Struct, frozen=True, tag_field="type", tag="access"):
    sub: UUID
    sid: UUID
    username: str
    name: str
    role: Role
    exp: _Instant
    is_support_agent: bool = True


class _GuestClaims(Struct, frozen=True, tag_field="type", tag="guest"):
    sub: _Subject
    exp: _Instant


class _RefreshClaims(Struct, frozen=True, tag_field="type", tag="refresh"):
    sid: UUID
    jti: str
    exp: _Instant


_read_shop: Final = msgspec.json.Decoder(_ShopClaims).decode
_read_own: Final = msgspec.json.Decoder(_AccessClaims | _GuestClaims).decode
_read_refresh: Final = msgspec.json.Decoder(_RefreshClaims).decode


class _Refused(ValueError):
    """A well-formed token that does not count; the text is a fixed word for the log."""


# What a hostile token can set off on its way through; ValueError includes text that is no Unicode.
_REFUSALS: Final = (PyJWTError, msgspec.DecodeError, RecursionError, ValueError)


class Tokens:
    """Makes and checks every token kefu knows.

    `issuer` and `audience` are asked of the shop's tokens where they are set.
    Raises `KefuError` when a key is shorter than 32 bytes.
    """

    def __init__(
        self,
        shop_secret: Secret,
        own_key: Secret,
        *,
        clock: Clock,
        issuer: str | None = None,
        audience: str | None = None,
    ) -> None:
        self._shop_secret = _key(shop_secret, "KEFU_JWT_SECRET")
        self._own_key = _key(own_key, "kefu's own signing key")
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    def verify(self, token: str) -> CustomerIdentity | AgentIdentity:
        """Raises `Problem(UNAUTHORIZED)`, the same for every reason.

        An agent's session may have been revoked since: that is for `Accounts.authenticate`.
        """
        try:
            kid = _kid(token)
            return self._own(token) if kid == OWN_KID else self._customer(token)
        except _REFUSALS as refusal:
            _refuse(refusal)

    def read_refresh(self, token: str) -> UUID:
        """The session a refresh token belongs to. Raises `Problem(UNAUTHORIZED)`."""
        try:
            if _kid(token) != OWN_KID:
                raise _Refused("foreign")
            claims = _read_refresh(_payload(token, self._own_key))
            self._expiry(claims.exp)
        except _REFUSALS as refusal:
            _refuse(refusal)
        return claims.sid

    def customer(
        self,
        sub: str,
        *,
        name: str | None = None,
        email: str | None = None,
        phone: str | None = None,
        vip: bool = False,
        locale: str | None = None,
        ttl_s: float = 3600,
    ) -> str:
        """A customer's token as the shop would sign it.

        Raises `KefuError` where the claims break a rule of `verify`, such as a `sub` over 128.
        """
        claims = _ShopClaims(
            sub=sub,
            exp=self._until(ttl_s),
            iss=self._issuer,
            aud=self._audience,
            name=name,
            email=email,
            phone=phone,
            vip=vip,
            locale=locale,
        )
        try:
            _read_shop(msgspec.json.encode(claims))
        except msgspec.DecodeError as error:
            raise KefuError(f"No such customer token can be made: {error}") from None
        return _sign(claims, self._shop_secret)

    def guest(self, guest_sub: str) -> str:
        """A guest's token, good for 30 days."""
        return self._sign_own(_GuestClaims(sub=guest_sub, exp=self._until(GUEST_TOKEN_S)))

    def guest_until(self) -> datetime:
        """Until when a guest who comes now is known."""
        return self._clock.now() + timedelta(seconds=GUEST_TOKEN_S)

    def agent_access(self, agent: Agent, session_id: UUID) -> str:
        """An agent's token, good for an hour."""
        return self._sign_own(
            _AccessClaims(
                sub=agent.id,
                sid=session_id,
                username=agent.username,
                name=agent.name,
                role=agent.role,
                exp=self._until(ACCESS_TOKEN_S),
            )
        )

    def refresh(self, session_id: UUID, nonce: str) -> str:
        """A refresh token, good for 7 days; `nonce` is what nobody can guess about it."""
        claims = _RefreshClaims(sid=session_id, jti=nonce, exp=self._until(REFRESH_TOKEN_S))
        return self._sign_own(claims)

    def _own(self, token: str) -> CustomerIdentity | AgentIdentity:
        claims = _read_own(_payload(token, self._own_key))
        expires_at = self._expiry(claims.exp)
        if isinstance(claims, _GuestClaims):
            return CustomerIdentity(
                customer_id=uuid5(NAMESPACE, f"guest:{claims.sub}"),
                sub=claims.sub,
                name=None,
                email=None,
                phone=None,
                vip=False,
                locale=None,
                is_guest=True,
                expires_at=expires_at,
            )
        return AgentIdentity(
            agent_id=claims.sub,
            username=claims.username,
            name=claims.name,
            role=claims.role,
            session_id=claims.sid,
            expires_at=expires_at,
        )

    def _customer(self, token: str) -> CustomerIdentity:
        claims = _read_shop(_payload(token, self._shop_secret))
        self._require_for_us(claims)
        return CustomerIdentity(
            customer_id=uuid5(NAMESPACE, f"customer:{claims.sub}"),
            sub=claims.sub,
            name=claims.name,
            email=claims.email,
            phone=claims.phone,
            vip=claims.vip,
            locale=claims.locale,
            is_guest=False,
            expires_at=self._expiry(claims.exp),
        )

    def _require_for_us(self, claims: _ShopClaims) -> None:
        if claims.is_support_agent is not UNSET:
            raise _Refused("agent_claim")
        if claims.nbf is not None and claims.nbf > self._clock.now().timestamp():
            raise _Refused("not_yet")
        if self._issuer is not None and claims.iss != self._issuer:
            raise _Refused("issuer")
        if self._audience is not None and self._audience not in _audiences(claims.aud):
            raise _Refused("audience")

    def _expiry(self, exp: float) -> datetime:
        if exp <= self._clock.now().timestamp():
            raise _Refused("expired")
        return datetime.fromtimestamp(exp, UTC)

    def _until(self, ttl_s: float) -> float:
        return int((self._clock.now() + timedelta(seconds=ttl_s)).timestamp())

    def _sign_own(self, claims: Struct) -> str:
        return _sign(claims, self._own_key, kid=OWN_KID)


def _key(secret: Secret, name: str) -> bytes:
    key = secret.reveal().encode()
    if len(key) < MIN_SECRET_BYTES:
        raise KefuError(f"{name} must have at least {MIN_SECRET_BYTES} bytes.")
    return key


def _sign(claims: Struct, key: bytes, *, kid: str | None = None) -> str:
    headers = None if kid is None else {"kid": kid}
    return _JWS.encode(msgspec.json.encode(claims), key, _ALGORITHM, headers)


def _kid(token: str) -> object:
    if len(token) > TOKEN_BYTES:
        raise _Refused("too_long")
    return _JWS.get_unverified_header(token).get("kid")


def _payload(token: str, key: bytes) -> bytes:
    payload: bytes = _JWS.decode(token, key, [_ALGORITHM])
    return payload


def _audiences(aud: str | Sequence[str] | None) -> Sequence[str]:
    return (aud,) if isinstance(aud, str) else aud or ()


def _refuse(refusal: Exception) -> NoReturn:
    reason = str(refusal) if isinstance(refusal, _Refused) else type(refusal).__name__
    _log.debug("token_refused", extra={"reason": reason})
    raise Problem(ErrorCode.UNAUTHORIZED) from None
