"""The rules of a chat, held against whatever anybody may try, in any order."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kefu.conversations.chat import Chat
from kefu.conversations.commands import Command, EndSilent, Refusal
from kefu.conversations.events import Event, Rated, Spoken, Unwatched, Watched
from kefu.conversations.parties import Party
from kefu.conversations.state import decide, evolve
from protocol.codes import ErrorCode
from tests.conversations import cast

# Written down a second time, from the specification and not from the code.
MAY_FOLLOW = {
    "bot_active": {"pending_manual", "closed"},
    "pending_manual": {"manual_live", "bot_active", "closed"},
    "manual_live": {"bot_active", "pending_manual", "closed"},
    "closed": set(),
}
ANYBODY = st.sampled_from(cast.EVERYBODY)
AN_AGENT = st.sampled_from((*cast.AGENTS, cast.SUPERVISOR))


class Chats(RuleBasedStateMachine):
    """One customer's conversation, and everybody who would like a word in it."""

    def __init__(self) -> None:
        super().__init__()
        self.chat: Chat | None = None
        self.history: list[Event] = []
        self.spoken_count = 0
        self.logged_count = 0
        self.unseen_count = 0
        self.rated_count = 0
        self.opened_count = 0

    def attempt(self, command: Command) -> tuple[Event, ...] | Refusal:
        decided = decide(self.chat, command)
        if isinstance(decided, Refusal):
            return decided
        for event in decided:
            before, self.chat = self.chat, evolve(self.chat, event)
            self.witness(before, event, self.chat)
        return decided

    def witness(self, before: Chat | None, event: Event, chat: Chat) -> None:
        if before is None or before.chat_id != chat.chat_id:
            assert before is None or before.phase == "closed"
            assert chat.phase == "bot_active"
            self.history, self.spoken_count, self.logged_count, self.rated_count = [], 0, 0, 0
            self.unseen_count = 0
        elif before.phase != chat.phase:
            assert chat.phase in MAY_FOLLOW[before.phase]
        self.history.append(event)
        if isinstance(event, Spoken):
            self.spoken_count += 1
            assert event.seq == self.spoken_count
        elif isinstance(event, Watched | Unwatched):
            self.unseen_count += 1
            assert event.log_id == -self.unseen_count
        else:
            self.logged_count += 1
            assert event.log_id == self.logged_count
        self.rated_count += isinstance(event, Rated)

    def attempt_as(self, by: Party, command: Command) -> None:
        """What `by` may change: a stranger nothing, an agent without the chat nothing in it."""
        before = self.chat
        decided = self.attempt(command)
        if by is cast.STRANGER:
            assert isinstance(decided, Refusal)
        if isinstance(decided, Refusal):
            assert self.chat is before
        if before is not None and before.phase == "closed":
            assert self.chat is not None
            assert self.chat.phase == "closed"

    @rule(wants_human=st.booleans(), is_bot_ready=st.booleans())
    def open(self, wants_human: bool, is_bot_ready: bool) -> None:
        before = self.chat
        self.opened_count += 1
        chat_id = 100 + self.opened_count
        decided = self.attempt(
            cast.opening(chat_id=chat_id, wants_human=wants_human, is_bot_ready=is_bot_ready)
        )
        assert isinstance(decided, Refusal) == (before is not None and before.phase != "closed")

    @rule(by=ANYBODY, is_bot_ready=st.booleans())
    def speak(self, by: Party, is_bot_ready: bool) -> None:
        before = self.chat
        said_before = self.spoken_count
        self.attempt_as(by, cast.say(by, is_bot_ready=is_bot_ready))
        was_said = self.spoken_count > said_before
        if by is cast.BOT:
            assert was_said == (before is not None and before.phase == "bot_active")
        if by.kind == "agent":
            assert was_said == bool(before and before.agent and before.agent.id == by.id)

    @rule(behind=st.integers(0, 2), is_failure=st.booleans(), card_count=st.integers(0, 3))
    def answer(self, behind: int, is_failure: bool, card_count: int) -> None:
        """Only while the bot is in charge, and to no question twice; with cards, or an apology."""
        before, said_before = self.chat, self.spoken_count
        seq = max(1, before.asked_seq - behind) if before is not None else 1
        self.attempt(cast.answer(seq, is_failure=is_failure, card_count=card_count))
        after = self.chat
        if after is not before:
            assert (before.phase, before.answered_seq < seq) == ("bot_active", True)
            assert after.answered_seq == seq
            assert self.spoken_count == said_before + 1 + (0 if is_failure else card_count)
            self.attempt(cast.answer(seq, card_count=card_count))
            assert self.chat is after

    @rule(by=ANYBODY, reason=st.sampled_from(["manual", "keyword"]))
    def ask_for_a_human_after_hours(self, by: Party, reason: str) -> None:
        before = self.chat
        self.attempt_as(by, cast.ask_after_hours(by, reason))
        if self.chat is not before:
            assert before is not None
            assert self.chat is not None
            assert before.phase == self.chat.phase == "bot_active"

    @rule()
    def leave_an_address(self) -> None:
        before = self.chat
        self.attempt(cast.leave_email())
        if self.chat is not before:
            assert before is not None
            assert before.phase == "pending_manual" or before.after_hours_at is not None

    @rule(since=st.sampled_from([cast.NOON, cast.NOON - 1]))
    def give_up_waiting(self, since: float) -> None:
        before = self.chat
        self.attempt(cast.give_up_waiting(since))
        if self.chat is not before:
            assert before is not None
            assert before.began_with_bot
            assert before.waiting_since == since

    @rule(agent=AN_AGENT)
    def hand_back_the_chats_of_who_has_gone(self, agent: Party) -> None:
        before = self.chat
        self.attempt(cast.return_to_queue(agent))
        was_theirs = before is not None and before.agent is not None
        if self.chat is not before:
            assert before is not None
            assert was_theirs
            assert before.agent is not None
            assert before.agent.id == agent.id

    @rule(by=ANYBODY)
    def call_a_human(self, by: Party) -> None:
        self.attempt_as(by, cast.call_human(by))

    @rule(by=ANYBODY)
    def return_to_the_bot(self, by: Party) -> None:
        self.attempt_as(by, cast.return_to_bot(by))

    @rule(agent=AN_AGENT)
    def accept(self, agent: Party) -> None:
        before = self.chat
        self.attempt_as(agent, cast.accept(agent))
        if before is not None and before.agent is not None:
            assert self.chat is before

    @rule(by=ANYBODY, agent=AN_AGENT)
    def take_over(self, by: Party, agent: Party) -> None:
        before = self.chat
        self.attempt_as(by, cast.take_over(by, agent))
        if before is not None and before.agent is not None and not by.is_supervisor:
            assert self.chat is before

    @rule(by=ANYBODY, to_agent=AN_AGENT)
    def transfer(self, by: Party, to_agent: Party) -> None:
        self.in_charge_only(by, cast.transfer(by, to_agent))

    @rule(by=ANYBODY)
    def requeue(self, by: Party) -> None:
        self.in_charge_only(by, cast.requeue(by))

    @rule(by=ANYBODY)
    def release(self, by: Party) -> None:
        self.in_charge_only(by, cast.release(by))

    def in_charge_only(self, by: Party, command: Command) -> None:
        before = self.chat
        self.attempt_as(by, command)
        agent = before.agent if before is not None else None
        if agent is None or not (agent.id == by.id or by.is_supervisor or by.kind == "system"):
            assert self.chat is before

    @rule(by=ANYBODY)
    def end(self, by: Party) -> None:
        before = self.chat
        self.attempt_as(by, cast.end(by))
        if by.kind == "agent" and before is not None and before.agent is None:
            assert self.chat is before

    @rule(by=ANYBODY, rating=st.integers(1, 5))
    def rate(self, by: Party, rating: int) -> None:
        before = self.chat
        self.attempt_as(by, cast.rate(by, rating))
        if by is not cast.OWNER or (before is not None and before.rating is not None):
            assert self.chat is before

    @rule(first=st.integers(1, 5), second=st.integers(1, 5))
    def end_and_rate_twice(self, first: int, second: int) -> None:
        self.attempt(cast.end())
        self.attempt(cast.rate(rating=first))
        rated = self.chat
        self.attempt(cast.rate(rating=second))
        assert self.chat is rated

    @rule(by=ANYBODY)
    def add_a_note(self, by: Party) -> None:
        before = self.chat
        self.attempt_as(by, cast.add_note(by))
        if by.kind != "agent":
            assert self.chat is before

    @rule(by=ANYBODY)
    def whisper(self, by: Party) -> None:
        self.supervisors_only(by, cast.whisper(by))

    @rule(by=ANYBODY)
    def watch(self, by: Party) -> None:
        self.supervisors_only(by, cast.watch(by))

    @rule(by=ANYBODY)
    def unwatch(self, by: Party) -> None:
        self.supervisors_only(by, cast.unwatch(by))

    def supervisors_only(self, by: Party, command: Command) -> None:
        before = self.chat
        self.attempt_as(by, command)
        if by is not cast.SUPERVISOR:
            assert self.chat is before
        if before is not None and self.chat is not before:  # who is in charge stays so
            assert self.chat is not None
            assert (self.chat.phase, self.chat.agent) == (before.phase, before.agent)

    @rule(by=ANYBODY)
    def ask_for_assistance(self, by: Party) -> None:
        before = self.chat
        self.attempt_as(by, cast.ask_assist(by))
        agent = before.agent if before is not None else None
        if by is not cast.SUPERVISOR and not (agent is not None and agent.id == by.id):
            assert self.chat is before

    @rule(is_seq_old=st.booleans(), is_log_old=st.booleans())
    def end_when_silent(self, is_seq_old: bool, is_log_old: bool) -> None:
        before = self.chat
        seen = EndSilent(
            (before.seq if before else 0) - is_seq_old,
            (before.log_id if before else 0) - is_log_old,
            cast.NOON,
        )
        self.attempt(seen)
        has_moved = is_seq_old or is_log_old
        if before is None or before.phase in ("pending_manual", "closed") or has_moved:
            assert self.chat is before
        else:
            assert self.chat is not None
            assert self.chat.phase == "closed"

    @invariant()
    def an_agent_is_there_exactly_while_a_human_is_in_charge(self) -> None:
        if self.chat is not None:
            assert (self.chat.agent is not None) == (self.chat.phase == "manual_live")
            assert (self.chat.waiting_since is not None) == (self.chat.phase == "pending_manual")
            assert (self.chat.ended_at is not None) == (self.chat.phase == "closed")

    @invariant()
    def heads_count_what_happened(self) -> None:
        if self.chat is not None:
            assert (self.chat.seq, self.chat.log_id) == (self.spoken_count, self.logged_count)
            assert self.chat.unseen_id == -self.unseen_count
            assert self.rated_count <= 1
            assert (self.chat.rating is not None) == (self.rated_count == 1)

    @invariant()
    def the_events_alone_make_the_chat(self) -> None:
        folded: Chat | None = None
        for event in self.history:
            folded = evolve(folded, event)
        assert folded == self.chat


