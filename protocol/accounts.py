"""Who an agent is and what signing in looks like, over HTTP.

Sign-in and refresh answer flat (`token` next to `success`); everything else answers `data`.
"""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct, field

from protocol.agent import AgentStatusName
from protocol.limits import NO_NUL

ACCESS_TOKEN_S: Final = 3600
TOKEN_BYTES: Final = 8 * 1024

Username = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_NUL)]
DisplayName = Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]
Password = Annotated[str, Meta(min_length=1, max_length=128)]
TokenText = Annotated[str, Meta(min_length=1, max_length=TOKEN_BYTES)]
MaxSessions = Annotated[int, Meta(ge=1, le=50)]

Role = Literal["agent", "supervisor", "admin"]
Permission = Literal[
    "chats.answer",
    "history.read",
    "quick_replies.write",
    "chats.supervise",
    "reports.read",
    "agents.read",
    "agents.write",
    "customers.erase",
    "audit.read",
    "settings.write",
]

_AGENT: Final[tuple[Permission, ...]] = ("chats.answer", "history.read", "quick_replies.write")
_SUPERVISOR: Final[tuple[Permission, ...]] = (
    *_AGENT,
    "chats.supervise",
    "reports.read",
    "agents.read",
)
PERMISSIONS: Final[dict[Role, tuple[Permission, ...]]] = {
    "agent": _AGENT,
    "supervisor": _SUPERVISOR,
    "admin": (*_SUPERVISOR, "agents.write", "customers.erase", "audit.read", "settings.write"),
}


class Agent(Struct, frozen=True):
    """An agent's account as colleagues may see it."""

    id: UUID
    username: str
    name: str
    avatar_url: str | None
    role: Role
    max_sessions: int
    status: AgentStatusName
    status_note: str | None
    is_active: bool
    created_at: datetime
    last_login_at: datetime | None = field(name="last_login")


class NewAgent(Struct, frozen=True):
    username: Username
    name: DisplayName
    role: Role = "agent"
    max_sessions: MaxSessions = 5


class Login(Struct, frozen=True):
    username: Username
    password: Password


class Refresh(Struct, frozen=True):
    refresh_token: TokenText


class RedeemLink(Struct, frozen=True):
    token: Annotated[str, Meta(min_length=1, max_length=200)]


class SignedIn(Struct, frozen=True):
    """Answer to login, refresh and link; `expires_in` is the access token's life in seconds."""

    token: str
    refresh_token: str
    agent: Agent
    expires_in: int = ACCESS_TOKEN_S
    success: bool = True


class Profile(Agent, frozen=True):
    """An agent's own account, with what their role lets them do."""

    permissions: tuple[Permission, ...]


class ProfileAnswer(Struct, frozen=True):
    data: Profile
    success: bool = True
