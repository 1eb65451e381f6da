"""Who may hear what of a chat: the one place that says so. Pure.

    public      the customer, the chat's agent, and whoever watches
    agents      the chat's agent and whoever watches, or the colleague it is addressed to
    supervisor  whoever watches

Whoever did it hears of it by an answer of their own.
"""

from typing import Literal, NamedTuple, assert_never

from kefu.conversations.chat import Chat
from kefu.conversations.events import (
    AskedAfterHours,
    AssistAsked,
    BotAnswered,
    EmailLeft,
    Ended,
    Event,
    HumanCalled,
    NoteWritten,
    Opened,
    Rated,
    Released,
    RemindedOfHours,
    Requeued,
    ReturnedToBot,
    Spoken,
    Taken,
    Transferred,
    Unwatched,
    Watched,
    Whispered,
)
from kefu.conversations.parties import AgentSeat, Party
from kefu.delivery import agent_topic, customer_topic, watch_topic

Visibility = Literal["public", "agents", "supervisor"]
Topics = tuple[str, ...]


class Hearers(NamedTuple):
    """Topics, apart because customers and staff are not told in the same words."""

    customer: Topics = ()
    staff: Topics = ()

    def __bool__(self) -> bool:
        return bool(self.customer or self.staff)

    def joined_by(self, others: "Hearers") -> "Hearers":
        """Both, each once."""
        return Hearers(
            tuple(dict.fromkeys(self.customer + others.customer)),
            tuple(dict.fromkeys(self.staff + others.staff)),
        )


def visibility_of(event: Event) -> Visibility:
    match event:
        case Spoken() | Opened() | HumanCalled() | ReturnedToBot() | Taken() | Transferred():
            return "public"
        case Released() | Requeued() | Ended() | Rated():
            return "public"
        case NoteWritten() | Whispered() | AssistAsked():
            return "agents"
        case BotAnswered() | AskedAfterHours() | RemindedOfHours() | EmailLeft():
            return "agents"
        case Watched() | Unwatched():
            return "supervisor"
        case _:
            assert_never(event)


def hearers_of(event: Event, before: Chat | None, chat: Chat) -> Hearers:
    """Of an event that made `before` into `chat`."""
    match event:
        case Rated():  # a status of a chat that is over would take their pages away from the next
            return Hearers((), _staff(chat.served_by, None, chat))
        case AssistAsked(to_agent=to_agent):
            return Hearers((), (agent_topic(to_agent),))
        case _:
            everybody, visibility = present(before, chat), visibility_of(event)
    if visibility == "public":
        return everybody
    if visibility == "agents":
        return Hearers((), everybody.staff)
    return Hearers((), (watch_topic(chat.chat_id),))


def present(before: Chat | None, chat: Chat) -> Hearers:
    """Everybody who is in the chat or was until now."""
    was = before.agent if before is not None else None
    return Hearers((customer_topic(chat.customer.id),), _staff(chat.agent, was, chat))


def across(chat: Chat | None, by: Party) -> Topics:
    """Who sees what `by` does in passing; nobody when they are no member of an open chat."""
    if chat is None or not chat.is_open:
        return ()
    if by.kind == "customer" and by.id == chat.customer.id:
        return _staff(chat.agent, None, chat)
    if chat.agent is not None and by.id == chat.agent.id:
        return (customer_topic(chat.customer.id), watch_topic(chat.chat_id))
    return ()


def _staff(one: AgentSeat | None, other: AgentSeat | None, chat: Chat) -> Topics:
    watchers = watch_topic(chat.chat_id)
    if one is None:
        return (watchers,) if other is None else (agent_topic(other.id), watchers)
    if other is None or other.id == one.id:
        return (agent_topic(one.id), watchers)
    return (agent_topic(one.id), agent_topic(other.id), watchers)
