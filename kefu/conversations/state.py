"""The life of one chat, decided without clock, socket or database.

    bot_active -> pending_manual -> manual_live        any -> closed
       ^_______________|_________________|

`decide` says what a command makes happen, or why it may not; `evolve` makes it so. No phase is ever
skipped: what looks like a jump is two events of one decision. While anyone but the bot is in charge
the bot is refused, so that its caller knows the answer was not shown. To whoever has no part in a
chat it does not exist.
"""

from typing import Final, assert_never

from msgspec.structs import replace

from kefu.conversations.asides import decide_aside
from kefu.conversations.bot_phase import decide_bot_phase, evolve_bot_phase, notice_of
from kefu.conversations.chat import Chat
from kefu.conversations.commands import (
    Accept,
    Aside,
    BotPhase,
    CallHuman,
    Command,
    End,
    EndSilent,
    GiveUpWaiting,
    Notice,
    Open,
    Rate,
    Refusal,
    Release,
    Requeue,
    ReturnToBot,
    ReturnToQueue,
    Speak,
    TakeOver,
    Transfer,
)
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
    Transition,
    Unwatched,
    Watched,
    Whispered,
)
from kefu.conversations.parties import SYSTEM, AgentSeat, Party, Phase
from kefu.conversations.refusals import (
    BOT_IS_SILENT,
    ENDED,
    FORBIDDEN,
    NOT_FOUND,
    NOT_WAITING,
    RATED_ONCE,
    STILL_OPEN,
    Decision,
)
from protocol.codes import ErrorCode

LEGAL: Final[frozenset[tuple[Phase, Phase]]] = frozenset(
    {
        ("bot_active", "pending_manual"),
        ("pending_manual", "manual_live"),
        ("pending_manual", "bot_active"),
        ("manual_live", "bot_active"),
        ("manual_live", "pending_manual"),
        ("bot_active", "closed"),
        ("pending_manual", "closed"),
        ("manual_live", "closed"),
    }
)


def decide(chat: Chat | None, command: Command) -> Decision:
    """What `command` makes happen to the conversation's latest chat (None before the first)."""
    if isinstance(command, Open):
        return _open(chat, command)
    if chat is None or _is_stranger(chat, command):
        return NOT_FOUND
    if isinstance(command, Rate):
        return _rate(chat, command)
    if isinstance(command, Aside):
        return decide_aside(chat, command)
    if not chat.is_open:
        return ENDED
    if isinstance(command, BotPhase):
        return decide_bot_phase(chat, command)
    match command:
        case Speak():
            return _speak(chat, command)
        case CallHuman() | ReturnToBot() | GiveUpWaiting():
            return decide_bot_phase(chat, command)
        case Accept():
            return _accept(chat, command)
        case TakeOver():
            return _take_over(chat, command)
        case Transfer():
            return _transfer(chat, command)
        case Requeue():
            return _requeue(chat, command)
        case ReturnToQueue():
            return _return_to_queue(chat, command)
        case Release():
            return _release(chat, command)
        case End():
            return _end(chat, command)
        case EndSilent():
            return _end_silent(chat, command)
        case _:
            assert_never(command)


def _open(chat: Chat | None, command: Open) -> Decision:
    if chat is not None and chat.is_open:
        return Refusal(ErrorCode.CHAT_ALREADY_OPEN)
    opened = Opened(
        chat_id=command.chat_id,
        customer=command.customer,
        began_with_bot=command.is_bot_ready and not command.wants_human,
        at=command.at,
        topic=command.topic,
        order_id=command.order_id,
    )
    if opened.began_with_bot:
        return (opened,)
    by = Party("customer", command.customer.id, command.customer.name)
    return (opened, HumanCalled(opened.log_id + 1, by, command.at, "started"))


