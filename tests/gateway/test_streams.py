"""A stream of server-sent events is a connection: it greets, beats, ends and leaves nothing."""

import asyncio
import json

import pytest

from kefu.gateway.limits import OUTBOX_FRAMES, SEND_WITHIN_S
from kefu.gateway.streams import HEARTBEAT_S
from kefu.storage.errors import StoreUnavailable
from protocol.codes import CloseCode
from protocol.server import Pong
from tests.gateway.stage import NOW, Stage, is_empty, no_task_left, passes, simulated


def test_it_greets_as_a_socket_does_and_leaves_nothing_when_the_client_goes() -> None:
    async def story() -> None:
        stage = Stage()
        with no_task_left():
            peers = [stage.listen() for _ in range(20)]
            for peer in peers:
                await peer.hear("chat_status")
            assert stage.open_count == len(stage.hub) == 20
            assert peers[0].status == 200
            assert peers[0].headers[b"content-type"] == b"text/event-stream"
            for peer in peers:
                await peer.leave()
            assert not peer.is_over, "to nobody no farewell is said"
        assert is_empty(stage.hub)
        assert stage.open_count == 0

    simulated(story)


def test_a_client_that_leaves_in_the_middle_of_the_greeting_leaves_nothing() -> None:
    async def story() -> None:
        stage = Stage()
        stage.gate.clear()
        with no_task_left():
            peer = stage.listen()
            await passes(1)
            await peer.leave()
        assert len(stage.hub) == 0

    simulated(story)


def test_how_soon_to_come_back_differs_from_stream_to_stream() -> None:
    async def story() -> None:
        stage = Stage()
        peers = [stage.listen() for _ in range(30)]
        await passes(1)
        waits = [int(peer.body.split(b"\n")[0].removeprefix(b"retry: ")) for peer in peers]
        assert all(1000 <= wait <= 3000 for wait in waits)
        assert len(set(waits)) > 10
        for peer in peers:
            await peer.leave()

    simulated(story)


def test_a_silent_stream_beats() -> None:
    async def story() -> None:
        stage = Stage()
        peer = stage.listen()
        await passes(HEARTBEAT_S * 10 + 1)
        assert peer.beats == 10
        await peer.leave()
        before = peer.body
        await passes(HEARTBEAT_S * 2)
        assert peer.body == before

    simulated(story)


def test_a_beat_that_nobody_takes_ends_the_stream() -> None:
    async def story() -> None:
        stage = Stage()
        with no_task_left():
            peer = stage.listen()
            await peer.hear("chat_status")
            peer.is_reading = False
            await passes(HEARTBEAT_S + SEND_WITHIN_S + 1)
            assert len(stage.hub) == 0
            await peer.task  # nor is the farewell waited for
        assert not peer.is_over

    simulated(story)


def test_a_slow_client_is_let_go_with_4008_and_hears_so_once_it_reads() -> None:
    async def story() -> None:
        stage = Stage()
        peer = stage.listen()
        await peer.hear("chat_status")
        peer.is_reading = False
        for _ in range(3 * OUTBOX_FRAMES):
            stage.publish(Pong(NOW))
        await passes(1)
        assert len(stage.hub) == 0
        peer.is_reading = True
        await peer.task
        assert (peer.close_code, peer.is_over) == (4008, True)

    simulated(story)


@pytest.mark.parametrize("code", [CloseCode.IDLE, CloseCode.DRAINING, CloseCode.SIGNED_OUT])
def test_when_kefu_ends_it_the_last_event_says_why(code: CloseCode) -> None:
    async def story() -> None:
        stage = Stage()
        peer = stage.listen()
        await peer.hear("chat_status")
        stage.publish(Pong(NOW))
        (listener,) = stage.hub
        listener.close(code)
        await peer.task
        assert peer.heard("pong"), "what was queued goes out first"
        assert peer.events[-1].kind == "close"
        assert peer.events[-1].frame["code"] == code
        assert peer.events[-1].frame["reason"]
        assert peer.is_over

    simulated(story)


def test_a_token_that_expires_ends_its_stream() -> None:
    async def story() -> None:
        stage = Stage()
        peer = stage.listen(stage.tokens.customer("c-1", ttl_s=600))
        await passes(601)
        assert peer.close_code == 4501
        await peer.task

    simulated(story)


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), RuntimeError("a bug")], ids=repr)
def test_who_cannot_be_greeted_is_told_to_come_back(error: Exception) -> None:
    async def story() -> None:
        stage = Stage()

        def fail(_message: object) -> None:
            raise error

        stage.answer = fail
        peer = stage.listen()
        await peer.task
        assert peer.close_code == 1013

    simulated(story)


def test_whoever_is_not_let_in_gets_an_answer_and_no_stream() -> None:
    async def story() -> None:
        stage = Stage()
        stage.http = stage.http_app(max_connections_per_person=2)
        token = stage.tokens.customer("c-1", ttl_s=600)
        peers = [stage.listen(token) for _ in range(4)]
        await passes(1)
        assert sorted(peer.status for peer in peers) == [200, 200, 429, 429]
        refused = next(peer for peer in peers if peer.status == 429)
        assert json.loads(refused.body)["code"] == "RATE_LIMITED"
        for peer in peers:
            await (peer.leave() if peer.status == 200 else asyncio.wait([peer.task]))

    simulated(story)
