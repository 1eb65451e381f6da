"""What kefu answers to frames that are none: a code, a sentence that repeats nothing, no error."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.codes import ErrorCode
from protocol.limits import CONTENT_CHARS
from protocol.wire import Reader, Rejection, encode_json, encode_msgpack, from_customer
from protocol.wire import from_workbench as reader
from tests.protocol.samples import DIRECTIONS, PATIENT, frames

CHAT = "00000000-0000-0000-0000-000000000001"
SECRET = "geheim-9f3"

BAD: dict[str, tuple[Any, ErrorCode]] = {
    "nothing": ("", ErrorCode.INVALID_MESSAGE),
    "no JSON": (SECRET, ErrorCode.INVALID_MESSAGE),
    "half a frame": ('{"type":"ping"', ErrorCode.INVALID_MESSAGE),
    "two frames": ('{"type":"ping"}{"type":"ping"}', ErrorCode.INVALID_MESSAGE),
    "a list": ([SECRET], ErrorCode.INVALID_MESSAGE),
    "a word": (f'"{SECRET}"', ErrorCode.INVALID_MESSAGE),
    "null": ("null", ErrorCode.INVALID_MESSAGE),
    "no type": ({"payload": {}}, ErrorCode.INVALID_MESSAGE),
    "a type that is no text": ({"type": 7}, ErrorCode.INVALID_MESSAGE),
    "an unknown type": ({"type": SECRET}, ErrorCode.UNKNOWN_TYPE),
    "a type of the other side": ({"type": "new_message"}, ErrorCode.UNKNOWN_TYPE),
    "no payload": ({"type": "send_message"}, ErrorCode.INVALID_MESSAGE),
    "a payload that is no object": (
        {"type": "send_message", "payload": SECRET},
        ErrorCode.INVALID_MESSAGE,
    ),
    "no content": ({"type": "send_message", "payload": {}}, ErrorCode.INVALID_MESSAGE),
    "empty content": (
        {"type": "send_message", "payload": {"content": ""}},
        ErrorCode.INVALID_MESSAGE,
    ),
    "content that is no text": (
        {"type": "send_message", "payload": {"content": {SECRET: SECRET}}},
        ErrorCode.INVALID_MESSAGE,
    ),
    "too much content": (
        {"type": "send_message", "payload": {"content": SECRET * CONTENT_CHARS}},
        ErrorCode.CONTENT_TOO_LONG,
    ),
    "content with NUL": (
        {"type": "send_message", "payload": {"content": f"{SECRET}\0"}},
        ErrorCode.INVALID_MESSAGE,
    ),
    "a foreign message type": (
        {"type": "send_message", "payload": {"content": "x", "message_type": SECRET}},
        ErrorCode.UNSUPPORTED_MESSAGE_TYPE,
    ),
    "an id that is no UUID": (
        {"type": "accept_chat", "payload": {"chat_id": SECRET}},
        ErrorCode.INVALID_MESSAGE,
    ),
    "a status that is none": (
        {"type": "set_status", "payload": {"status": f"{SECRET} - at `$.x`"}},
        ErrorCode.INVALID_MESSAGE,
    ),
    "a negative number": (
        {"type": "resume", "payload": {"chat_id": CHAT, "last_seq": -1}},
        ErrorCode.INVALID_MESSAGE,
    ),
    "a number beyond counting": (
        {"type": "resume", "payload": {"chat_id": CHAT, "last_seq": 2**53}},
        ErrorCode.INVALID_MESSAGE,
    ),
    "a transfer to nobody": (
        {"type": "transfer_chat", "payload": {"chat_id": CHAT}},
        ErrorCode.INVALID_MESSAGE,
    ),
    "a transfer to two": (
        {
            "type": "transfer_chat",
            "payload": {"chat_id": CHAT, "to_agent_id": CHAT, "to_team_id": CHAT},
        },
        ErrorCode.INVALID_MESSAGE,
    ),
    "nested beyond the stack": (
        '{"type":"ping","x":' + "[" * 30_000 + "]" * 30_000 + "}",
        ErrorCode.INVALID_MESSAGE,
    ),
    "half a character": ('{"type":"ping","x":"\ud800"}', ErrorCode.INVALID_MESSAGE),
    "a frame's id that is too long": ({"type": "ping", "id": "x" * 65}, ErrorCode.INVALID_MESSAGE),
}


def as_text(frame: Any) -> str:
    return frame if isinstance(frame, str) else json.dumps(frame)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_frame_is_answered_with_its_code(name: str) -> None:
    frame, code = BAD[name]
    answer = reader.read_json(as_text(frame))
    assert isinstance(answer, Rejection)
    assert answer.code is code
    assert SECRET not in answer.sentence
    assert 10 < len(answer.sentence) <= 300


@pytest.mark.parametrize("name", [n for n, (frame, _) in BAD.items() if type(frame) is not str])
def test_a_bad_frame_is_answered_the_same_in_msgpack(name: str) -> None:
    frame, code = BAD[name]
    answer = reader.read_msgpack(encode_msgpack(frame))
    assert isinstance(answer, Rejection)
    assert answer.code is code
    assert SECRET not in answer.sentence


def test_a_refused_frame_is_answered_under_its_own_id() -> None:
    bad = {"type": "send_message", "payload": {}, "id": "f-1"}
    for answer in (reader.read_json(json.dumps(bad)), reader.read_msgpack(encode_msgpack(bad))):
        assert isinstance(answer, Rejection)
        assert answer.frame_id == "f-1"


@pytest.mark.parametrize("frame_id", [7, "", "x" * 65, None, ["f-1"], "a\0"])
def test_an_id_that_is_none_is_not_repeated(frame_id: object) -> None:
    answer = reader.read_json(json.dumps({"type": SECRET, "id": frame_id}))
    assert isinstance(answer, Rejection)
    assert answer.frame_id is None


def test_a_customer_cannot_speak_as_an_agent() -> None:
    answer = from_customer.read_json(
        json.dumps({"type": "accept_chat", "payload": {"chat_id": CHAT}})
    )
    assert isinstance(answer, Rejection)
    assert answer.code is ErrorCode.UNKNOWN_TYPE


def test_a_list_that_claims_two_billion_items_costs_nothing() -> None:
    for head in (b"\x82\xa4type\xa1x\xa7payload", b"\x82\xa4type\xacsend_message\xa7payload"):
        answer = from_customer.read_msgpack(head + b"\xdd\x7f\xff\xff\xff")
        assert isinstance(answer, Rejection)


# --- limits, at the boundary ---------------------------------------------------------------------


def sent(payload: dict[str, Any], type: str = "send_message", **more: Any) -> str:
    return json.dumps({"type": type, "payload": payload, **more})


LIMITS: dict[str, Callable[[int], str]] = {
    "content": lambda n: sent({"content": "字" * n}),
    "client_message_id": lambda n: sent({"content": "x", "client_message_id": "x" * n}),
    "id": lambda n: sent({"content": "x"}, id="x" * n),
    "topic": lambda n: sent({"topic": "题" * n}, "start_chat"),
    "reason": lambda n: sent({"reason": "因" * n}, "request_human"),
    "feedback": lambda n: sent({"feedback": "谢" * n}, "end_chat"),
    "rating": lambda n: sent({"rating": n}, "rate_chat"),
    "seq": lambda n: sent({"seq": n}, "mark_read"),
}
BOUNDS = {
    "content": (1, 4000),
    "client_message_id": (1, 64),
    "id": (1, 64),
    "topic": (0, 200),
    "reason": (0, 500),
    "feedback": (0, 2000),
    "rating": (1, 5),
    "seq": (0, 2**53 - 1),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_lies_exactly_where_it_is_said_to_lie(name: str) -> None:
    frame, (least, most) = LIMITS[name], BOUNDS[name]
    for inside in (least, most):
        assert not isinstance(from_customer.read_json(frame(inside)), Rejection)
    outside = [most + 1] if least == 0 and name != "seq" else [least - 1, most + 1]
    for number in outside:
        assert isinstance(from_customer.read_json(frame(number)), Rejection)


def test_a_feed_id_is_limited_too() -> None:
    for length, is_good in ((64, True), (65, False)):
        answer = reader.read_json(sent({"feed_id": "x" * length}, "subscribe_queue"))
        assert isinstance(answer, Rejection) != is_good


# --- whatever comes ------------------------------------------------------------------------------


def read_both(read: Reader[Any], data: bytes) -> None:
    for answer in (read.read_json(data), read.read_msgpack(data)):
        if isinstance(answer, Rejection):
            assert isinstance(answer.code, ErrorCode)
            assert answer.sentence


@PATIENT
@given(data=st.binary(max_size=300))
@example(data=b"\x81\x90\x01")
@example(data=b"\x82\xa4type\xa4nope\xa7payload\xd9\x02\xff\xfe")
@example(data=b"\x91" * 60_000)
def test_any_bytes_are_answered(data: bytes) -> None:
    read_both(reader, data)
    read_both(from_customer, data)


@PATIENT
@given(text=st.text(st.characters(), max_size=200))
def test_any_text_is_answered(text: str) -> None:
    reader.read_json(text)


@PATIENT
@given(
    frame=frames(DIRECTIONS["FromWorkbench"]),
    place=st.integers(min_value=0),
    bits=st.integers(1, 255),
    cut=st.booleans(),
    is_json=st.booleans(),
)
def test_a_frame_damaged_on_its_way_is_answered(
    frame: Any, place: int, bits: int, cut: bool, is_json: bool
) -> None:
    data = bytearray(encode_json(frame) if is_json else encode_msgpack(frame))
    at = place % len(data)
    if cut:
        del data[at:]
    else:
        data[at] ^= bits
    read_both(reader, bytes(data))


WORD = "Qx7-secret-Qx7"


@PATIENT
@given(
    frame=frames(DIRECTIONS["FromWorkbench"]),
    field=st.integers(min_value=0),
    value=st.sampled_from([WORD, [WORD], {WORD: WORD}, WORD + "\0", WORD * 400]),
)
def test_no_sentence_repeats_what_was_sent(frame: Any, field: int, value: Any) -> None:
    plain = json.loads(encode_json(frame))
    holder = plain["payload"] if field % 2 and plain.get("payload") else plain
    holder[sorted(holder)[field % len(holder)]] = value
    for answer in (
        reader.read_json(json.dumps(plain)),
        reader.read_msgpack(encode_msgpack(plain)),
    ):
        if isinstance(answer, Rejection):
            assert WORD not in answer.sentence
