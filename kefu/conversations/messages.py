"""What may be said to a conversation. Its address is `conversation/<customer id>`.

Frames go to people through the Publisher; the answer to a request tells the asker what came of it.
`origin` is left out where nobody's connection waits for a frame.
"""

from typing import Final
from uuid import UUID

from msgspec import Struct

from actors import Repeatable, Request
from kefu.bot.messages import Answer
from kefu.conversations.chat import Chat
from kefu.conversations.commands import Refusal
from kefu.conversations.parties import AgentSeat, Customer, Party, Phase
from kefu.delivery import Origin
from protocol.customer import MessageType
from protocol.server import ChatState

__all__ = [
    "AcceptChat",
    "AddNote",
    "AgentSeat",
    "AsideMessage",
    "AskAssist",
    "BotAnswered",
    "BotSpoke",
    "CallHuman",
    "ChatState",
    "ConversationMessage",
    "Customer",
    "Describe",
    "EndChat",
    "EndSilent",
    "LookAgain",
    "MarkRead",
    "Outcome",
    "Party",
    "Phase",
    "QueueMoved",
    "RateChat",
    "Refusal",
    "ReleaseChat",
    "RequeueChat",
    "ReturnToBot",
    "ReturnToQueue",
    "SaveReadMarks",
    "SendMessage",
    "ShowTyping",
    "StartChat",
    "TakeOverChat",
    "TransferChat",
    "UnwatchChat",
    "WaitedTooLong",
    "WatchChat",
    "Whisper",
    "answered_seq",
]

KIND = "conversation"
Outcome = ChatState | Refusal
_ANSWER_KEY: Final = "answers-"
_CARD: Final = "-card-"


def answer_key(seq: int) -> str:
    """The client_message_id of the bot's answer to all the customer said up to `seq`."""
    return f"{_ANSWER_KEY}{seq}"


def card_key(seq: int, number: int) -> str:
    """The client_message_id of a product card behind that answer; the first is number 1."""
    return f"{answer_key(seq)}{_CARD}{number}"


def is_card_of(answer: str | None, client_message_id: str | None) -> bool:
    """Whether it is the key of a card behind the answer with that key."""
    return bool(answer and client_message_id and client_message_id.startswith(f"{answer}{_CARD}"))


def answered_seq(client_message_id: str | None) -> int | None:
    """Up to where a message of the bot answers, by its client_message_id; None of any other."""
    if client_message_id is None or not client_message_id.startswith(_ANSWER_KEY):
        return None
    number = client_message_id.removeprefix(_ANSWER_KEY)
    return int(number) if number.isascii() and number.isdigit() else None


class StartChat(Request[Outcome], Repeatable, Struct, frozen=True):
    origin: Origin | None
    customer: Customer
    wants_human: bool
    topic: str | None = None
    order_id: UUID | None = None


class SendMessage(Request[Refusal | None], Struct, frozen=True):
    """`customer` is given by customers: their message may open a chat.

    Told, not asked: receipt or refusal reach the connection as frames. One that is `only_to_bot`
    is refused with MANUAL_IN_PROGRESS while a human is called for or in charge.
    """

    origin: Origin
    sender: Party
    content: str
    message_type: MessageType = "text"
    chat_id: UUID | None = None
    client_message_id: str | None = None
    customer: Customer | None = None
    only_to_bot: bool = False

    @property
    def may_repeat(self) -> bool:
        """Whether sending it again yields the first receipt."""
        return self.client_message_id is not None


class CallHuman(Request[Outcome], Repeatable, Struct, frozen=True):
    origin: Origin | None
    by: Party
    chat_id: UUID | None = None
    reason: str | None = None


class ReturnToBot(Request[Outcome], Repeatable, Struct, frozen=True):
    origin: Origin | None
    by: Party
    chat_id: UUID | None = None
    reason: str | None = None


class EndChat(Request[Outcome], Struct, frozen=True):
    origin: Origin | None
    by: Party
    chat_id: UUID | None = None
    rating: int | None = None
    feedback: str | None = None


class RateChat(Request[Outcome], Struct, frozen=True):
    origin: Origin | None
    by: Party
    rating: int
    chat_id: UUID | None = None
    feedback: str | None = None


class AcceptChat(Request[Outcome], Repeatable, Struct, frozen=True):
    """Only the agent's own actor sends this: it holds a place for the chat.

    `guard` is the (slot, epoch) under which that actor counts the places: the chat comes only while
    it is still the one who counts.
    """

    origin: Origin | None
    agent: AgentSeat
    chat_id: UUID
    guard: tuple[int, int] | None = None


