"""Whatever may be said to an actor, and whatever it may answer, survives the way as bytes."""

from typing import Any, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from actors import Request
from kefu.agents import messages as agents
from kefu.cluster.codec import OTHER, Codec, UnknownMessage
from kefu.conversations import messages as conversations
from kefu.dispatch import messages as dispatch

KINDS: dict[str, Any] = {
    conversations.KIND: conversations.ConversationMessage,
    agents.KIND: agents.AgentMessage,
    dispatch.KIND: dispatch.QueueMessage,
}
CODEC = Codec(KINDS)
MESSAGES = [(kind, message) for kind, union in KINDS.items() for message in get_args(union)]


def declared_answer(message: type) -> Any:
    for base in getattr(message, "__orig_bases__", ()):
        if get_origin(base) is Request:
            return get_args(base)[0]
    return None


REQUESTS = [message for _, message in MESSAGES if declared_answer(message) is not None]
assert len(MESSAGES) > 30
assert len(REQUESTS) > 20


def any_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of the type, with numbers that MessagePack can hold and that can be compared."""
    return st.from_type(kind).filter(_fits)


def _fits(value: Any) -> bool:
    if isinstance(value, Struct):
        return all(_fits(getattr(value, field)) for field in value.__struct_fields__)
    if isinstance(value, tuple | list):
        return all(map(_fits, value))
    if isinstance(value, float):
        return value == value  # what is no number equals nothing, not even itself
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def name_of(value: Any) -> str:
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(("kind", "message"), MESSAGES, ids=name_of)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_message_survives(kind: str, message: type, data: st.DataObject) -> None:
    said = data.draw(any_of(message))
    name, body = CODEC.message(said)
    assert CODEC.read_message(kind, name, body) == said


@pytest.mark.parametrize("message", REQUESTS, ids=name_of)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_every_answer_survives(message: type, data: st.DataObject) -> None:
    asked = data.draw(st.from_type(message))
    value = data.draw(any_of(declared_answer(message)))
    name, body = CODEC.answer(value)
    read = CODEC.read_answer(asked, name, body)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("message", REQUESTS, ids=name_of)
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_the_answer_nothing_survives(message: type, data: st.DataObject) -> None:
    """Actors that crash answer nothing; the asker is not to be told of a shape."""
    name, body = CODEC.answer(None)
    assert CODEC.read_answer(data.draw(st.from_type(message)), name, body) is None


class Stranger(Struct, frozen=True):
    """Of a version this one does not know."""

    words: str = "secret words"


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_of_another_version_is_unknown(kind: str) -> None:
    name, body = CODEC.message(Stranger())
    with pytest.raises(UnknownMessage) as error:
        CODEC.read_message(kind, name, body)
    assert "secret" not in str(error.value)


def test_a_kind_of_actor_of_another_version_is_unknown() -> None:
    with pytest.raises(UnknownMessage):
        CODEC.read_message("robot", *CODEC.message(dispatch.Tick()))


def test_a_message_of_another_kind_of_actor_is_unknown() -> None:
    with pytest.raises(UnknownMessage):
        CODEC.read_message(agents.KIND, *CODEC.message(dispatch.Tick()))


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x80", b"\xc1", b"\xa3abc"])
def test_a_message_of_another_shape_is_unknown(body: bytes) -> None:
    with pytest.raises(UnknownMessage):
        CODEC.read_message(dispatch.KIND, "Enqueue", body)


@given(st.binary(max_size=60), st.sampled_from([m.__name__ for _, m in MESSAGES]))
def test_no_bytes_do_worse_than_being_unknown(body: bytes, name: str) -> None:
    for kind in KINDS:
        try:
            CODEC.read_message(kind, name, body)
        except UnknownMessage:
            pass


def test_an_answer_of_another_version_is_unknown() -> None:
    asked = dispatch.ListPresence()
    with pytest.raises(UnknownMessage):
        CODEC.read_answer(asked, *CODEC.answer(Stranger()))
    with pytest.raises(UnknownMessage):
        CODEC.read_answer(asked, OTHER, b"\x01")
