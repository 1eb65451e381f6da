"""Who is let in, whatever they come by: their page's site, their token, and the room there is.

Tokens come as a subprotocol, in the header or in the query, and are never logged.
"""

from typing import Final
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct
from starlette.types import Scope

from kefu.agents.accounts import Accounts
from kefu.agents.tokens import AgentIdentity, CustomerIdentity, Tokens
from kefu.delivery import agent_topic, customer_topic
from kefu.entropy import Entropy
from kefu.errors import Problem
from kefu.gateway.agent_role import AgentRole
from kefu.gateway.customer_role import CustomerRole
from kefu.gateway.drain import Drain
from kefu.gateway.handshakes import Handshakes
from kefu.gateway.hub import Hub
from kefu.gateway.ports import Backstage
from kefu.gateway.role import Role
from protocol.codes import ErrorCode

BEARER: Final = "bearer."
Identity = AgentIdentity | CustomerIdentity


class Visitor(Struct, frozen=True):
    """`guest_token` is there for a guest who was made up just now."""

    identity: Identity
    guest_token: str | None = None

    @property
    def is_agent(self) -> bool:
        return isinstance(self.identity, AgentIdentity)

    @property
    def person(self) -> str:
        """The topic of all of their connections."""
        if isinstance(self.identity, AgentIdentity):
            return agent_topic(self.identity.agent_id)
        return customer_topic(self.identity.customer_id)

    def role(self, backstage: Backstage, *, is_workbench: bool) -> Role:
        if isinstance(self.identity, AgentIdentity):
            return AgentRole(self.identity, backstage, is_workbench=is_workbench)
        return CustomerRole(self.identity, backstage, guest_token=self.guest_token)


class Door(Struct, frozen=True):
    """`allowed_origins` are other sites whose pages may connect."""

    accounts: Accounts
    tokens: Tokens
    entropy: Entropy
    allow_guests: bool
    allowed_origins: frozenset[str]
    max_connections: int
    max_connections_per_person: int
    drain: Drain | None = None
    handshakes: Handshakes | None = None

    async def admit(self, scope: Scope, hub: Hub, *, stays: bool = True) -> Visitor:
        """Whoever asks. Nothing waits between the last look at the room and the answer.

        `stays` is false for a single request. Raises Problem or StoreUnavailable.
        """
        token = token_of(scope)
        self._look(scope, hub, token, stays=stays)
        if token is None:
            visitor = self._guest(headers_of(scope))
        else:
            visitor = Visitor(await self.accounts.identify(token))
            self._check_room(hub)
        if stays and hub.count(visitor.person) >= self.max_connections_per_person:
            raise Problem(ErrorCode.RATE_LIMITED, "Too many devices at once.", retry_after_s=5.0)
        return visitor

    def admit_without_token(self, scope: Scope, hub: Hub, *, stays: bool) -> None:
        """Whoever is known by something else, a session's name perhaps: no guest is made up for
        them. Raises Problem."""
        self._look(scope, hub, None, stays=stays)
        if not self.allow_guests:
            raise Problem(ErrorCode.UNAUTHORIZED)

    def _look(self, scope: Scope, hub: Hub, token: str | None, *, stays: bool) -> None:
        self._check_origin(scope, headers_of(scope))
        self._check_room(hub)
        if stays and self.handshakes is not None:
            self.handshakes.check(is_stranger=token is None)

    async def identify(self, scope: Scope) -> Identity:
        """Who asks, by a token they must have. Raises Problem or StoreUnavailable."""
        token = token_of(scope)
        if token is None:
            raise Problem(ErrorCode.UNAUTHORIZED)
        return await self.accounts.identify(token)

    def _check_origin(self, scope: Scope, headers: dict[str, str]) -> None:
        """Browsers name the page's origin: it must be ours or an allowed shop's."""
        origin = headers.get("origin")
        if origin is None or origin in self.allowed_origins:
            return
        secure = scope["scheme"] in ("wss", "https")
        own = f"{'https' if secure else 'http'}://{headers.get('host', '')}"
        if origin != own:
            raise Problem(ErrorCode.FORBIDDEN, "This page's site may not connect here.")

    def _check_room(self, hub: Hub) -> None:
        if self.drain is not None:
            self.drain.check()
        if len(hub) >= self.max_connections:
            raise Problem(ErrorCode.OVERLOADED, retry_after_s=5.0)

    def _guest(self, headers: dict[str, str]) -> Visitor:
        if not self.allow_guests:
            raise Problem(ErrorCode.UNAUTHORIZED)
        token = self.tokens.guest(self.entropy.token(16))
        identity = self.tokens.verify(token)
        assert isinstance(identity, CustomerIdentity)
        locale = headers.get("accept-language", "").split(",")[0].split(";")[0].strip()[:35]
        return Visitor(msgspec.structs.replace(identity, locale=locale or None), token)


def headers_of(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def token_of(scope: Scope) -> str | None:
    """From the subprotocol pair, else the header, else the query. An empty one is a bad one."""
    for name in scope.get("subprotocols", ()):
        if name.startswith(BEARER):
            return str(name.removeprefix(BEARER))
    scheme, _, token = headers_of(scope).get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return query["token"][0] if "token" in query else None
