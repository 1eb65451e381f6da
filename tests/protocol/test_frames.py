"""Every frame survives the way there and back, and is what the JSON Schema says it is."""

import json
from functools import cache
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # has no stubs

from protocol.schema import json_schema, main, typescript
from protocol.wire import (
    Reader,
    encode_json,
    encode_msgpack,
    from_agent,
    from_customer,
    from_server,
    from_workbench,
)
from tests.protocol.samples import DIRECTIONS, PATIENT, built, frames

READERS: dict[str, Reader[Any]] = {
    "FromCustomer": from_customer,
    "FromAgent": from_agent,
    "FromWorkbench": from_workbench,
    "ToWorkbench": from_server,
}
FRAMES = [
    pytest.param(direction, frame, id=f"{direction}-{frame.__struct_config__.tag}")
    for direction in READERS
    for frame in get_args(DIRECTIONS[direction])
]


@cache
def validator(direction: str) -> Any:
    document = json_schema()
    Draft202012Validator.check_schema(document)
    return Draft202012Validator({**document, "$ref": f"#/$defs/{direction}"})


@pytest.mark.parametrize(("direction", "frame"), FRAMES)
@settings(PATIENT, max_examples=15)
@given(data=st.data())
def test_every_frame_survives_both_formats_and_fits_the_schema(
    direction: str, frame: Any, data: st.DataObject
) -> None:
    said = data.draw(built(frame))
    as_json = encode_json(said)
    assert READERS[direction].read_json(as_json) == said
    assert READERS[direction].read_json(as_json.decode()) == said
    assert READERS[direction].read_msgpack(encode_msgpack(said)) == said
    validator(direction).validate(json.loads(as_json))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_schema_refuses_what_the_reader_refuses(direction: str) -> None:
    wrong_frames: list[object] = [
        {},
        {"type": "nonsense"},
        {"type": "send_message", "payload": {}},
        [],
        "ping",
    ]
    for wrong in wrong_frames:
        assert not validator(direction).is_valid(wrong)


@PATIENT
@given(frame=frames(DIRECTIONS["ToCustomer"]))
def test_what_a_customer_hears_a_workbench_understands_too(frame: Any) -> None:
    assert from_server.read_json(encode_json(frame)) == frame


@PATIENT
@given(frame=frames(DIRECTIONS["FromAgent"]))
def test_an_agent_says_the_same_on_the_workbench(frame: Any) -> None:
    assert from_workbench.read_msgpack(encode_msgpack(frame)) == frame


@PATIENT
@given(frame=frames(DIRECTIONS["FromCustomer"]))
def test_what_a_newer_client_adds_is_passed_over(frame: Any) -> None:
    plain = json.loads(encode_json(frame))
    plain["timestamp"] = "2026-01-27T10:00:00Z"
    plain["mood"] = {"deep": [1, {"deeper": None}]}
    if "payload" in plain:
        plain["payload"]["mood"] = "fine"
    assert from_customer.read_json(json.dumps(plain)) == frame


def test_nothing_of_the_workbench_may_be_said_to_a_customer() -> None:
    secret = {
        "queue_snapshot",
        "queue_update",
        "chat_offer",
        "agent_status",
        "note_added",
        "whispered",
        "transfer_request",
        "transfer_result",
        "assist_request",
        "chat_watch",
    }
    told = {frame.__struct_config__.tag for frame in get_args(DIRECTIONS["ToCustomer"])}
    told_workbench = {frame.__struct_config__.tag for frame in get_args(DIRECTIONS["ToWorkbench"])}
    assert told_workbench - told == secret


def test_every_name_of_the_schema_is_a_type_of_the_web() -> None:
    page = typescript()
    for name in json_schema()["$defs"]:
        assert f"export interface {name} {{" in page or f"export type {name} = " in page


def test_the_schema_is_printed_in_either_form(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["json"]) == 0
    assert msgspec.json.decode(capfdbinary.readouterr().out) == json_schema()
    assert main(["typescript"]) == 0
    assert capfdbinary.readouterr().out.decode() == typescript()
    assert main(["cobol"]) == 2
