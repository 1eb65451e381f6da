"""Agents sign in over HTTP.

`authenticator` makes the guard that every other route of agents is handed. It asks PostgreSQL each
time, so that signing out and a lost role count at once.
"""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final, TypeAlias, TypeVar

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kefu.agents.accounts import Accounts
from kefu.agents.tokens import AgentIdentity
from kefu.errors import Problem
from protocol.accounts import (
    PERMISSIONS,
    TOKEN_BYTES,
    Agent,
    Login,
    Profile,
    ProfileAnswer,
    RedeemLink,
    Refresh,
)
from protocol.codes import ErrorCode

BODY_BYTES: Final = 16 * 1024
BODY_TIMEOUT_S: Final = 10.0

B = TypeVar("B")
Authenticate: TypeAlias = Callable[[Request], Awaitable[AgentIdentity]]
Read: TypeAlias = Callable[[bytes], B]

_read_login: Final = msgspec.json.Decoder(Login).decode
_read_refresh: Final = msgspec.json.Decoder(Refresh).decode
_read_link: Final = msgspec.json.Decoder(RedeemLink).decode


def authenticator(accounts: Accounts) -> Authenticate:
    """The guard `authenticate(request)`: the agent calling, or `Problem(UNAUTHORIZED)`."""

    async def authenticate(request: Request) -> AgentIdentity:
        return await accounts.authenticate(_bearer(request))

    return authenticate


def routes(accounts: Accounts) -> list[Route]:
    async def login(request: Request) -> Response:
        asked = await _body(request, _read_login)
        address = request.client.host if request.client is not None else "unknown"
        return _answer(await accounts.sign_in(asked.username, asked.password, address))

    async def refresh(request: Request) -> Response:
        asked = await _body(request, _read_refresh)
        return _answer(await accounts.refresh(asked.refresh_token))

    async def link(request: Request) -> Response:
        asked = await _body(request, _read_link)
        return _answer(await accounts.redeem_link(asked.token))

    async def profile(request: Request) -> Response:
        agent = await accounts.profile(_bearer(request))
        return _answer(ProfileAnswer(data=_profile(agent)))

    return [
        Route("/api/agent/login", login, methods=["POST"]),
        Route("/api/agent/refresh", refresh, methods=["POST"]),
        Route("/api/agent/link", link, methods=["POST"]),
        Route("/api/agent/profile", profile, methods=["GET"]),
    ]


def _profile(agent: Agent) -> Profile:
    return Profile(**msgspec.structs.asdict(agent), permissions=PERMISSIONS[agent.role])


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(token) <= TOKEN_BYTES:
        raise Problem(ErrorCode.UNAUTHORIZED)
    return token


async def _body(request: Request, read: Read[B]) -> B:
    """Raises `Problem`: TOO_LARGE, or INVALID_MESSAGE naming the place and the rule."""
    raw = bytearray()
    try:
        with anyio.fail_after(BODY_TIMEOUT_S):
            async with aclosing(request.stream()) as chunks:
                async for chunk in chunks:
                    raw += chunk
                    if len(raw) > BODY_BYTES:
                        raise Problem(ErrorCode.TOO_LARGE)
        return read(bytes(raw))
    except TimeoutError:
        raise Problem(ErrorCode.INVALID_MESSAGE, "The body took too long to arrive.") from None
    except msgspec.ValidationError as error:
        raise Problem(ErrorCode.INVALID_MESSAGE, str(error)[:300]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(ErrorCode.INVALID_MESSAGE, "The body is not valid JSON.") from None


def _answer(body: msgspec.Struct) -> Response:
    return Response(
        msgspec.json.encode(body),
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
