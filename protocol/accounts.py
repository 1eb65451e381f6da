"""Who an agent is and what signing in looks like, over HTTP.

Sign-in and refresh answer flat (`token` next to `success`); everything else answers `data`.
Colleagues, administration and teams are in staff.py.
"""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from protocol.agent import AgentStatusName
from protocol.limits import NO_NUL

ACCESS_TOKEN_S: Final = 3600
TOKEN_BYTES: Final = 8 * 1024

# Text with at least one character that can be seen.
WORDS: Final = r"^[^\x00]*[^\x00\s][^\x00]*$"
# A picture of the web or of this server; never `javascript:`.
_PICTURE: Final = r"^(https?:/)?/[^\s\x00]+$"

Username = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_NUL)]
DisplayName = Annotated[str, Meta(min_length=1, max_length=100, pattern=WORDS)]
AvatarUrl = Annotated[str, Meta(max_length=2000, pattern=_PICTURE)]
StatusNote = Annotated[str, Meta(max_length=500, pattern=NO_NUL)]
Password = Annotated[str, Meta(min_length=1, max_length=128)]
TokenText = Annotated[str, Meta(min_length=1, max_length=TOKEN_BYTES)]
MaxSessions = Annotated[int, Meta(ge=1, le=50)]

Role = Literal["agent", "supervisor", "admin"]
Permission = Literal[
    "account.own",
    "colleagues.read",
    "chats.answer",
    "history.read",
    "quick_replies.write",
    "chats.supervise",
    "reports.read",
    "ops.read",
    "agents.read",
    "agents.write",
    "teams.write",
    "customers.erase",
    "audit.read",
    "settings.write",
    "catalogue.write",
    "ops.drain",
]

_AGENT: Final[tuple[Permission, ...]] = (
    "account.own",
    "colleagues.read",
    "chats.answer",
    "history.read",
    "quick_replies.write",
)
_SUPERVISOR: Final[tuple[Permission, ...]] = (
    *_AGENT,
    "chats.supervise",
    "reports.read",
    "ops.read",
    "agents.read",
)
_ADMIN: Final[tuple[Permission, ...]] = (
    *_SUPERVISOR,
    "agents.write",
    "teams.write",
    "customers.erase",
    "audit.read",
    "settings.write",
    "catalogue.write",
    "ops.drain",
)
PERMISSIONS: Final[dict[Role, tuple[Permission, ...]]] = {
    "agent": _AGENT,
    "supervisor": _SUPERVISOR,
    "admin": _ADMIN,
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
    skills: tuple[str, ...]
    team_ids: tuple[UUID, ...]


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


class ChangeProfile(Struct, frozen=True):
    """What agents may change about themselves; what is left out stays."""

    name: DisplayName | UnsetType = UNSET
    avatar_url: AvatarUrl | UnsetType | None = UNSET


class ChangePassword(Struct, frozen=True):
    """`old_password` may be left out by an agent who has none yet and came by link."""

    new_password: Password
    old_password: Password | None = None


class ChooseStatus(Struct, frozen=True):
    status: AgentStatusName
    note: StatusNote | None = None


class OwnStatus(Struct, frozen=True):
    """`status` is what others see, offline without a socket; `chosen` is what the agent said."""

    status: AgentStatusName
    chosen: AgentStatusName
    note: str | None
