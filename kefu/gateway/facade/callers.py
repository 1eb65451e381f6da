"""Who calls the facade: customers by a token, by their session's name or by a cookie; agents.

Knowing a session's name is knowing a secret, unless the shop has signed a token for a customer of
that name: then their token is needed, and without it there is no such session.
"""

import re
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final
from uuid import UUID, uuid5

from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request

from kefu.agents.guard import address_of
from kefu.agents.tokens import (
    GUEST_TOKEN_S,
    NAMESPACE,
    AgentIdentity,
    CustomerIdentity,
)
from kefu.conversations import messages as conversations
from kefu.conversations.sessions.names import id_in, is_name, name_of
from kefu.conversations.sessions.store import PostgresSessions
from kefu.delivery import customer_topic
from kefu.errors import Problem
from kefu.gateway.door import Door, Visitor, token_of
from kefu.gateway.facade.call_rates import CallRates
from kefu.gateway.hub import Hub
from kefu.gateway.stream_limits import Allowance, StreamLimits
from protocol.codes import ErrorCode

COOKIE: Final = "kefu_guest"
SIGNED_KEPT: Final = 10_000
NO_NAME: Final = "A session's name has 1 to 128 letters, digits, and _ . : -"
_LOCALE: Final = re.compile(r"[A-Za-z0-9-]{1,35}", re.ASCII)


class Caller(Struct, frozen=True):
    """A customer. `cookie` is to be set in the answer; `is_nameless`: known by the cookie alone;
    `is_signed`: by a token of the shop."""

    identity: CustomerIdentity
    cookie: str | None = None
    is_nameless: bool = False
    is_signed: bool = False

    @property
    def id(self) -> UUID:
        return self.identity.customer_id

    @property
    def topic(self) -> str:
        return customer_topic(self.id)

    @property
    def session_name(self) -> str:
        return name_of(self.id, self.identity.sub, is_guest=self.identity.is_guest)

    @property
    def party(self) -> conversations.Party:
        return conversations.Party("customer", self.id, self.identity.name)

    @property
    def customer(self) -> conversations.Customer:
        known = self.identity
        return conversations.Customer(
            id=known.customer_id,
            sub=known.sub,
            name=known.name,
            email=known.email,
            phone=known.phone,
            locale=known.locale,
            is_vip=known.vip,
            is_guest=known.is_guest,
            is_signed=self.is_signed,
        )


def customer_id_of(name: str) -> UUID:
    """The id of the customer whose shop calls them so; the same as of a token of that `sub`."""
    return uuid5(NAMESPACE, f"customer:{name}")