def _speak(chat: Chat, command: Speak) -> Decision:
    sender = command.by
    if sender.kind == "ai" and chat.phase != "bot_active":
        return BOT_IS_SILENT
    if sender.kind == "agent" and (chat.agent is None or chat.agent.id != sender.id):
        return NOT_FOUND
    spoken = Spoken(
        chat_id=chat.chat_id,
        seq=chat.seq + 1,
        message_id=command.message_id,
        sender=sender,
        content=command.content,
        message_type=command.message_type,
        at=command.at,
        client_message_id=command.client_message_id,
    )
    nobody_listens = chat.phase == "bot_active" and not command.is_bot_ready
    if sender.kind == "customer" and nobody_listens:
        return (spoken, HumanCalled(chat.log_id + 1, SYSTEM, command.at, "no_bot"))
    return (spoken,)


def _accept(chat: Chat, command: Accept) -> Decision:
    agent = command.agent
    if chat.agent is not None:
        return () if chat.agent.id == agent.id else _taken_already(chat, chat.agent)
    if chat.phase != "pending_manual":
        return NOT_WAITING
    by = Party("agent", agent.id, agent.name)
    return (Taken(chat.log_id + 1, by, agent, command.at),)


def _take_over(chat: Chat, command: TakeOver) -> Decision:
    by, agent = command.by, command.agent
    is_agents_own = by.kind == "agent" and by.id == agent.id
    if not (is_agents_own or by.may_supervise or by.kind == "system"):
        return FORBIDDEN
    if chat.agent is not None:
        if chat.agent.id == agent.id:
            return ()
        if not by.may_supervise:
            return _taken_already(chat, chat.agent)
        return _hand_over(chat, by, agent, command.at, command.reason)
    taken = Taken(chat.log_id + 1, by, agent, command.at, command.reason)
    if chat.phase == "pending_manual":
        return (taken,)
    called = HumanCalled(chat.log_id + 1, by, command.at, command.reason or "taken_over")
    return (called, replace(taken, log_id=called.log_id + 1))


def _taken_already(chat: Chat, agent: AgentSeat) -> Refusal:
    sentence = f"{agent.name} has taken this chat."
    return Refusal(ErrorCode.ALREADY_TAKEN, sentence, agent, chat.taken_at)


def _transfer(chat: Chat, command: Transfer) -> Decision:
    if not _is_in_charge(chat, command.by):
        return NOT_FOUND
    if chat.agent is not None and chat.agent.id == command.to_agent.id:
        return ()
    return _hand_over(chat, command.by, command.to_agent, command.at, command.reason)


def _hand_over(
    chat: Chat, by: Party, to_agent: AgentSeat, at: float, reason: str | None
) -> Decision:
    assert chat.agent is not None
    return (Transferred(chat.log_id + 1, by, chat.agent, to_agent, at, reason),)


def _requeue(chat: Chat, command: Requeue) -> Decision:
    if not _is_in_charge(chat, command.by):
        return NOT_FOUND
    by, at, reason = command.by, command.at, command.reason
    return (Requeued(chat.log_id + 1, by, at, reason, team_id=command.team_id),)


def _return_to_queue(chat: Chat, command: ReturnToQueue) -> Decision:
    if chat.agent is None or chat.agent.id != command.agent_id:
        return ()
    requeued = Requeued(chat.log_id + 1, SYSTEM, command.at, command.reason, team_id=chat.team_id)
    return (requeued, notice_of(chat, command.notice, command.at))


def _release(chat: Chat, command: Release) -> Decision:
    if not _is_in_charge(chat, command.by):
        return NOT_FOUND
    farewell = notice_of(chat, Notice(command.message_id, command.farewell), command.at)
    return (Released(chat.log_id + 1, command.by, command.at, command.reason), farewell)


def _end(chat: Chat, command: End) -> Decision:
    by = command.by
    if not (by.kind in ("customer", "system") or _is_in_charge(chat, by)):
        return NOT_FOUND
    if chat.phase == "closed":  # decided before; here for the type of from_phase
        return ENDED
    return (Ended(chat.log_id + 1, by, command.at, chat.phase, command.reason),)


