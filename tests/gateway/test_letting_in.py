"""Who is let in, how many, and that whoever leaves takes everything along."""

import asyncio
import json
from datetime import timedelta

from kefu.gateway.sockets import Socket
from tests.gateway.stage import Stage, is_empty, no_task_left, passes, simulated


def test_a_client_that_leaves_takes_everything_with_it() -> None:
    async def story() -> None:
        stage = Stage()
        with no_task_left():
            for number in range(200):
                peer = await stage.connected()
                peer.say("ping")
                if number % 3 == 0:
                    stage.gate.clear()
                    peer.say("end_chat")
                    await passes(0.1)
                await peer.leave()
                stage.gate.set()
            await passes(1)
        assert is_empty(stage.hub)
        assert stage.open_count == 0
        sent = stage.gauge("kefu_frames_received_total", type="ping")
        assert sent == 200

    simulated(story)


def test_a_client_that_leaves_before_it_was_let_in_leaves_nothing() -> None:
    async def story() -> None:
        stage = Stage()
        with no_task_left():
            peer = stage.connect()
            peer.is_reading = False
            await passes(0.1)
            peer.task.cancel()
            await asyncio.wait([peer.task])
        assert len(stage.hub) == 0
        assert stage.open_count == 0

    simulated(story)


def test_of_many_who_come_at_once_no_more_are_let_in_than_allowed() -> None:
    async def story() -> None:
        stage = Stage()
        stage.app = Socket(stage.backstage, stage.door(max_connections_per_person=3))
        token = stage.tokens.customer("c-1", ttl_s=600)
        peers = [stage.connect(token) for _ in range(10)]
        await passes(1)
        assert len(stage.hub) == 3
        refused = [p for p in peers if p.sent[0]["type"] == "websocket.http.response.start"]
        assert [peer.sent[0]["status"] for peer in refused] == [429] * 7
        headers = dict(refused[0].sent[0]["headers"])
        assert int(headers[b"retry-after"]) > 0
        for peer in peers:
            if peer not in refused:
                await peer.leave()

    simulated(story)


def test_a_full_server_says_when_to_come_back() -> None:
    async def story() -> None:
        stage = Stage()
        stage.app = Socket(stage.backstage, stage.door(max_connections=1))
        first = await stage.connected()
        second = stage.connect()
        await second.task
        assert second.sent[0]["status"] == 503
        assert b"retry-after" in dict(second.sent[0]["headers"])
        assert json.loads(second.sent[1]["body"])["code"] == "OVERLOADED"
        await first.leave()

    simulated(story)


def test_a_guest_learns_once_how_to_come_back() -> None:
    async def story() -> None:
        stage = Stage()
        peer = await stage.connected()
        stage.publish(stage.status())
        await peer.hear("chat_status", 2)
        tokens = [f["payload"].get("guest_token") for f in peer.heard("chat_status")]
        assert tokens[1] is None
        assert tokens[0] is not None
        same = stage.tokens.verify(tokens[0])
        assert same.expires_at - stage.clock.now() > timedelta(days=29)
        await peer.leave()

    simulated(story)
