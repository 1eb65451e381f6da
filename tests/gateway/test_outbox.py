"""The outbox is bounded in frames and bytes, keeps order, and gives up who does not read."""

import asyncio

import pytest

from kefu.gateway.limits import OUTBOX_BYTES, OUTBOX_FRAMES, SEND_WITHIN_S
from kefu.gateway.outbox import Outbox, Stalled, Wire
from tests.gateway.stage import passes, simulated


class Client:
    """Takes each frame after `delay_s`, or none at all while it is stalled."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.got: list[Wire] = []
        self.delay_s = delay_s
        self.is_stalled = False

    async def take(self, wire: Wire) -> None:
        if self.is_stalled:
            await asyncio.Event().wait()
        await asyncio.sleep(self.delay_s)
        self.got.append(wire)


def test_frames_go_out_in_order_until_it_is_sealed() -> None:
    async def story() -> None:
        client = Client()
        outbox = Outbox(client.take)
        writing = asyncio.create_task(outbox.write())
        for number in range(100):
            assert outbox.put(str(number))
            if number % 7 == 0:
                await passes(1)
        outbox.seal()
        await writing
        assert client.got == [str(number) for number in range(100)]

    simulated(story)


def test_it_holds_so_many_frames_and_no_more() -> None:
    outbox = Outbox(Client().take)
    assert all(outbox.put("x") for _ in range(OUTBOX_FRAMES))
    assert not outbox.put("x")


@pytest.mark.parametrize(
    "frame", ["x" * 64_000, "长" * 32_000, b"x" * 64_000], ids=["ascii", "chinese", "bytes"]
)
def test_it_holds_so_much_memory_and_no_more(frame: Wire) -> None:
    outbox = Outbox(Client().take)
    count = 0
    while outbox.put(frame):
        count += 1
    assert OUTBOX_BYTES - 64_200 <= count * 64_000 <= OUTBOX_BYTES


def test_room_that_was_written_free_is_room_again() -> None:
    async def story() -> None:
        client = Client()
        outbox = Outbox(client.take)
        writing = asyncio.create_task(outbox.write())
        for _ in range(20):
            assert all(outbox.put("x" * 1000) for _ in range(200))
            await passes(1)
        outbox.seal()
        await writing
        assert len(client.got) == 4000

    simulated(story)


def test_a_client_that_takes_nothing_has_stalled() -> None:
    async def story() -> None:
        client = Client()
        outbox = Outbox(client.take)
        writing = asyncio.create_task(outbox.write())
        outbox.put("one")
        await passes(SEND_WITHIN_S - 1)
        client.is_stalled = True
        outbox.put("two")
        began = asyncio.get_running_loop().time()
        with pytest.raises(Stalled):
            await writing
        assert asyncio.get_running_loop().time() - began == pytest.approx(SEND_WITHIN_S)
        assert client.got == ["one"]

    simulated(story)


def test_a_slow_client_that_takes_each_frame_in_time_has_not() -> None:
    async def story() -> None:
        client = Client(delay_s=SEND_WITHIN_S - 1)
        outbox = Outbox(client.take)
        for number in range(20):
            outbox.put(str(number))
        outbox.seal()
        await outbox.write()
        assert len(client.got) == 20

    simulated(story)


def test_a_replay_goes_as_fast_as_the_client_reads() -> None:
    async def story() -> None:
        client = Client(delay_s=0.1)
        outbox = Outbox(client.take)
        writing = asyncio.create_task(outbox.write())
        for number in range(1000):
            await outbox.wait_for_room()
            assert outbox.put(str(number))
            assert outbox.put("live"), "half of it stays free for live frames"
        outbox.seal()
        await writing
        assert [wire for wire in client.got if wire != "live"] == [str(n) for n in range(1000)]

    simulated(story)


def test_a_replay_to_a_client_that_reads_nothing_has_stalled() -> None:
    async def story() -> None:
        client = Client()
        client.is_stalled = True
        outbox = Outbox(client.take)
        writing = asyncio.create_task(outbox.write())

        async def replay() -> None:
            for number in range(1000):
                await outbox.wait_for_room()
                outbox.put(str(number))

        with pytest.raises(Stalled):
            await replay()
        with pytest.raises(Stalled):
            await writing

    simulated(story)


def test_sealed_it_says_what_is_queued_and_takes_no_more() -> None:
    async def story() -> None:
        client = Client()
        outbox = Outbox(client.take)
        outbox.put("before")
        outbox.seal()
        assert outbox.put("after")
        await outbox.write()
        assert client.got == ["before"]

    simulated(story)


def test_dropped_it_gives_up_even_what_is_being_sent() -> None:
    async def story() -> None:
        client = Client()
        client.is_stalled = True
        outbox = Outbox(client.take)
        outbox.put("one")
        outbox.put("two")
        writing = asyncio.create_task(outbox.write())
        await passes(1)
        outbox.seal(drop=True)
        began = asyncio.get_running_loop().time()
        with pytest.raises(Stalled):
            await writing
        assert asyncio.get_running_loop().time() - began < 0.1
        assert client.got == []

    simulated(story)


def test_dropped_before_anything_was_sent_it_just_ends() -> None:
    async def story() -> None:
        client = Client()
        outbox = Outbox(client.take)
        outbox.put("one")
        outbox.seal(drop=True)
        await outbox.write()
        assert client.got == []

    simulated(story)


@pytest.mark.parametrize("after_s", [1.0, SEND_WITHIN_S], ids=["in time", "at its deadline"])
def test_it_may_be_dropped_again_while_it_gives_up(after_s: float) -> None:
    async def story() -> None:
        client = Client()
        client.is_stalled = True
        outbox = Outbox(client.take)
        outbox.put("one")
        writing = asyncio.create_task(outbox.write())
        await passes(after_s)
        while not writing.done():
            outbox.seal(drop=True)
            await asyncio.sleep(0)
        with pytest.raises(Stalled):
            await writing

    simulated(story)
