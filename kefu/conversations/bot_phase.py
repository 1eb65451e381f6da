"""What happens while the bot is first: its answers, the call for a human and the way back. Pure.

A human is called for only while one is on duty. After hours the bot stays, the customer is told
when humans are back, and leaves an e-mail address where they want to.
"""

from typing import assert_never

from msgspec.structs import replace

from kefu.conversations.chat import Chat
from kefu.conversations.commands import (
    AnswerCustomer,
    AskAfterHours,
    BotPhase,
    CallHuman,
    GiveUpWaiting,
    LeaveEmail,
    Notice,
    ReturnToBot,
)
from kefu.conversations.events import (
    AskedAfterHours,
    BotAnswered,
    EmailLeft,
    HumanCalled,
    RemindedOfHours,
    ReturnedToBot,
    Spoken,
)
from kefu.conversations.messages import answer_key, card_key
from kefu.conversations.parties import SYSTEM
from kefu.conversations.refusals import BOT_IS_SILENT, NOT_FOUND, NOT_WAITING, Decision


def notice_of(chat: Chat, notice: Notice, at: float) -> Spoken:
    """kefu's own sentence as the chat's next message."""
    return Spoken(
        chat_id=chat.chat_id,
        seq=chat.seq + 1,
        message_id=notice.message_id,
        sender=SYSTEM,
        content=notice.content,
        message_type="system",
        at=at,
    )


def decide_bot_phase(
    chat: Chat, command: BotPhase | CallHuman | ReturnToBot | GiveUpWaiting
) -> Decision:
    match command:
        case AnswerCustomer():
            return _answer(chat, command)
        case CallHuman():
            return _call_human(chat, command)
        case AskAfterHours():
            return _ask_after_hours(chat, command)
        case LeaveEmail():
            return _leave_email(chat, command)
        case ReturnToBot():
            return _return_to_bot(chat, command)
        case GiveUpWaiting():
            return _give_up_waiting(chat, command)
        case _:
            assert_never(command)


def _answer(chat: Chat, command: AnswerCustomer) -> Decision:
    """What was answered meanwhile, by whomever, is not answered again."""
    if chat.phase != "bot_active":
        return BOT_IS_SILENT
    if command.answers_seq <= chat.answered_seq:
        return ()
    apology = replace(
        notice_of(chat, Notice(command.message_id, command.content), command.at),
        client_message_id=answer_key(command.answers_seq),
    )
    spoken = replace(apology, sender=command.by, message_type="text")
    answered = BotAnswered(
        log_id=chat.log_id + 1,
        by=command.by,
        message_id=command.message_id,
        answers_seq=command.answers_seq,
        outcome=command.outcome,
        failures=chat.bot_failures + 1 if command.is_failure else 0,
        at=command.at,
        sources=command.sources,
    )
    if command.is_apology:
        return (apology, answered)
    return (spoken, *_cards(command, spoken), answered)


def _cards(command: AnswerCustomer, spoken: Spoken) -> list[Spoken]:
    """Right behind the words, each with a place and a key of its own."""
    return [
        replace(
            spoken,
            seq=spoken.seq + number,
            message_id=card.message_id,
            content=str(card.product_id),
            message_type="product",
            client_message_id=card_key(command.answers_seq, number),
        )
        for number, card in enumerate(command.cards, start=1)
    ]


def _call_human(chat: Chat, command: CallHuman) -> Decision:
    """By the customer, or by the rules on their behalf; agents take over instead."""
    if command.by.kind == "agent":
        return NOT_FOUND
    if chat.phase != "bot_active":
        return ()
    called = HumanCalled(
        chat.log_id + 1,
        command.by,
        command.at,
        command.reason,
        severity=command.severity,
        details=command.details,
    )
    if command.notice is None:
        return (called,)
    return (called, notice_of(chat, command.notice, command.at))


def _ask_after_hours(chat: Chat, command: AskAfterHours) -> Decision:
    """Asked once a chat; later it is only said again when humans are back."""
    if command.by.kind == "agent":
        return NOT_FOUND
    if chat.phase != "bot_active":
        return ()
    notice, log_id = notice_of(chat, command.notice, command.at), chat.log_id + 1
    if chat.after_hours_at is not None:
        return (notice, RemindedOfHours(log_id, command.by, command.at, command.reason))
    asked = AskedAfterHours(
        log_id=log_id,
        by=command.by,
        at=command.at,
        reason=command.reason,
        severity=command.severity,
        details=command.details,
        next_start=command.next_start,
    )
    return (notice, asked)


def may_leave_email(chat: Chat) -> bool:
    """Whoever waits, or has asked for a human in vain."""
    is_in_vain = chat.phase == "bot_active" and chat.after_hours_at is not None
    return chat.phase == "pending_manual" or is_in_vain


def _leave_email(chat: Chat, command: LeaveEmail) -> Decision:
    if not may_leave_email(chat) or command.email == chat.contact_email:
        return ()
    left = EmailLeft(chat.log_id + 1, command.by, command.email, command.at)
    return (notice_of(chat, command.notice, command.at), left)


def _return_to_bot(chat: Chat, command: ReturnToBot) -> Decision:
    if command.by.kind not in ("customer", "system"):
        return NOT_FOUND
    if chat.phase == "manual_live":
        return NOT_WAITING
    if chat.phase == "bot_active":
        return ()
    return (ReturnedToBot(chat.log_id + 1, command.by, command.at, command.reason),)


def _give_up_waiting(chat: Chat, command: GiveUpWaiting) -> Decision:
    """Nobody came in time. A chat that never had a bot waits on."""
    has_moved = chat.phase != "pending_manual" or chat.waiting_since != command.waiting_since
    if has_moved or not chat.began_with_bot:
        return ()
    back = ReturnedToBot(chat.log_id + 1, SYSTEM, command.at, "nobody_came")
    return (back, notice_of(chat, command.notice, command.at))


def evolve_bot_phase(
    chat: Chat, event: BotAnswered | AskedAfterHours | RemindedOfHours | EmailLeft
) -> Chat:
    """What a keyword or an address meant is dealt with: the bot says nothing to it."""
    chat = replace(chat, log_id=event.log_id)
    match event:
        case BotAnswered():
            return replace(chat, answered_seq=event.answers_seq, bot_failures=event.failures)
        case AskedAfterHours() | RemindedOfHours():
            answered_seq = chat.asked_seq if event.reason == "keyword" else chat.answered_seq
            return replace(chat, after_hours_at=event.at, answered_seq=answered_seq, bot_failures=0)
        case EmailLeft(email=email):
            return replace(chat, contact_email=email, answered_seq=chat.asked_seq)
        case _:
            assert_never(event)
