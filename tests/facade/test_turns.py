"""What a call makes of what it hears: nothing of another turn, nothing behind a human."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.conversations.chat import Chat
from kefu.conversations.messages import answer_key
from kefu.conversations.parties import Customer
from kefu.gateway.facade.callers import Caller
from kefu.gateway.facade.turns import FRAME_ID, Turn, outcome_of
from kefu.gateway.outbox import Outgoing
from protocol.server import (
    AiDelta,
    AnswerPiece,
    ChatState,
    ChatStatus,
    ChatStatusName,
    Message,
    MessageAck,
    NewMessage,
    Receipt,
    SenderType,
)
from tests.facade.house import House

CHAT, OTHER = UUID(int=7), UUID(int=8)
FIRST, SECOND = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
CUSTOMER = Customer(UUID(int=3), "s-1")


def piece(text: str, *, turn: UUID = SECOND, seq: int = 3, chat: UUID = CHAT) -> Outgoing:
    return Outgoing(AiDelta(AnswerPiece(chat, turn, text, seq), NOW))


def status(name: ChatStatusName, chat: UUID = CHAT) -> Outgoing:
    return Outgoing(ChatStatus(ChatState(chat, name, 3), NOW))


def said(seq: int, by: SenderType, content: str, answers: int | None = None) -> Message:
    key = None if answers is None else answer_key(answers)
    return Message(CHAT, UUID(int=seq), seq, by, content, NOW, client_message_id=key)


@pytest.fixture
def turn(house: House) -> Turn:
    """Whose message has become the third of the chat."""
    identity: Any = house.office.tokens.verify(house.office.tokens.guest("g"))
    turn = Turn(Caller(identity), house.backstage, "m-1")
    turn.deliver(piece("早", turn=FIRST, seq=1))
    receipt = Receipt(CHAT, UUID(int=9), 3, NOW)
    turn.deliver(Outgoing(MessageAck(receipt, NOW, FRAME_ID)))
    return turn


async def test_pieces_of_an_earlier_turn_or_another_chat_are_none_of_ours(turn: Turn) -> None:
    turn.deliver(piece("旧", turn=FIRST, seq=1))
    turn.deliver(piece("一"))
    turn.deliver(piece("别", chat=OTHER))
    turn.deliver(piece("二"))
    turn.deliver(piece("后", turn=FIRST, seq=4))
    assert turn.told == "一二"


@pytest.mark.parametrize("name", ["waiting", "active", "ended"])
async def test_no_piece_is_passed_on_behind_a_human(turn: Turn, name: ChatStatusName) -> None:
    cuts: list[str] = []
    turn._on_cut = lambda: cuts.append(turn.told)
    turn.deliver(piece("一"))
    turn.deliver(status("bot"))
    turn.deliver(status(name, OTHER))
    assert cuts == []
    turn.deliver(status(name))
    assert cuts == ["一"], "at once"
    turn.deliver(piece("二"))
    turn.deliver(status(name))
    assert (turn.told, cuts) == ("一", ["一"])


async def test_an_answer_that_is_whole_is_not_cut_by_what_follows_it(turn: Turn) -> None:
    cuts: list[str] = []
    turn._on_cut = lambda: cuts.append("cut")
    turn.deliver(piece("一"))
    turn.deliver(Outgoing(NewMessage(said(4, "ai", "一", 3), NOW)))
    turn.deliver(status("waiting"))
    assert cuts == []


def chat(phase: Any = "bot_active", answered_seq: int = 0) -> Chat:
    return Chat(CHAT, CUSTOMER, phase, 0.0, True, answered_seq=answered_seq)


def test_an_answer_to_something_earlier_is_not_ours() -> None:
    messages = [said(4, "ai", "旧", 1), said(5, "customer", "还有"), said(6, "ai", "新", 5)]
    assert outcome_of(chat(answered_seq=1), 3, messages[:2]) is None
    outcome = outcome_of(chat(answered_seq=5), 3, messages)
    assert outcome is not None
    assert (outcome.text, outcome.answer, outcome.is_failed) == ("新", "新", False)


def test_the_answer_to_the_next_question_is_left_out() -> None:
    messages = [said(4, "ai", "甲", 3), said(5, "customer", "还有"), said(6, "ai", "乙", 5)]
    outcome = outcome_of(chat(answered_seq=5), 3, messages)
    assert outcome is not None
    assert outcome.text == "甲"


def test_what_an_agent_said_is_no_answer_of_the_bot() -> None:
    messages = [said(4, "system", "请稍候"), said(5, "agent", "您好"), said(6, "system", "再见")]
    outcome = outcome_of(chat("manual_live"), 3, messages)
    assert outcome is not None
    assert (outcome.text, outcome.answer) == ("请稍候", "")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("customer", "agent", "ai", "system")),
            st.none() | st.integers(1, 9),
        ),
        max_size=8,
    ),
    st.sampled_from(("bot_active", "pending_manual", "manual_live", "closed")),
    st.integers(0, 9),
)
def test_what_comes_of_a_message_is_made_of_what_was_said_behind_it(
    kinds: list[tuple[SenderType, int | None]], phase: Any, answered_seq: int
) -> None:
    messages = [said(4 + n, by, str(n), key) for n, (by, key) in enumerate(kinds)]
    outcome = outcome_of(chat(phase, answered_seq), 3, messages)
    if outcome is None:
        assert phase == "bot_active"
        assert answered_seq < 3
        return
    own = [m.content for m in messages if m.sender_type in ("ai", "system")]
    parts = outcome.text.split("\n\n") if outcome.text else []
    assert parts == [part for part in own if part in parts]
    assert outcome.phase == phase