class TakeOverChat(Request[Outcome], Repeatable, Struct, frozen=True):
    """Like AcceptChat, from the bot or, for supervisors, from a colleague."""

    origin: Origin | None
    agent: AgentSeat
    by: Party
    chat_id: UUID
    guard: tuple[int, int] | None = None


class TransferChat(Request[Outcome], Struct, frozen=True):
    """Only the receiving agent's actor sends this: it holds a place for the chat."""

    origin: Origin | None
    by: Party
    to_agent: AgentSeat
    chat_id: UUID
    reason: str | None = None
    note: str | None = None
    guard: tuple[int, int] | None = None


class RequeueChat(Request[Outcome], Struct, frozen=True):
    """Back to the queue, for the members of a team. Whoever sends this knows the team exists."""

    origin: Origin | None
    by: Party
    chat_id: UUID
    team_id: UUID
    reason: str | None = None
    note: str | None = None


class ReleaseChat(Request[Outcome], Struct, frozen=True):
    origin: Origin | None
    by: Party
    chat_id: UUID
    reason: str | None = None


class AddNote(Request[Outcome], Struct, frozen=True):
    origin: Origin | None
    by: Party
    chat_id: UUID
    content: str


class Whisper(Request[Outcome], Struct, frozen=True):
    origin: Origin | None
    by: Party
    chat_id: UUID
    content: str


class AskAssist(Request[Outcome], Struct, frozen=True):
    """Only the actor of the agent who is asked sends this: it knows whether they are here."""

    origin: Origin | None
    by: Party
    chat_id: UUID
    to_agent: UUID
    question: str


class WatchChat(Request[Outcome], Struct, frozen=True):
    """Put down that `by` watches from now on. Telling them, and showing the chat, is for the
    gateway, and comes after it."""

    origin: Origin | None
    by: Party
    chat_id: UUID


class UnwatchChat(Request[Outcome], Struct, frozen=True):
    origin: Origin | None
    by: Party
    chat_id: UUID


class EndSilent(Struct, frozen=True):
    """End the chat if it still stands at `seq` and `log_id` and nobody waits; else do nothing."""

    chat_id: UUID
    seq: int
    log_id: int


class ShowTyping(Struct, frozen=True):
    origin: Origin
    by: Party
    is_typing: bool
    chat_id: UUID | None = None


class MarkRead(Struct, frozen=True):
    origin: Origin
    by: Party
    seq: int
    chat_id: UUID | None = None


class Describe(Request[Outcome], Repeatable, Struct, frozen=True):
    """The chat as `viewer` may see it: the named one, or the customer's open one.

    With an origin the connection gets it as `chat_status`, from which on it follows the chat; a
    refusal is then the answer alone and no frame.
    """

    viewer: Party
    chat_id: UUID | None = None
    origin: Origin | None = None


class QueueMoved(Struct, frozen=True):
    """The chat's place in the queue changed; the customer is told.

    `wait_s` is between how many seconds it may still take, where that can be said honestly.
    """

    chat_id: UUID
    position: int
    wait_s: tuple[int, int] | None = None


class ReturnToQueue(Request[Outcome], Repeatable, Struct, frozen=True):
    """The agent in charge has gone and not come back: somebody else is to take the chat, next.

    Only that agent's actor sends this.
    """

    chat_id: UUID
    agent_id: UUID
    reason: str = "agent_gone"


class BotSpoke(Struct, frozen=True):
    """A bot's turn says to its conversation: there are pieces to pass on."""

    turn_id: UUID


class BotAnswered(Struct, frozen=True):
    """A bot's turn says to its conversation: this is the whole answer."""

    turn_id: UUID
    chat_id: UUID
    answers_seq: int
    answer: Answer


class WaitedTooLong(Struct, frozen=True):
    """A conversation's reminder to itself: nobody came."""

    chat_id: UUID
    waiting_since: float


class LookAgain(Struct, frozen=True):
    """A conversation's reminder to itself: whether its last commit happened is not known.

    `said` is how people knew the chat before, where that was in an earlier life of it.
    """

    said: Chat | None = None


class SaveReadMarks(Struct, frozen=True):
    """A conversation's reminder to itself."""


AsideMessage = AddNote | Whisper | AskAssist | WatchChat | UnwatchChat
ConversationMessage = (
    StartChat
    | SendMessage
    | CallHuman
    | ReturnToBot
    | EndChat
    | RateChat
    | AcceptChat
    | TakeOverChat
    | TransferChat
    | RequeueChat
    | ReleaseChat
    | AsideMessage
    | EndSilent
    | ShowTyping
    | MarkRead
    | Describe
    | QueueMoved
    | ReturnToQueue
    | BotSpoke
    | BotAnswered
    | WaitedTooLong
    | LookAgain
    | SaveReadMarks
)
