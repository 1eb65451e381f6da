"""Who looks: a customer by their token, else a guest by theirs, else a session by its id.

Who comes as several of these at once has just signed in, or begun to chat: the views of the lesser
are those of the higher from now on. That is written down before anything else of the request, once
for each guest.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from starlette.requests import Request

from actors import Ref
from kefu.errors import Problem
from kefu.recommendations.asking import ask
from kefu.recommendations.messages import KIND, Join
from kefu.recommendations.shards import shard_of_viewer
from protocol.codes import ErrorCode

JOINED_KEPT: Final = 10_000


class Shopper(Struct, frozen=True):
    """Whom a token speaks for."""

    id: UUID
    is_guest: bool


async def without_limit(_request: Request, _views: int) -> None:
    """Whoever has no token may send as much as they like."""


class Callers(Struct, frozen=True):
    """`token_of` finds the token of a request, `identify` whom one speaks for: both may raise
    Problem, and FORBIDDEN for an agent. `guest_of` is the id of the guest whose session it is.

    Anybody can make up sessions: `limit` counts the views that come without a token by where they
    come from, and raises Problem(RATE_LIMITED).
    """

    token_of: Callable[[Request], str | None]
    identify: Callable[[str], Awaitable[Shopper]]
    guest_of: Callable[[str], UUID]
    limit: Callable[[Request, int], Awaitable[None]] = without_limit


class Viewers:
    def __init__(self, callers: Callers, ref: Callable[[str, str], Ref[Any]]) -> None:
        self._callers = callers
        self._ref = ref
        self._joined: dict[Join, None] = {}

    def visit(self, request: Request) -> "Visit":
        return Visit(self, self._callers, request)

    async def join(self, join: Join) -> None:
        """Raises Problem(OVERLOADED)."""
        if join in self._joined:
            return
        await ask(self._ref(KIND, str(shard_of_viewer(join.guest))), join)
        self._joined[join] = None
        if len(self._joined) > JOINED_KEPT:
            del self._joined[next(iter(self._joined))]


class Visit:
    """One request. Its token speaks for all of its events that bring none of their own, and no
    token is looked at twice."""

    def __init__(self, viewers: Viewers, callers: Callers, request: Request) -> None:
        self._viewers = viewers
        self._callers = callers
        self._request = request
        self._token = callers.token_of(request)
        self._unsigned = 0
        self._known: dict[str, Shopper] = {}

    async def viewer(self, token: str | None = None, session_id: str | None = None) -> UUID:
        """Raises Problem: UNAUTHORIZED for nobody, FORBIDDEN for an agent, OVERLOADED."""
        shoppers = [] if self._token is None else [await self._shopper(self._token)]
        if token is not None:
            shoppers += await self._in_body(token, has_session=session_id is not None)
        self._unsigned += not shoppers
        guests = [each.id for each in shoppers if each.is_guest]
        if session_id is not None:
            guests.append(self._callers.guest_of(session_id))
        customer = next((each.id for each in shoppers if not each.is_guest), None)
        if customer is None and not guests:
            raise Problem(ErrorCode.UNAUTHORIZED)
        viewer = guests[0] if customer is None else customer
        for guest in guests:
            if guest != viewer:
                await self._viewers.join(Join(guest, viewer, is_guest=customer is None))
        return viewer

    async def check(self) -> None:
        """Once all viewers are known. Raises Problem(RATE_LIMITED)."""
        if self._unsigned:
            await self._callers.limit(self._request, self._unsigned)

    async def reader(self, session_id: str | None) -> UUID:
        """Whose recommendations are asked for: reading joins nobody. Raises Problem."""
        if self._token is not None:
            return (await self._shopper(self._token)).id
        if session_id is None:
            raise Problem(ErrorCode.UNAUTHORIZED)
        return self._callers.guest_of(session_id)

    async def _in_body(self, token: str, *, has_session: bool) -> list[Shopper]:
        """A page that is being left cannot read that its token has expired: its session counts."""
        try:
            return [await self._shopper(token)]
        except Problem as problem:
            if has_session and problem.code is ErrorCode.UNAUTHORIZED:
                return []
            raise

    async def _shopper(self, token: str) -> Shopper:
        known = self._known.get(token)
        if known is None:
            known = self._known[token] = await self._callers.identify(token)
        return known
