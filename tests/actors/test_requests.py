"""A request is marked by a base class that msgspec structs can have, in either order."""

from dataclasses import dataclass

import msgspec
import pytest
from msgspec import Struct

from actors import Request
from tests.actors.stage import Player, Script, open_stage


class Accept(Request[str], Struct, frozen=True, tag=True, gc=False):
    chat_id: str
    note: str = ""


class Count(Struct, Request[int], frozen=True, tag=True, array_like=False):
    up_to: int


@dataclass(frozen=True, slots=True)
class Plain(Request[bool]):
    value: bool


@pytest.mark.parametrize("message", [Accept("c1", "a note"), Accept("c2"), Count(3)])
def test_structs_that_are_requests_travel(message: Accept | Count) -> None:
    packed = msgspec.msgpack.encode(message)
    assert msgspec.msgpack.decode(packed, type=Accept | Count) == message
    assert msgspec.json.decode(msgspec.json.encode(message), type=Accept | Count) == message


def test_they_stay_small_immutable_and_matchable() -> None:
    accept = Accept("c1")
    assert not hasattr(accept, "__dict__")
    assert not hasattr(Plain(True), "__dict__")
    assert hash(accept) == hash(Accept("c1"))
    with pytest.raises(AttributeError):
        accept.chat_id = "c2"  # type: ignore[misc]  # that it is refused is the point
    match accept:
        case Accept(chat_id, note):
            assert (chat_id, note) == ("c1", "")


def test_unknown_types_and_wrong_fields_are_refused() -> None:
    for bad in (b'{"type":"Ghost"}', b'{"type":"Count","up_to":"many"}', b'{"type":"Accept"}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(bad, type=Accept | Count)


async def test_the_answer_has_the_type_the_request_names() -> None:
    class Counter(Player):
        async def receive(self, message: Count) -> int:
            return message.up_to + 1

    async with open_stage(Script(), Counter) as router:
        answer: int = await router.ref("player", "one").ask(Count(3), within=1)
    assert answer == 4
