"""What looks like a jump is two steps of one decision, and each is told."""

from uuid import UUID

from kefu.conversations.chat import Chat
from kefu.conversations.commands import Command
from kefu.conversations.events import Spoken, Transition
from tests.conversations import cast

WITH_BOT = cast.opening()
WAITING = cast.opening(wants_human=True)


def transitions(chat: Chat | None, command: Command) -> list[tuple[str, str]]:
    events = cast.events_of(chat, command)
    return [(e.from_phase, e.to_phase) for e in events if isinstance(e, Transition)]


def test_starting_with_a_human_skips_no_phase() -> None:
    assert transitions(None, WAITING) == [("bot_active", "pending_manual")]


def test_taking_over_from_the_bot_skips_no_phase() -> None:
    steps = transitions(cast.after(WITH_BOT), cast.take_over(cast.KE))
    assert steps == [("bot_active", "pending_manual"), ("pending_manual", "manual_live")]


def test_a_word_where_no_bot_is_calls_a_human() -> None:
    spoken, called = cast.events_of(cast.after(WITH_BOT), cast.say(cast.OWNER, is_bot_ready=False))
    assert isinstance(spoken, Spoken)
    assert transitions(cast.after(WITH_BOT), cast.say(cast.OWNER, is_bot_ready=False)) == [
        ("bot_active", "pending_manual")
    ]
    assert getattr(called, "reason", None) == "no_bot"


def test_a_released_chat_says_goodbye_to_the_customer() -> None:
    released, farewell = cast.events_of(
        cast.after(WAITING, cast.accept(cast.KE)), cast.release(cast.KE)
    )
    assert isinstance(farewell, Spoken)
    assert (farewell.seq, farewell.message_type, farewell.content) == (1, "system", "再见")
    assert getattr(released, "to_phase", None) == "bot_active"


def test_who_served_last_stays_known_after_the_end() -> None:
    ended = cast.after(WAITING, cast.accept(cast.KE), cast.end(cast.KE))
    assert ended.agent is None
    assert ended.served_by == cast.seat(cast.KE)


def test_the_message_keeps_its_chat_and_id() -> None:
    (spoken,) = cast.events_of(cast.after(WITH_BOT), cast.say(cast.OWNER, "你好"))
    assert isinstance(spoken, Spoken)
    assert (spoken.chat_id, spoken.message_id) == (UUID(int=100), UUID(int=500))
