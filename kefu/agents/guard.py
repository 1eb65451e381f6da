"""Who calls: every route of agents asks here, and names the permission it needs.

PostgreSQL is asked each time, so that signing out and a lost role count at once.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request

from kefu.agents.accounts import Accounts
from kefu.agents.tokens import AgentIdentity
from kefu.audit.messages import By
from kefu.errors import Problem
from protocol.accounts import TOKEN_BYTES, Permission
from protocol.codes import ErrorCode

Authenticate: TypeAlias = Callable[[Request], Awaitable[AgentIdentity]]


class Guard:
    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def authenticate(self, request: Request) -> AgentIdentity:
        """The agent calling. Raises `Problem(UNAUTHORIZED)`."""
        return await self._accounts.authenticate(bearer_of(request))

    async def require(self, request: Request, permission: Permission) -> AgentIdentity:
        """The agent calling. Raises `Problem`: UNAUTHORIZED, or FORBIDDEN for a lower role."""
        identity = await self.authenticate(request)
        identity.require(permission)
        return identity

    def requiring(self, permission: Permission) -> Authenticate:
        """`require` for features that know agents' permissions by this alone."""

        async def require(request: Request) -> AgentIdentity:
            return await self.require(request, permission)

        return require


def bearer_of(request: Request) -> str:
    """The token of the request. Raises `Problem(UNAUTHORIZED)`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(token) <= TOKEN_BYTES:
        raise Problem(ErrorCode.UNAUTHORIZED)
    return token


def address_of(request: Request) -> str:
    """Where the request came from, as the audit log and the locks name it."""
    return request.client.host[:64] if request.client is not None else "unknown"


def by(identity: AgentIdentity, request: Request) -> By:
    """The caller, as the audit log names them."""
    return By("agent", identity.agent_id, identity.name, address_of(request))