class Callers:
    def __init__(
        self,
        door: Door,
        hub: Hub,
        sessions: PostgresSessions,
        rates: CallRates,
        streams: StreamLimits,
    ) -> None:
        self._door = door
        self._hub = hub
        self._sessions = sessions
        self._rates = rates
        self._streams = streams
        self._signed: OrderedDict[UUID, None] = OrderedDict()
        """Customers the store knows to have come with the shop's signature."""

    async def customer(self, request: Request, name: str | None, *, stays: bool = False) -> Caller:
        """The customer calling, by the token, else by the session's name, else by the cookie.

        Raises Problem or StoreUnavailable; CHAT_NOT_FOUND where the name needs a token.
        """
        token = token_of(request.scope)
        if token is None and name is not None:
            self._door.admit_without_token(request.scope, self._hub, stays=stays)
            return await self._named_and_counted(request, name, stays=stays)
        cookie = None if token is not None else self._cookie(request)
        visitor = await self._admit(request, cookie, stays=stays)
        if isinstance(visitor.identity, AgentIdentity):
            if name is None:
                raise Problem(ErrorCode.FORBIDDEN)
            return await self._named(request, name)
        if token is not None:
            return await self._known(visitor.identity)
        if cookie is None:
            await self._count(request, stays=stays)
        identity = replace(visitor.identity, locale=_locale(request))
        return Caller(identity, visitor.guest_token, is_nameless=True)

    @asynccontextmanager
    async def streaming(self, request: Request, name: str | None) -> AsyncIterator[Caller]:
        """`customer`, who has one stream more for as long as the block takes.

        Raises as `customer`, and Problem where they have too many.
        """
        if token_of(request.scope) is None and name is not None and _is_plain(name):
            async with self._named_and_streaming(request, name) as caller:
                yield caller
        else:
            caller = await self.customer(request, name)
            async with self._streams.stream(self.allowance_of(caller, request)):
                yield caller

    @asynccontextmanager
    async def _named_and_streaming(self, request: Request, name: str) -> AsyncIterator[Caller]:
        """Their streams are counted by that name, which can be asked while they are looked up."""
        self._door.admit_without_token(request.scope, self._hub, stays=False)
        counted = self._rates.begin(address_of(request))
        async with AsyncExitStack() as stack:
            try:
                hold = self._streams.hold(self._streams.of_person(_by_name(name)))
                admitted = await stack.enter_async_context(hold)
                caller = await self._named(request, name)
            finally:
                await counted
            await admitted()
            yield caller

    def allowance_of(self, caller: Caller, request: Request) -> Allowance:
        """Guests without a name are new as often as they like: their address is counted. Who only
        knows a name takes none of the streams of a customer who has signed in."""
        if caller.is_nameless:
            return self._streams.of_address(address_of(request))
        has_token = caller.is_signed or caller.identity.is_guest
        return self._streams.of_person(caller.topic if has_token else _by_name(caller.session_name))

    async def _count(self, request: Request, *, stays: bool) -> None:
        if not stays:  # streams are counted while they are open
            await self._rates.check(address_of(request))

    async def _named_and_counted(self, request: Request, name: str, *, stays: bool) -> Caller:
        """Looked up while it is counted; too many calls are told so whatever they look for."""
        if stays:
            return await self._named(request, name)
        counted = self._rates.begin(address_of(request))
        try:
            return await self._named(request, name)
        finally:
            await counted

    async def reader(self, request: Request, name: str) -> AgentIdentity | Caller:
        """Who may read the session of that name: an agent, or its customer.

        Raises Problem or StoreUnavailable; to any other customer there is no such session.
        """
        if token_of(request.scope) is None:
            is_own_guest = id_in(name) is not None and self._cookie(request) is not None
            caller = await self.customer(request, None if is_own_guest else name)
        else:
            visitor = await self._admit(request, None, stays=False)
            if isinstance(visitor.identity, AgentIdentity):
                visitor.identity.require("chats.answer")
                return visitor.identity
            caller = await self._known(visitor.identity)
        if await self.find(name) != caller.id:
            raise Problem(ErrorCode.CHAT_NOT_FOUND)
        return caller

    async def find(self, name: str) -> UUID:
        """The customer whose session is called that, known or not. Raises Problem."""
        if not is_name(name):
            raise Problem(ErrorCode.CHAT_NOT_FOUND)
        by_id = id_in(name)
        if by_id is not None and await self._sessions.customer(by_id) is not None:
            return by_id
        return customer_id_of(name)

    async def _named(self, request: Request, name: str) -> Caller:
        """Whoever knows the name, if it is no customer's of the shop and no guest's."""
        if not is_name(name):
            raise Problem(ErrorCode.INVALID_MESSAGE, NO_NAME, fields={"session_name": NO_NAME})
        customer_id = await self.find(name)
        known = await self._sessions.customer(customer_id)
        if known is not None and (known.is_signed or known.is_guest):
            raise Problem(ErrorCode.CHAT_NOT_FOUND)
        identity = CustomerIdentity(
            customer_id=customer_id,
            sub=known.sub if known else name,
            name=None,
            email=None,
            phone=None,
            vip=False,
            locale=_locale(request),
            is_guest=False,
            expires_at=self._door.tokens.guest_until(),
        )
        return Caller(identity)

    async def _admit(self, request: Request, cookie: str | None, *, stays: bool) -> Visitor:
        """As at the door of all connections, the cookie being a token there."""
        scope = request.scope
        if cookie is not None:
            bearer = (b"authorization", f"Bearer {cookie}".encode("latin-1"))
            scope = {**scope, "headers": [*scope["headers"], bearer]}
        return await self._door.admit(scope, self._hub, stays=stays)

    def _cookie(self, request: Request) -> str | None:
        """A guest's token, if the cookie holds a good one."""
        text = request.cookies.get(COOKIE)
        if text is None or not text.isascii():
            return None
        try:
            identity = self._door.tokens.verify(text)
        except Problem:
            return None
        return text if isinstance(identity, CustomerIdentity) and identity.is_guest else None

    async def _known(self, identity: CustomerIdentity) -> Caller:
        """Who came with a token; once it is put down that the shop has signed for them."""
        if not identity.is_guest and identity.customer_id not in self._signed:
            await self._sessions.note_signed(identity.customer_id, identity.sub)
            self._signed[identity.customer_id] = None
            if len(self._signed) > SIGNED_KEPT:
                self._signed.popitem(last=False)
        return Caller(identity, is_signed=not identity.is_guest)


def cookie_header(caller: Caller, request: Request) -> dict[str, str]:
    """The header that lets a new guest come back; for a caller who needs none, nothing."""
    if caller.cookie is None:
        return {}
    secure = "; Secure" if request.url.scheme == "https" else ""
    kept = f"Path=/api; Max-Age={GUEST_TOKEN_S}; HttpOnly; SameSite=Lax{secure}"
    return {"set-cookie": f"{COOKIE}={caller.cookie}; {kept}"}


def _is_plain(name: str) -> bool:
    """Whether it is a good name, and no customer's id."""
    return is_name(name) and id_in(name) is None


def _by_name(session_name: str) -> str:
    return f"named:{session_name}"


def _locale(request: Request) -> str | None:
    first = request.headers.get("accept-language", "").split(",")[0].split(";")[0].strip()
    return first if _LOCALE.fullmatch(first) else None
