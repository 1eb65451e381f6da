"""Colleagues and teams over HTTP: what administrators change and what every agent may see."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from protocol.accounts import (
    WORDS,
    Agent,
    AvatarUrl,
    DisplayName,
    MaxSessions,
    Password,
    Role,
    Username,
)
from protocol.agent import AgentStatusName

SKILL_CHARS: Final = 50

Skill = Annotated[str, Meta(min_length=1, max_length=SKILL_CHARS, pattern=WORDS)]
Skills = Annotated[tuple[Skill, ...], Meta(max_length=50)]
TeamName = DisplayName


class NewAgent(Struct, frozen=True):
    username: Username
    name: DisplayName
    role: Role = "agent"
    max_sessions: MaxSessions = 5


class AddAgent(NewAgent, frozen=True):
    """Without a password the agent first signs in by link (see ResetPassword)."""

    password: Password | None = None


class ChangeAgent(Struct, frozen=True):
    """What is left out stays. `is_active: true` lets a deactivated agent in again."""

    name: DisplayName | UnsetType = UNSET
    avatar_url: AvatarUrl | UnsetType | None = UNSET
    role: Role | UnsetType = UNSET
    max_sessions: MaxSessions | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class ResetPassword(Struct, frozen=True):
    """Without a new password there is none, and the answer has a link that signs in once."""

    new_password: Password | None = None


class PasswordReset(Struct, frozen=True):
    """`link_token` goes behind `/agent#link=` and is good for 15 minutes."""

    link_token: str | None


class SetSkills(Struct, frozen=True):
    skills: Skills


class AgentPage(Struct, frozen=True):
    """By username. `next_cursor` leads to those behind; None at the end."""

    agents: tuple[Agent, ...]
    next_cursor: str | None


class AvailableAgent(Struct, frozen=True):
    """A colleague who is online and has a place free."""

    id: UUID
    username: str
    name: str
    avatar_url: str | None
    status: AgentStatusName
    active_count: int
    max_sessions: int
    skills: tuple[str, ...]
    team_ids: tuple[UUID, ...]


class Team(Struct, frozen=True):
    id: UUID
    name: str
    created_at: datetime
    agent_ids: tuple[UUID, ...]


class NameTeam(Struct, frozen=True):
    name: TeamName


class SetMembers(Struct, frozen=True):
    """All members of the team from now on."""

    agent_ids: Annotated[tuple[UUID, ...], Meta(max_length=200)]
