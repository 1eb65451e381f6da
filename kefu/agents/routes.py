"""Agents over HTTP: signing in and out, and what they do with their own account.

Sign-in answers flat; a request to change what may not be changed is answered NO_FIELDS_TO_UPDATE.
Colleagues and teams are in staff/routes.py.
"""

from typing import Final
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kefu.agents.accounts import Accounts
from kefu.agents.guard import Guard, address_of, by
from kefu.agents.staff.own_account import OwnAccount
from kefu.agents.staff.ports import Presences
from kefu.bodies import answer, flat_answer, read_body
from protocol.accounts import (
    PERMISSIONS,
    Agent,
    ChangePassword,
    ChangeProfile,
    ChooseStatus,
    Login,
    OwnStatus,
    Profile,
    RedeemLink,
    Refresh,
)

_read_login: Final = msgspec.json.Decoder(Login).decode
_read_refresh: Final = msgspec.json.Decoder(Refresh).decode
_read_link: Final = msgspec.json.Decoder(RedeemLink).decode
_read_profile: Final = msgspec.json.Decoder(ChangeProfile).decode
_read_password: Final = msgspec.json.Decoder(ChangePassword).decode
_read_status: Final = msgspec.json.Decoder(ChooseStatus).decode


def sign_in_routes(accounts: Accounts) -> list[Route]:
    """The only routes that ask for no permission."""

    async def login(request: Request) -> Response:
        asked = await read_body(request, _read_login)
        address = address_of(request)
        return flat_answer(await accounts.sign_in(asked.username, asked.password, address))

    async def refresh(request: Request) -> Response:
        asked = await read_body(request, _read_refresh)
        return flat_answer(await accounts.refresh(asked.refresh_token))

    async def link(request: Request) -> Response:
        asked = await read_body(request, _read_link)
        return flat_answer(await accounts.redeem_link(asked.token))

    return [
        Route("/api/agent/login", login, methods=["POST"]),
        Route("/api/agent/refresh", refresh, methods=["POST"]),
        Route("/api/agent/link", link, methods=["POST"]),
    ]


def own_routes(guard: Guard, own: OwnAccount, presences: Presences) -> list[Route]:
    async def logout(request: Request) -> Response:
        caller = await guard.require(request, "account.own")
        await own.sign_out(by(caller, request), caller.session_id)
        return answer(None)

    async def profile(request: Request) -> Response:
        caller = await guard.require(request, "account.own")
        return answer(_profile(await own.read(caller.agent_id)))

    async def change_profile(request: Request) -> Response:
        caller = await guard.require(request, "account.own")
        asked = await read_body(request, _read_profile)
        fields = msgspec.structs.asdict(asked)
        given = {name: value for name, value in fields.items() if value is not msgspec.UNSET}
        return answer(_profile(await own.change(by(caller, request), caller.agent_id, given)))

    async def change_password(request: Request) -> Response:
        caller = await guard.require(request, "account.own")
        asked = await read_body(request, _read_password)
        await own.change_password(
            by(caller, request), caller, asked.old_password, asked.new_password
        )
        return answer(None)

    async def status(request: Request) -> Response:
        caller = await guard.require(request, "account.own")
        return answer(await _status(caller.agent_id))

    async def choose_status(request: Request) -> Response:
        caller = await guard.require(request, "account.own")
        asked = await read_body(request, _read_status)
        await presences.choose(caller.agent_id, asked.status, asked.note)
        return answer(await _status(caller.agent_id))

    async def _status(agent_id: UUID) -> OwnStatus:
        agent = await own.read(agent_id)
        seen = {each.agent_id: each.status for each in await presences.known()}
        return OwnStatus(seen.get(agent_id, "offline"), agent.status, agent.status_note)

    return [
        Route("/api/agent/logout", logout, methods=["POST"]),
        Route("/api/agent/profile", profile, methods=["GET"]),
        Route("/api/agent/profile", change_profile, methods=["PUT"]),
        Route("/api/agent/change-password", change_password, methods=["POST"]),
        Route("/api/agent/status", status, methods=["GET"]),
        Route("/api/agent/status", choose_status, methods=["PUT"]),
    ]


def _profile(agent: Agent) -> Profile:
    return Profile(**msgspec.structs.asdict(agent), permissions=PERMISSIONS[agent.role])
