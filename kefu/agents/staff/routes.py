"""Colleagues and teams over HTTP: read by agents, changed by administrators."""

from typing import Final
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kefu.agents.guard import Guard, by
from kefu.agents.staff.ports import Presences
from kefu.agents.staff.roster import LIST_LIMIT, Roster
from kefu.agents.staff.teams import Teams
from kefu.bodies import answer, read_body, read_number
from kefu.errors import Problem
from protocol.codes import ErrorCode
from protocol.staff import (
    AddAgent,
    AvailableAgent,
    ChangeAgent,
    NameTeam,
    PasswordReset,
    ResetPassword,
    SetMembers,
    SetSkills,
)

CURSOR_CHARS: Final = 64
_read_agent: Final = msgspec.json.Decoder(AddAgent).decode
_read_change: Final = msgspec.json.Decoder(ChangeAgent).decode
_read_reset: Final = msgspec.json.Decoder(ResetPassword).decode
_read_skills: Final = msgspec.json.Decoder(SetSkills).decode
_read_team: Final = msgspec.json.Decoder(NameTeam).decode
_read_members: Final = msgspec.json.Decoder(SetMembers).decode


def agent_routes(guard: Guard, roster: Roster, presences: Presences) -> list[Route]:
    async def page(request: Request) -> Response:
        await guard.require(request, "agents.read")
        limit = read_number(request, "limit", default=50, least=1, most=LIST_LIMIT)
        after = request.query_params.get("cursor", "")
        if len(after) > CURSOR_CHARS or "\0" in after:
            raise Problem(ErrorCode.INVALID_MESSAGE, "cursor is not one that kefu gave.")
        return answer(await roster.list(after=after, limit=limit))

    async def available(request: Request) -> Response:
        await guard.require(request, "colleagues.read")
        free = {
            each.agent_id: each
            for each in await presences.known()
            if each.status == "online" and each.active_count < each.max_sessions
        }
        return answer(
            [
                AvailableAgent(
                    id=agent.id,
                    username=agent.username,
                    name=agent.name,
                    avatar_url=agent.avatar_url,
                    status=free[agent.id].status,
                    active_count=free[agent.id].active_count,
                    max_sessions=free[agent.id].max_sessions,
                    skills=agent.skills,
                    team_ids=agent.team_ids,
                )
                for agent in await roster.active(tuple(free))
            ]
        )

    async def create(request: Request) -> Response:
        caller = await guard.require(request, "agents.write")
        asked = await read_body(request, _read_agent)
        made = await roster.create(by(caller, request), **msgspec.structs.asdict(asked))
        return answer(made, 201)

    async def change(request: Request) -> Response:
        caller = await guard.require(request, "agents.write")
        fields = msgspec.structs.asdict(await read_body(request, _read_change))
        given = {name: value for name, value in fields.items() if value is not msgspec.UNSET}
        return answer(await roster.change(by(caller, request), _username(request), given))

    async def deactivate(request: Request) -> Response:
        caller = await guard.require(request, "agents.write")
        fields = {"is_active": False}
        return answer(await roster.change(by(caller, request), _username(request), fields))

    async def reset_password(request: Request) -> Response:
        caller = await guard.require(request, "agents.write")
        asked = await read_body(request, _read_reset)
        who, username = by(caller, request), _username(request)
        await roster.reset_password(who, username, asked.new_password)
        is_by_link = asked.new_password is None
        return answer(PasswordReset(await roster.make_link(who, username) if is_by_link else None))

    async def set_skills(request: Request) -> Response:
        caller = await guard.require(request, "agents.write")
        asked = await read_body(request, _read_skills)
        agent_id = request.path_params["id"]
        return answer(await roster.set_skills(by(caller, request), agent_id, asked.skills))

    return [
        Route("/api/agents", page, methods=["GET"]),
        Route("/api/agents", create, methods=["POST"]),
        Route("/api/agents/available", available, methods=["GET"]),
        Route("/api/agents/{username}", change, methods=["PUT"]),
        Route("/api/agents/{username}", deactivate, methods=["DELETE"]),
        Route("/api/agents/{username}/reset-password", reset_password, methods=["POST"]),
        Route("/api/agents/{id:uuid}/skills", set_skills, methods=["PUT"]),
    ]


def team_routes(guard: Guard, teams: Teams) -> list[Route]:
    async def everyone(request: Request) -> Response:
        await guard.require(request, "colleagues.read")
        return answer(await teams.list())

    async def create(request: Request) -> Response:
        caller = await guard.require(request, "teams.write")
        asked = await read_body(request, _read_team)
        return answer(await teams.create(by(caller, request), asked.name), 201)

    async def rename(request: Request) -> Response:
        caller = await guard.require(request, "teams.write")
        asked = await read_body(request, _read_team)
        return answer(await teams.rename(by(caller, request), _team_id(request), asked.name))

    async def delete(request: Request) -> Response:
        caller = await guard.require(request, "teams.write")
        await teams.delete(by(caller, request), _team_id(request))
        return answer(None)

    async def set_members(request: Request) -> Response:
        caller = await guard.require(request, "teams.write")
        asked = await read_body(request, _read_members)
        team_id = _team_id(request)
        return answer(await teams.set_members(by(caller, request), team_id, asked.agent_ids))

    return [
        Route("/api/teams", everyone, methods=["GET"]),
        Route("/api/teams", create, methods=["POST"]),
        Route("/api/teams/{id:uuid}", rename, methods=["PUT"]),
        Route("/api/teams/{id:uuid}", delete, methods=["DELETE"]),
        Route("/api/teams/{id:uuid}/members", set_members, methods=["PUT"]),
    ]


def _username(request: Request) -> str:
    username: str = request.path_params["username"]
    if "\0" in username:
        raise Problem(ErrorCode.AGENT_NOT_FOUND, "There is no such agent.")
    return username


def _team_id(request: Request) -> UUID:
    team_id: UUID = request.path_params["id"]
    return team_id
