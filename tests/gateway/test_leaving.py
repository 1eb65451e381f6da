"""A server that stops sends everybody away first, spread over time; the idle are sent away too."""

import asyncio
from datetime import timedelta

import pytest

from kefu.errors import Problem
from kefu.gateway.drain import CONNECTIONS_A_SECOND, Drain
from kefu.gateway.idle import LOOKS, close_idle
from kefu.gateway.limits import GOODBYE_WITHIN_S
from kefu.gateway.sockets import Socket
from protocol.server import Pong
from tests.fakes.asgi_peer import AsgiPeer
from tests.fakes.entropy import SeededEntropy
from tests.gateway.stage import NOW, Stage, passes, simulated


def now() -> float:
    return asyncio.get_running_loop().time()


async def crowd(stage: Stage, count: int) -> list[AsgiPeer]:
    return [await stage.connected() for _ in range(count)]


def drain_of(stage: Stage, window_s: float = 10.0) -> Drain:
    drain = Drain(stage.hub, SeededEntropy(), window_s)
    stage.app = Socket(stage.backstage, stage.door(drain=drain))
    stage.http = stage.http_app(drain=drain)
    return drain


# --- draining -------------------------------------------------------------------------------------


def test_everybody_hears_when_and_is_closed_with_4012_at_that_moment() -> None:
    async def story() -> None:
        stage = Stage()
        drain, peers = drain_of(stage, window_s=0.4), await crowd(stage, 300)
        ended_at: dict[int, float] = {}
        for number, peer in enumerate(peers):
            peer.task.add_done_callback(lambda _, number=number: ended_at.update({number: now()}))
        began = now()
        await drain.run()
        assert {peer.close_code for peer in peers} == {4012}
        assert len(stage.hub) == 0
        for number, peer in enumerate(peers):
            (goaway,) = peer.heard("goaway")
            announced_s = goaway["payload"]["reconnect_after_ms"] / 1000
            assert 0 <= announced_s <= 0.4
            assert ended_at[number] - began == pytest.approx(announced_s, abs=0.05)
        spread = sorted(ended_at.values())
        assert spread[-1] - spread[0] > 0.3, "not all at once"

    simulated(story)


def test_a_small_server_is_gone_at_once_and_none_takes_longer_than_its_window() -> None:
    async def story() -> None:
        stage = Stage()
        drain = drain_of(stage)
        await crowd(stage, 5)
        began = now()
        await drain.run()
        assert now() - began <= 5 / CONNECTIONS_A_SECOND + 0.1

        stage = Stage()
        drain, peers = drain_of(stage, window_s=0.1), await crowd(stage, 300)
        began = now()
        await drain.run()
        assert now() - began <= 0.2
        assert {peer.close_code for peer in peers} == {4012}

    simulated(story)


def test_an_empty_server_does_not_wait() -> None:
    async def story() -> None:
        began = now()
        await drain_of(Stage()).run()
        assert now() == began

    simulated(story)


def test_while_it_drains_nobody_new_comes_in_and_it_is_not_ready() -> None:
    async def story() -> None:
        stage = Stage()
        drain = drain_of(stage)
        drain.check()
        assert await drain.reason() is None
        await drain.run()
        assert await drain.reason() is not None
        waits = []
        for _ in range(50):
            peer, stream = stage.connect(), stage.listen()
            await asyncio.wait([peer.task, stream.task])
            assert (peer.sent[0]["status"], stream.status) == (503, 503)
            waits.append(int(dict(peer.sent[0]["headers"])[b"retry-after"]))
        assert set(waits) == {2, 3, 4, 5}, "one after another"
        with pytest.raises(Problem):
            drain.check()

    simulated(story)


def test_a_stream_is_drained_as_a_socket_is() -> None:
    async def story() -> None:
        stage = Stage()
        drain, stream = drain_of(stage), stage.listen()
        await stream.hear("chat_status")
        await drain.run()
        assert (len(stream.heard("goaway")), stream.close_code) == (1, 4012)
        await stream.task

    simulated(story)


def test_who_takes_no_farewell_does_not_hold_up_the_end() -> None:
    async def story() -> None:
        stage = Stage()
        drain, (peer,) = drain_of(stage), await crowd(stage, 1)
        peer.is_reading = False
        stage.publish(Pong(NOW))
        began = now()
        await drain.run()
        assert now() - began <= GOODBYE_WITHIN_S + 0.1
        peer.is_reading = True
        await peer.task

    simulated(story)


# --- idle -----------------------------------------------------------------------------------------

TIMEOUT_S = 600.0
SLACK_S = TIMEOUT_S / LOOKS + 1


def idling(story: object) -> None:
    async def run() -> None:
        stage = Stage()
        watching = asyncio.ensure_future(close_idle(stage.hub, stage.clock, TIMEOUT_S))
        try:
            await story(stage)  # type: ignore[operator]
        finally:
            watching.cancel()

    simulated(run)


def test_a_connection_on_which_nobody_says_anything_is_closed_with_4009() -> None:
    async def story(stage: Stage) -> None:
        peer, stream = await stage.connected(), stage.listen()
        await passes(TIMEOUT_S - 1)
        assert peer.close_code is stream.close_code is None
        await passes(SLACK_S + TIMEOUT_S / LOOKS)
        assert peer.close_code == stream.close_code == 4009
        await asyncio.wait([peer.task, stream.task])

    idling(story)


@pytest.mark.parametrize("who", ["the client", "the server"])
def test_whoever_says_something_keeps_it_open(who: str) -> None:
    async def story(stage: Stage) -> None:
        peer = await stage.connected()
        for _ in range(10):
            await passes(TIMEOUT_S * 0.8)
            if who == "the client":
                peer.say("typing", {"is_typing": True})
            else:
                stage.publish(stage.status())
        assert peer.close_code is None
        await peer.leave()

    idling(story)


def test_pings_alone_keep_nothing_open() -> None:
    async def story(stage: Stage) -> None:
        peer = await stage.connected()
        while peer.close_code is None:
            assert stage.clock.now() < NOW + timedelta(seconds=2 * TIMEOUT_S)
            peer.say("ping")
            await passes(25)
        assert peer.close_code == 4009
        assert len(peer.heard("pong")) > 20
        await peer.task

    idling(story)
