"""What the staff do beside the talk: notes, whispers, questions to colleagues, watching. Pure.

None of it may reach a customer; who may hear of what stands in visibility.py.
"""

from typing import assert_never

from kefu.conversations import messages
from kefu.conversations.chat import Chat
from kefu.conversations.commands import AddNote, Aside, AskAssist, Unwatch, Watch, Whisper
from kefu.conversations.events import AssistAsked, NoteWritten, Unwatched, Watched, Whispered
from kefu.conversations.parties import Party
from kefu.conversations.refusals import ENDED, FORBIDDEN, NOBODY_IN_CHARGE, NOT_FOUND, Decision


def command_for(message: messages.AsideMessage, at: float) -> Aside:
    match message:
        case messages.AddNote(by=by, content=content):
            return AddNote(by, content, at)
        case messages.Whisper(by=by, content=content):
            return Whisper(by, content, at)
        case messages.AskAssist(by=by, to_agent=to_agent, question=question):
            return AskAssist(by, to_agent, question, at)
        case messages.WatchChat(by=by):
            return Watch(by, at)
        case messages.UnwatchChat(by=by):
            return Unwatch(by, at)
        case _:
            assert_never(message)


def decide_aside(chat: Chat, command: Aside) -> Decision:
    """Notes are written and watches are ended in a chat that is over, too; all else needs it open.

    What supervisors alone may know of is counted downwards by itself: the numbers that agents see
    have no hole where it happened.
    """
    by, at, next_id, next_unseen_id = command.by, command.at, chat.log_id + 1, chat.unseen_id - 1
    match command:
        case AddNote(content=content):
            return (NoteWritten(next_id, by, content, at),) if by.kind == "agent" else FORBIDDEN
        case AskAssist(to_agent=to_agent, question=question):
            if not _may_ask(chat, by):
                return NOT_FOUND
            return (AssistAsked(next_id, by, to_agent, question, at),) if chat.is_open else ENDED
        case Watch() | Unwatch() | Whisper() if not by.may_supervise:
            return FORBIDDEN
        case Unwatch():
            return (Unwatched(next_unseen_id, by, at),)
        case Watch():
            return (Watched(next_unseen_id, by, at),) if chat.is_open else ENDED
        case Whisper(content=content):
            if chat.agent is None:
                return NOBODY_IN_CHARGE if chat.is_open else ENDED
            return (Whispered(next_id, by, content, at),)
        case _:
            assert_never(command)


def _may_ask(chat: Chat, by: Party) -> bool:
    is_its_agent = chat.agent is not None and by.kind == "agent" and by.id == chat.agent.id
    return is_its_agent or by.may_supervise