def _end_silent(chat: Chat, command: EndSilent) -> Decision:
    """Who waits for a human is never sent away, nor who has just spoken or been taken on."""
    has_moved = (chat.seq, chat.log_id) != (command.seq, command.log_id)
    if chat.phase == "pending_manual" or has_moved:
        return ()
    return _end(chat, End(command.by, command.at, "silent"))


def _rate(chat: Chat, command: Rate) -> Decision:
    if command.by.kind != "customer":
        return NOT_FOUND
    if chat.is_open:
        return STILL_OPEN
    if chat.rating is not None:
        return () if chat.rating == command.rating else RATED_ONCE
    return (Rated(chat.log_id + 1, command.by, command.rating, command.at, command.feedback),)


def _is_stranger(chat: Chat, command: Command) -> bool:
    """A customer who is not this chat's; what agents may do is for each command to say."""
    if isinstance(command, Open | Accept | GiveUpWaiting | ReturnToQueue):
        return False
    return command.by.kind == "customer" and command.by.id != chat.customer.id


def _is_in_charge(chat: Chat, by: Party) -> bool:
    """The chat's agent, a supervisor or the system, and only while a human is in charge at all."""
    if chat.agent is None:
        return False
    is_its_agent = by.kind == "agent" and by.id == chat.agent.id
    return is_its_agent or by.may_supervise or by.kind == "system"


def evolve(chat: Chat | None, event: Event) -> Chat:
    """The chat after `event`. Only events that `decide` returned for this chat may be given."""
    if isinstance(event, Opened):
        return Chat(
            chat_id=event.chat_id,
            customer=event.customer,
            phase="bot_active",
            opened_at=event.at,
            began_with_bot=event.began_with_bot,
            log_id=event.log_id,
            topic=event.topic,
            order_id=event.order_id,
        )
    assert chat is not None, "a chat begins with Opened"
    match event:
        case Spoken(seq=seq):
            is_asking = event.sender.kind == "customer"
            return replace(chat, seq=seq, asked_seq=seq if is_asking else chat.asked_seq)
        case Transferred():
            return replace(_with_agent(chat, event), team_id=None)
        case Rated():
            return replace(chat, log_id=event.log_id, rating=event.rating, feedback=event.feedback)
        case BotAnswered() | AskedAfterHours() | RemindedOfHours() | EmailLeft():
            return evolve_bot_phase(chat, event)
        case NoteWritten() | Whispered() | AssistAsked():
            return replace(chat, log_id=event.log_id)
        case Watched() | Unwatched():
            return replace(chat, unseen_id=event.log_id)
        case _:
            return _move(chat, event)


def _move(chat: Chat, event: Transition) -> Chat:
    """Into another phase. A step that LEGAL does not hold is a bug, and ends here."""
    assert chat.phase == event.from_phase, f"{event} in {chat.phase}"
    assert (event.from_phase, event.to_phase) in LEGAL, f"{event} is no legal step"
    chat = replace(chat, phase=event.to_phase, log_id=event.log_id, agent=None, waiting_since=None)
    match event:
        case HumanCalled():
            return replace(
                chat,
                waiting_since=event.at,
                reason=event.reason,
                team_id=None,
                bot_failures=0,
            )
        case Requeued(team_id=team_id):
            return replace(chat, waiting_since=event.at, reason=event.reason, team_id=team_id)
        case Taken():
            return _with_agent(chat, event)
        case Ended():
            return replace(chat, ended_at=event.at)
        case ReturnedToBot() | Released():  # what was said to humans is not for the bot to answer
            return replace(chat, answered_seq=chat.seq)
        case _:
            assert_never(event)


def _with_agent(chat: Chat, event: Taken | Transferred) -> Chat:
    return replace(
        chat,
        log_id=event.log_id,
        agent=event.agent,
        served_by=event.agent,
        taken_at=event.at,
    )