TestChats: Any = Chats.TestCase
TestChats.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


# --- each refusal, told once ---------------------------------------------------------------------

WITH_BOT = cast.opening()
WAITING = cast.opening(wants_human=True)


def code(chat: Chat | None, command: Command) -> ErrorCode:
    return cast.refusal_of(chat, command).code


def test_without_a_chat_there_is_nothing_to_find() -> None:
    assert code(None, cast.say(cast.OWNER)) is ErrorCode.CHAT_NOT_FOUND


def test_a_second_chat_beside_an_open_one_is_refused() -> None:
    assert code(cast.after(WITH_BOT), cast.opening()) is ErrorCode.CHAT_ALREADY_OPEN


def test_the_bot_is_refused_while_a_person_is_awaited_or_there() -> None:
    waiting = cast.after(WAITING)
    live = cast.after(WAITING, cast.accept(cast.KE))
    assert code(waiting, cast.say(cast.BOT)) is ErrorCode.MANUAL_IN_PROGRESS
    assert code(live, cast.say(cast.BOT)) is ErrorCode.MANUAL_IN_PROGRESS


def test_a_second_agent_is_refused_and_told_by_whom() -> None:
    refusal = cast.refusal_of(cast.after(WAITING, cast.accept(cast.KE)), cast.accept(cast.FU))
    assert refusal == Refusal(
        ErrorCode.ALREADY_TAKEN, "小可 has taken this chat.", cast.seat(cast.KE), cast.NOON
    )


