"""What the transport answers while a slot changes hands; the order itself is in test_moves.py."""

import asyncio
from typing import Any, cast

from msgspec import Struct

from actors import ActorId, Repeatable, Request
from kefu.cluster.codec import Codec
from kefu.cluster.envelopes import Answered, Ask, Failed
from kefu.cluster.transport import ClusterTransport


class Put(Request[int], Repeatable, Struct, frozen=True):
    number: int


BOX = ActorId("box", "one")


class Hands:
    """Whose the slot is."""

    def __init__(self) -> None:
        self.me = "here"
        self.now = "there"

    def owner(self, slot: int) -> str:
        return self.now

    def is_mine(self, slot: int) -> bool:
        return self.now == self.me

    def is_coming(self, slot: int) -> bool:
        return False

    def look_now(self) -> None: ...


class Wires:
    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def send(self, peer: str, envelope: Any) -> bool:
        self.sent.append((peer, envelope))
        return True


def transport_of(hands: Hands, wires: Wires, done: list[int]) -> ClusterTransport:
    transport = ClusterTransport(cast(Any, hands), cast(Any, wires), Codec({"box": Put}))

    def deliver(id: ActorId, message: object, *, within: float | None) -> "asyncio.Future[Any]":
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.append(cast(Put, message).number)
        answer.set_result(cast(Put, message).number)
        return answer

    transport.attach(deliver)
    return transport


async def test_a_slot_that_came_here_is_local_only_when_the_one_before_has_answered() -> None:
    hands, wires, done = Hands(), Wires(), list[int]()
    transport = transport_of(hands, wires, done)
    first = asyncio.ensure_future(transport.ask(BOX, Put(1), within=5))
    await asyncio.sleep(0)
    hands.now = hands.me
    transport.settled(frozenset(range(1024)))
    assert not transport.is_local(BOX)
    second = asyncio.ensure_future(transport.ask(BOX, Put(2), within=5))
    await asyncio.sleep(0)
    assert done == []
    ask = cast(Ask, wires.sent[0][1])
    transport.take("there", Failed(ask.ask_id, "Moved"))
    assert [await first, await second] == [1, 2]
    assert done == [1, 2]
    assert transport.is_local(BOX)


async def test_a_late_answer_to_an_earlier_sending_finds_nobody() -> None:
    hands, wires = Hands(), Wires()
    transport = transport_of(hands, wires, [])
    asked = asyncio.ensure_future(transport.ask(BOX, Put(1), within=5))
    await asyncio.sleep(0)
    earlier = cast(Ask, wires.sent[0][1])
    transport.lost("there")
    transport.settled(frozenset(range(1024)))
    await asyncio.sleep(0)
    again = cast(Ask, wires.sent[1][1])
    name, body = Codec({"box": Put}).answer(99)
    transport.take("there", Answered(earlier.ask_id, name, body))
    assert not asked.done()
    name, body = Codec({"box": Put}).answer(1)
    transport.take("there", Answered(again.ask_id, name, body))
    assert await asked == 1
