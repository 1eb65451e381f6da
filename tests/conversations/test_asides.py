"""Beside the talk: who may whisper, watch and ask for help; and when silence ends a chat."""

import pytest

from kefu.conversations.commands import Command
from protocol.codes import ErrorCode
from tests.conversations import cast
from tests.conversations.test_rules_hold import WAITING, WITH_BOT, code


def test_supervising_is_for_supervisors_alone() -> None:
    live = cast.after(WAITING, cast.accept(cast.KE))
    for by in (cast.KE, cast.FU, cast.OWNER):
        for command in (cast.whisper(by), cast.watch(by), cast.unwatch(by)):
            assert code(live, command) is ErrorCode.FORBIDDEN


def test_a_whisper_needs_an_agent_to_hear_it() -> None:
    assert code(cast.after(WAITING), cast.whisper(cast.SUPERVISOR)) is ErrorCode.INVALID_STATUS
    ended = cast.after(WAITING, cast.accept(cast.KE), cast.end())
    assert code(ended, cast.whisper(cast.SUPERVISOR)) is ErrorCode.CHAT_ENDED


def test_a_watch_begins_in_an_open_chat_and_ends_in_any() -> None:
    ended = cast.after(WITH_BOT, cast.watch(cast.SUPERVISOR), cast.end())
    assert code(ended, cast.watch(cast.SUPERVISOR)) is ErrorCode.CHAT_ENDED
    assert cast.events_of(ended, cast.unwatch(cast.SUPERVISOR))


def test_help_is_asked_by_who_is_in_charge_and_by_supervisors() -> None:
    live = cast.after(WAITING, cast.accept(cast.KE))
    assert cast.events_of(live, cast.ask_assist(cast.KE))
    assert cast.events_of(cast.after(WITH_BOT), cast.ask_assist(cast.SUPERVISOR))
    assert code(live, cast.ask_assist(cast.FU)) is ErrorCode.CHAT_NOT_FOUND
    assert code(live, cast.ask_assist(cast.OWNER)) is ErrorCode.CHAT_NOT_FOUND
    ended = cast.after(WAITING, cast.accept(cast.KE), cast.end())
    assert code(ended, cast.ask_assist(cast.SUPERVISOR)) is ErrorCode.CHAT_ENDED


def test_a_watch_leaves_no_hole_in_the_numbers_that_agents_see() -> None:
    live = cast.after(WAITING, cast.accept(cast.KE), cast.watch(cast.SUPERVISOR))
    (note,) = cast.events_of(live, cast.add_note(cast.KE))
    unwatched = cast.after(
        WAITING, cast.accept(cast.KE), cast.watch(cast.SUPERVISOR), cast.unwatch(cast.SUPERVISOR)
    )
    assert getattr(note, "log_id", None) == live.log_id + 1 == 4
    assert (unwatched.log_id, unwatched.unseen_id) == (3, -2)


@pytest.mark.parametrize("opening", [WITH_BOT, WAITING], ids=["bot", "waiting"])
def test_a_silent_chat_ends_unless_somebody_waits(opening: Command) -> None:
    chat = cast.after(opening)
    ended = cast.events_of(chat, cast.end_silent(chat))
    assert [getattr(event, "reason", None) for event in ended] == (
        ["silent"] if chat.phase == "bot_active" else []
    )


def test_who_was_taken_on_meanwhile_is_not_silent() -> None:
    seen = cast.after(WITH_BOT)
    assert (
        cast.events_of(cast.after(WITH_BOT, cast.take_over(cast.KE)), cast.end_silent(seen)) == ()
    )