def test_accepting_twice_changes_nothing_and_is_no_error() -> None:
    live = cast.after(WAITING, cast.accept(cast.KE))
    assert cast.events_of(live, cast.accept(cast.KE)) == ()


def test_a_chat_with_the_bot_is_not_there_to_be_accepted() -> None:
    assert code(cast.after(WITH_BOT), cast.accept(cast.KE)) is ErrorCode.NOT_WAITING


def test_who_is_talking_to_an_agent_cannot_leave_the_queue() -> None:
    live = cast.after(WAITING, cast.accept(cast.KE))
    assert code(live, cast.return_to_bot()) is ErrorCode.NOT_WAITING


def test_only_a_supervisor_takes_a_chat_from_a_colleague() -> None:
    live = cast.after(WAITING, cast.accept(cast.KE))
    assert code(live, cast.take_over(cast.FU)) is ErrorCode.ALREADY_TAKEN
    taken = cast.after(WAITING, cast.accept(cast.KE), cast.take_over(cast.SUPERVISOR))
    assert taken.agent == cast.seat(cast.SUPERVISOR)


def test_only_a_supervisor_takes_a_chat_for_somebody_else() -> None:
    chat = cast.after(WAITING)
    assert code(chat, cast.take_over(cast.KE, cast.FU)) is ErrorCode.FORBIDDEN
    assert code(chat, cast.take_over(cast.OWNER, cast.FU)) is ErrorCode.FORBIDDEN
    assert cast.events_of(chat, cast.take_over(cast.SUPERVISOR, cast.FU))


