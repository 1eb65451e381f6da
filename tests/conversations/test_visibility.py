"""Who may hear what: nothing but what is public ever finds a way to a customer."""

import ast
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from kefu.conversations import announce
from kefu.conversations.chat import Chat
from kefu.conversations.commands import Command, Refusal
from kefu.conversations.events import Event
from kefu.conversations.parties import Party
from kefu.conversations.state import decide, evolve
from kefu.conversations.visibility import Hearers, across, hearers_of, present, visibility_of
from kefu.delivery import agent_topic, customer_topic, watch_topic
from tests.conversations import cast

CHAT = UUID(int=100)
WANG, WATCHERS = customer_topic(cast.CUSTOMER.id), watch_topic(CHAT)
CLASSES = {
    "agents": {"NoteWritten", "Whispered", "AssistAsked"},
    "supervisor": {"Watched", "Unwatched"},
}
STAFF = (*cast.AGENTS, cast.SUPERVISOR)
ANYBODY = st.sampled_from(cast.EVERYBODY)
AN_AGENT = st.sampled_from(STAFF)


def desk(agent: Party) -> str:
    assert agent.id is not None
    return agent_topic(agent.id)


def commands() -> st.SearchStrategy[Command]:
    by_anybody = st.sampled_from(
        (
            *(cast.say, cast.call_human, cast.return_to_bot, cast.requeue, cast.release, cast.end),
            *(cast.rate, cast.add_note, cast.whisper, cast.watch, cast.unwatch),
        )
    )
    made: st.SearchStrategy[Any] = st.builds(lambda make, by: make(by), by_anybody, ANYBODY)
    return st.one_of(
        made,
        st.just(cast.opening(wants_human=True)),
        st.builds(cast.accept, AN_AGENT),
        st.builds(cast.take_over, ANYBODY, AN_AGENT),
        st.builds(cast.transfer, ANYBODY, AN_AGENT),
        st.builds(cast.ask_assist, ANYBODY, AN_AGENT),
    )


def lived(script: list[Command]) -> list[tuple[Event, Chat | None, Chat]]:
    """Every event of a life, with the chat before and after it."""
    chat: Chat | None = None
    steps: list[tuple[Event, Chat | None, Chat]] = []
    for command in (cast.opening(), *script):
        decided = decide(chat, command)
        for event in () if isinstance(decided, Refusal) else decided:
            after = evolve(chat, event)
            steps.append((event, chat, after))
            chat = after
    return steps


@settings(max_examples=300, deadline=None)
@given(st.lists(commands(), max_size=25))
def test_what_is_not_public_reaches_no_customer(script: list[Command]) -> None:
    for event, before, chat in lived(script):
        hearers, visibility = hearers_of(event, before, chat), visibility_of(event)
        assert not any(topic.startswith("customer:") for topic in hearers.staff)
        assert set(hearers.customer) <= {customer_topic(chat.customer.id)}
        if visibility != "public":
            assert hearers.customer == ()
        if visibility == "supervisor":
            assert hearers.staff == (watch_topic(chat.chat_id),)
        if type(event).__name__ not in ("AssistAsked", "Rated"):
            assert watch_topic(chat.chat_id) in hearers.staff


@settings(max_examples=100, deadline=None)
@given(st.lists(commands(), max_size=25), ANYBODY)
def test_what_is_done_in_passing_is_seen_by_the_other_side(
    script: list[Command], by: Party
) -> None:
    for _, _, chat in lived(script):
        topics = across(chat, by)
        is_customer = by.kind == "customer" and by.id == chat.customer.id
        is_agent = chat.agent is not None and by.id == chat.agent.id
        if not chat.is_open or not (is_customer or is_agent):
            assert topics == ()
            continue
        assert watch_topic(chat.chat_id) in topics
        assert (customer_topic(chat.customer.id) in topics) == is_agent


def test_every_kind_of_event_has_its_class() -> None:
    live = cast.after(cast.opening(wants_human=True), cast.accept(cast.KE))
    kinds = {kind.__name__ for kind in get_args(Event)}
    staff_only = {
        type(event).__name__: visibility_of(event)
        for command in (
            cast.add_note(cast.KE),
            cast.whisper(cast.SUPERVISOR),
            cast.ask_assist(cast.KE),
            cast.watch(cast.SUPERVISOR),
            cast.unwatch(cast.SUPERVISOR),
        )
        for event in cast.events_of(live, command)
    }
    expected = {name: visibility for visibility, names in CLASSES.items() for name in names}
    assert staff_only == expected
    assert set(staff_only) < kinds


def test_no_chat_is_no_company() -> None:
    assert across(None, cast.OWNER) == ()


def test_who_was_in_charge_until_now_still_hears_of_it() -> None:
    before = cast.after(cast.opening(wants_human=True), cast.accept(cast.KE))
    (passed_on,) = cast.events_of(before, cast.transfer(cast.KE, cast.FU))
    hearers = hearers_of(passed_on, before, evolve(before, passed_on))
    assert hearers == Hearers((WANG,), (desk(cast.FU), desk(cast.KE), WATCHERS))
    (ended,) = cast.events_of(before, cast.end())
    assert hearers_of(ended, before, evolve(before, ended)).staff == (desk(cast.KE), WATCHERS)


def test_a_rating_reaches_who_served_and_not_the_customers_other_devices() -> None:
    before = cast.after(cast.opening(wants_human=True), cast.accept(cast.KE), cast.end())
    (rated,) = cast.events_of(before, cast.rate())
    assert hearers_of(rated, before, evolve(before, rated)) == Hearers(
        (), (desk(cast.KE), WATCHERS)
    )


def test_a_question_reaches_the_colleague_alone() -> None:
    before = cast.after(cast.opening(wants_human=True), cast.accept(cast.KE))
    (asked,) = cast.events_of(before, cast.ask_assist(cast.KE, cast.FU))
    assert hearers_of(asked, before, evolve(before, asked)) == Hearers((), (desk(cast.FU),))


def test_hearers_are_joined_each_once() -> None:
    chat = cast.after(cast.opening(wants_human=True), cast.accept(cast.KE))
    both = present(None, chat).joined_by(Hearers((WANG,), (desk(cast.FU), WATCHERS)))
    assert both == Hearers((WANG,), (desk(cast.KE), WATCHERS, desk(cast.FU)))
    assert both
    assert not Hearers()


def test_nothing_else_decides_to_whom_a_chat_is_told() -> None:
    """The announcer names no topic by itself."""
    nodes = list(ast.walk(ast.parse(Path(announce.__file__).read_text(encoding="utf-8"))))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            names |= {alias.name for alias in node.names}
    assert {name for name in names if name.endswith("_topic")} == set()
