"""Events that wait for a slow client: at most so many, and never one message fewer."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.gateway.facade import sse
from kefu.gateway.facade.sse import BEAT, EVENTS, Event, EventQueue
from tests.until import until


def one(number: int, *, is_message: bool) -> Event:
    return Event(json.dumps(number).encode(), is_message=is_message)


class Reader:
    """Takes what is sent, when it is let to."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.may_read = asyncio.Event()

    async def send(self, message: Any) -> None:
        await self.may_read.wait()
        self.bodies.append(message["body"])


@given(st.lists(st.booleans(), max_size=3 * EVENTS))
def test_the_oldest_that_is_no_message_goes_and_a_message_never(kinds: list[bool]) -> None:
    queue, kept, is_lost = EventQueue(), [], False
    for number, is_message in enumerate(kinds):
        is_taken = queue.put(one(number, is_message=is_message))
        assert is_taken or is_message
        if not is_taken:
            is_lost = True
            break
        kept.append((number, is_message))
    waiting = [int(item.body) for item in queue._items if isinstance(item, Event)]
    assert len(waiting) <= EVENTS
    assert [n for n, m in kept if m] == [n for n in waiting if kinds[n]]
    assert waiting == sorted(waiting)
    others = [n for n, m in kept if not m]
    assert [n for n in waiting if not kinds[n]] == others[
        len(others) - sum(not kinds[n] for n in waiting) :
    ]
    if is_lost:
        assert all(kinds[number] for number in waiting)


@given(st.lists(st.text(min_size=1, max_size=5), max_size=4 * EVENTS))
def test_pieces_that_wait_become_one_and_lose_nothing(pieces: list[str]) -> None:
    queue = EventQueue()
    for piece in pieces:
        queue.put_piece(piece)
    assert len(queue._items) <= EVENTS
    text = "".join(json.loads(item.body)["content"] for item in queue._items)
    assert text == "".join(pieces)


async def test_all_goes_out_in_order_until_it_is_closed() -> None:
    queue, reader = EventQueue(), Reader()
    reader.may_read.set()
    pouring = asyncio.ensure_future(queue.pour(reader.send))
    for number in range(3):
        queue.put(one(number, is_message=True))
        await until(lambda count=number + 1: len(reader.bodies) == count)
    queue.put(BEAT)
    queue.end_with(Event(b"{}", kind="close"))
    queue.put(one(9, is_message=True))
    await pouring
    assert reader.bodies == [
        b"data: 0\n\n",
        b"data: 1\n\n",
        b"data: 2\n\n",
        b":\n\nevent: close\ndata: {}\n\n",
    ]


async def test_who_takes_nothing_for_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "IDLE_S", 0.01)
    queue, reader = EventQueue(), Reader()
    queue.put(BEAT)
    with pytest.raises(TimeoutError):
        await queue.pour(reader.send)


async def test_a_replay_waits_for_room() -> None:
    queue, reader = EventQueue(), Reader()
    for number in range(EVENTS // 2):
        queue.put(one(number, is_message=True))
    pouring = asyncio.ensure_future(queue.pour(reader.send))
    waiting = asyncio.ensure_future(queue.wait_for_room())
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done or len(queue._items) < EVENTS // 2
    reader.may_read.set()
    await waiting
    queue.close()
    await pouring


def test_an_id_stands_before_the_data() -> None:
    assert Event(b"{}", id="x").wire() == b"id: x\ndata: {}\n\n"
    assert Event(b"{}", id="").wire() == b"id: \ndata: {}\n\n"
