"""Bodies and events of the chat facade: how clients of the older service talk to the bot.

Paths, fields and event shapes are fixed, because those clients exist. Times are seconds since the
epoch. An event is the JSON of one `data:` line; a client skips the types it does not know.
"""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

from protocol.codes import ErrorCode
from protocol.limits import NO_NUL, ClientMessageId, Content
from protocol.server import StoredMessageType

NAME_CHARS: Final = 128
NAME: Final = r"^[A-Za-z0-9_.:-]+$"
RESERVED_NAMES: Final = frozenset({"queue", "stats"})

SessionName = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS, pattern=NAME)]
ForeignId = Annotated[str, Meta(max_length=256, pattern=NO_NUL)]
SessionStatus = Literal["bot_active", "pending_manual", "manual_live", "closed"]
Seconds = float


class ForSession(Struct, frozen=True):
    session_id: SessionName


class ForUser(Struct, frozen=True):
    user_id: SessionName


class Ask(Struct, frozen=True):
    """`user_id` is the session's name. A session has one conversation with the bot, so that
    `conversation_id` chooses nothing; nor do `parameters`, which the bot is asked with are kefu's.
    """

    message: Content
    user_id: SessionName | None = None
    conversation_id: ForeignId | None = None
    parameters: dict[str, Any] | None = None
    client_message_id: ClientMessageId | None = None


class Conversation(Struct, frozen=True):
    conversation_id: str
    success: bool = True


class Reply(Struct, frozen=True, omit_defaults=True):
    """`status` is given when a human was called for; `products` are the ids of those shown."""

    success: bool
    message: str
    status: SessionStatus | None = None
    products: tuple[UUID, ...] = ()


class BotCard(Struct, frozen=True):
    name: str
    description: str
    icon_url: str
    welcome: str


class BotShown(Struct, frozen=True):
    """`bot` is null where people answer first."""

    bot: BotCard | None
    success: bool = True


class HealthShown(Struct, frozen=True, omit_defaults=True):
    """`coze_connected` is there when Coze answers: whether a token can be had from it."""

    status: Literal["healthy", "degraded", "unhealthy"]
    provider: str
    provider_state: str
    session_isolation: bool
    version: str
    timestamp: Seconds
    coze_connected: bool | None = None


# --- events ---------------------------------------------------------------------------------------


class Piece(Struct, frozen=True, tag_field="type", tag="message"):
    """A piece of the answer that is being written, on the stream that asked for it."""

    content: str


class Done(Struct, frozen=True, tag_field="type", tag="done"):
    content: str = ""


class Failed(Struct, frozen=True, tag_field="type", tag="error"):
    content: str
    code: ErrorCode


class BotMessage(Struct, frozen=True, tag_field="type", tag="message", omit_defaults=True):
    """A whole answer of the bot, as everybody hears it who listens to the session."""

    content: str
    message_id: UUID
    timestamp: Seconds
    session_name: str | None = None
    chat_id: UUID | None = None


class ProductShown(Struct, frozen=True, tag_field="type", tag="product", omit_defaults=True):
    """A product that the bot shows behind its words: `content` is the product's id. On the stream
    that asked it comes before `done`, by itself; elsewhere it is a message like any other."""

    content: str
    message_id: UUID | None = None
    timestamp: Seconds | None = None
    session_name: str | None = None
    chat_id: UUID | None = None


class ManualMessage(Struct, frozen=True, tag_field="type", tag="manual_message"):
    role: Literal["agent", "user", "system"]
    content: str
    timestamp: Seconds
    agent_id: UUID | None
    agent_name: str | None
    message_id: UUID
    message_type: StoredMessageType
    client_message_id: str | None


class HeardMessage(ManualMessage, frozen=True, tag_field="type", tag="manual_message"):
    """As an agent hears it: of which session."""

    session_name: str | None
    chat_id: UUID


class AgentShown(Struct, frozen=True):
    agent_id: UUID
    agent_name: str
    avatar_url: str | None = None


class StatusChange(Struct, frozen=True, tag_field="type", tag="status_change", omit_defaults=True):
    """`resync`: the messages behind it are the last ones, and do not join what the client has."""

    status: SessionStatus
    timestamp: Seconds
    reason: str | None = None
    agent_info: AgentShown | None = None
    resync: bool = False
    session_name: str | None = None
    chat_id: UUID | None = None


class QueuePosition(
    Struct, frozen=True, tag_field="type", tag="queue_position", omit_defaults=True
):
    """`estimated_wait_s` is between how many seconds it may still take."""

    position: int
    timestamp: Seconds
    estimated_wait_s: tuple[int, int] | None = None


class StreamPing(Struct, frozen=True, tag_field="type", tag="ping"):
    timestamp: Seconds
