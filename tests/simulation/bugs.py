"""Mistakes to plant, one at a time, so that the checker itself is checked.

Each is the kind a good programmer makes on a bad day, as a patch of a few lines over the real code.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final, NamedTuple
from unittest.mock import patch
from uuid import UUID

from msgspec.structs import replace

from kefu.agents import state as desks
from kefu.agents.actor import AgentActor
from kefu.agents.messages import Verdict
from kefu.conversations import announce, answering, bot_phase, visibility
from kefu.conversations import state as chats
from kefu.conversations.announce import Announcer
from kefu.conversations.events import NoteWritten, Unwatched, Watched, Whispered
from kefu.conversations.parties import Party
from kefu.conversations.store import PostgresChats
from kefu.conversations.visibility import Hearers
from kefu.delivery import customer_topic, watch_topic
from kefu.dispatch.actor import QueueActor
from kefu.dispatch.feed import Feed
from kefu.gateway import connection, customer_role
from kefu.gateway.chat_view import ChatView
from kefu.gateway.connection import Connection
from kefu.gateway.supervision import Supervision
from kefu.storage.errors import StoreUnavailable
from kefu.storage.journal import Journal
from tests.simulation.tables import Tables

Patch = AbstractContextManager[object]
DAWDLES_S: Final = 0.3  # between the look and the leap, in virtual time


def ack_before_commit() -> list[Patch]:
    append = Journal.append

    async def write_some_time(journal: Journal, entry: Any) -> None:
        task = asyncio.ensure_future(append(journal, entry))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    return [patch.object(Journal, "append", write_some_time)]


def lost_reply_taken_for_a_commit() -> list[Patch]:
    append = Journal.append

    async def hope(journal: Journal, entry: Any) -> None:
        try:
            await append(journal, entry)
        except StoreUnavailable:
            return

    return [patch.object(Journal, "append", hope)]


def dedupe_only_in_memory() -> list[Patch]:
    async def nothing(_chats: PostgresChats, _customer_id: UUID) -> list[Any]:
        return []

    async def never(_chats: PostgresChats, *_: object) -> None:
        return None

    return [
        patch.object(PostgresChats, "keys", nothing),
        patch.object(PostgresChats, "sent", never),
        patch.object(Tables, "has_key_index", False),
    ]


def seq_from_a_clock() -> list[Patch]:
    speak = chats._speak

    def timed(chat: Any, command: Any) -> Any:
        said = speak(chat, command)
        if isinstance(said, tuple):
            seq = max(chat.seq + 1, int(command.at * 100) % 1_000_000)
            said = (replace(said[0], seq=seq), *said[1:])
        return said

    return [patch.object(chats, "_speak", timed)]


def resume_off_by_one() -> list[Patch]:
    behind = ChatView.behind

    def late(view: Any, last_seq: int) -> tuple[int, int]:
        after, until = behind(view, last_seq)
        return min(after + 1, until), until

    return [patch.object(ChatView, "behind", late)]


def no_gap_fill() -> list[Patch]:
    admit = ChatView._admit

    def careless(view: Any, held: Any) -> Any:
        if not view._is_holding:
            view.head = max(view.head, held.needs)
        return admit(view, held)

    return [patch.object(ChatView, "_admit", careless)]


def capacity_check_then_act() -> list[Patch]:
    async def ask_beside(
        actor: Any, _chat_id: UUID, customer_id: UUID, command: Any, _message: Any
    ) -> Verdict:
        conversation = actor.context.ref("conversation", str(customer_id))

        async def work() -> None:
            await asyncio.sleep(DAWDLES_S)
            await conversation.ask(command, within=7.0)

        actor.context.spawn(work, within=8.0)
        return Verdict()

    return [patch.object(AgentActor, "_ask_for", ask_beside)]


def place_leak() -> list[Patch]:
    return [patch.object(desks, "unreserve", lambda desk, _chat_id: desk)]


def queue_leak() -> list[Patch]:
    async def look_away(_queue: QueueActor) -> None:
        return

    return [
        patch.object(QueueActor, "_take_out", lambda _queue, _chat_id: None),
        patch.object(QueueActor, "_reconcile", look_away),
    ]


def feed_off_by_one() -> list[Patch]:
    since = Feed.since

    def late(feed: Feed, *point: Any) -> Any:
        missing = since(feed, *point)
        return missing[1:] if missing else missing

    return [patch.object(Feed, "since", late)]


def _also_to_the_customer(kind: type) -> list[Patch]:
    hearers_of = announce.hearers_of

    def all_of(event: Any, before: Any, chat: Any) -> Hearers:
        hearers = hearers_of(event, before, chat)
        if isinstance(event, kind):
            hearers = Hearers((), (*hearers.staff, customer_topic(chat.customer.id)))
        return hearers

    return [patch.object(announce, "hearers_of", all_of)]


def note_to_the_customer() -> list[Patch]:
    return _also_to_the_customer(NoteWritten)


def whisper_to_the_customer() -> list[Patch]:
    return _also_to_the_customer(Whispered)


def note_in_the_status() -> list[Patch]:
    tell_said, state_of = Announcer._tell_said, Announcer.state

    def remember(announcer: Any, event: Any, *rest: Any) -> None:
        if isinstance(event, NoteWritten):
            announcer.last_note = event.content[:100]
        tell_said(announcer, event, *rest)

    def talkative(announcer: Any, chat: Any, **more: Any) -> Any:
        state = state_of(announcer, chat, **more)
        note = getattr(announcer, "last_note", None)
        return replace(state, topic=note) if note is not None else state

    return [
        patch.object(Announcer, "_tell_said", remember),
        patch.object(Announcer, "state", talkative),
    ]


def watched_before_it_is_put_down() -> list[Patch]:
    watch = Supervision.watch

    async def hasty(supervision: Any, connection: Any, conversation: Any, asked: Any) -> None:
        chat_id = asked.payload.chat_id
        connection.backstage.hub.listen(connection, watch_topic(chat_id))
        await watch(supervision, connection, conversation, asked)

    return [patch.object(Supervision, "watch", hasty)]


def watched_for_ever() -> list[Patch]:
    async def careless(self: Supervision, connection: Connection, chat_id: UUID) -> None:
        """Says that the watch has ended, and goes on listening."""
        self._watched.discard(chat_id)

    return [patch.object(Supervision, "_stop", careless)]


def watch_in_the_agents_numbers() -> list[Patch]:
    decide = chats.decide_aside

    def careless(chat: Any, command: Any) -> Any:
        events = decide(chat, command)
        if isinstance(events, tuple) and isinstance(events[0], Watched | Unwatched):
            events = (replace(events[0], log_id=chat.log_id + 1),)
        return events

    return [patch.object(chats, "decide_aside", careless)]


def fan_out_by_a_short_key() -> list[Patch]:
    def short(customer_id: UUID) -> str:
        return f"customer:{customer_id.hex[-1]}"

    return [
        patch.object(visibility, "customer_topic", short),
        patch.object(customer_role, "customer_topic", short),
    ]


def bot_not_stopped_by_a_takeover() -> list[Patch]:
    answer = bot_phase._answer

    def heedless(chat: Any, command: Any) -> Any:
        return answer(replace(chat, phase="bot_active"), command)

    return [patch.object(bot_phase, "_answer", heedless), _turn_wanted_for_ever()]


def bot_pieces_behind_a_takeover() -> list[Patch]:
    return [
        _turn_wanted_for_ever(),
        patch.object(connection, "makes_sense", lambda _frame, _views: True),
    ]


def _turn_wanted_for_ever() -> Patch:
    def is_wanted(turn: Any, chat: Any) -> bool:
        return chat is not None and chat.answered_seq < turn.answers_seq

    return patch.object(answering._Turn, "is_wanted", is_wanted)


def accept_of_what_is_taken() -> list[Patch]:
    accept = chats._accept

    def late(chat: Any, command: Any) -> Any:
        if chat.agent is not None and chat.agent.id != command.agent.id:
            by = Party("agent", command.agent.id, command.agent.name)
            return chats._hand_over(chat, by, command.agent, command.at, None)
        return accept(chat, command)

    return [patch.object(chats, "_accept", late)]


class Bug(NamedTuple):
    plant: Callable[[], list[Patch]]
    rules: frozenset[str]
    """Which rules may notice it first."""


def bug(plant: Callable[[], list[Patch]], *rules: str) -> tuple[str, Bug]:
    return plant.__name__.replace("_", "-"), Bug(plant, frozenset(rules))


BUGS: Final = dict(
    (
        bug(ack_before_commit, "I1"),
        bug(lost_reply_taken_for_a_commit, "I1"),
        bug(dedupe_only_in_memory, "I2"),
        bug(seq_from_a_clock, "I3"),
        bug(resume_off_by_one, "I14"),
        bug(no_gap_fill, "I14"),
        bug(capacity_check_then_act, "I10"),
        bug(place_leak, "I9"),
        bug(queue_leak, "I9"),
        bug(feed_off_by_one, "I14"),
        bug(note_to_the_customer, "I4"),
        bug(whisper_to_the_customer, "I4"),
        bug(note_in_the_status, "I4"),
        bug(watched_before_it_is_put_down, "I4"),
        bug(watched_for_ever, "I4"),
        bug(watch_in_the_agents_numbers, "I3"),
        bug(fan_out_by_a_short_key, "I4"),
        bug(bot_not_stopped_by_a_takeover, "I7", "I8"),
        bug(bot_pieces_behind_a_takeover, "I8"),
        bug(accept_of_what_is_taken, "I6"),
    )
)


@contextmanager
def planted(bug: Bug | None) -> Iterator[None]:
    """Plant the bug for as long as the block lasts; None plants nothing."""
    with ExitStack() as stack:
        for each in bug.plant() if bug is not None else ():
            stack.enter_context(each)
        yield