def test_an_ended_chat_takes_nothing_more() -> None:
    ended = cast.after(WITH_BOT, cast.end())
    for command in (cast.say(cast.OWNER), cast.accept(cast.KE), cast.call_human(), cast.end()):
        assert code(ended, command) is ErrorCode.CHAT_ENDED


def test_a_chat_is_rated_after_its_end_and_once() -> None:
    ended = cast.after(WITH_BOT, cast.end())
    rated = cast.after(WITH_BOT, cast.end(), cast.rate(rating=4))
    assert code(cast.after(WITH_BOT), cast.rate()) is ErrorCode.INVALID_MESSAGE
    assert cast.events_of(ended, cast.rate(rating=4))
    assert cast.events_of(rated, cast.rate(rating=4)) == ()
    assert code(rated, cast.rate(rating=1)) is ErrorCode.INVALID_MESSAGE


def test_to_a_stranger_the_chat_does_not_exist() -> None:
    stranger = cast.STRANGER
    for chat in (cast.after(WITH_BOT), cast.after(WITH_BOT, cast.end())):
        for command in (
            cast.say(stranger),
            cast.call_human(stranger),
            cast.return_to_bot(stranger),
            cast.end(stranger),
            cast.rate(stranger),
            cast.release(stranger),
        ):
            assert code(chat, command) is ErrorCode.CHAT_NOT_FOUND


def test_an_agent_who_is_not_in_charge_does_not_reach_the_chat() -> None:
    live = cast.after(WAITING, cast.accept(cast.KE))
    for command in (
        cast.say(cast.FU),
        cast.end(cast.FU),
        cast.release(cast.FU),
        cast.requeue(cast.FU),
        cast.transfer(cast.FU, cast.MIN),
        cast.call_human(cast.FU),
        cast.return_to_bot(cast.FU),
    ):
        assert code(live, command) is ErrorCode.CHAT_NOT_FOUND


def test_notes_are_written_by_agents_alone() -> None:
    assert code(cast.after(WITH_BOT), cast.add_note(cast.OWNER)) is ErrorCode.FORBIDDEN
