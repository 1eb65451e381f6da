"""The same over uvicorn and real sockets: MessagePack, and peers that stop reading or vanish."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from kefu.gateway import listeners, outbox, server, serving, wire
from protocol.server import Pong
from tests.gateway.stage import NOW, Stage
from tests.server import People
from tests.until import until


@asynccontextmanager
async def on_the_net(
    stage: Stage,
    *,
    on_stop: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint,
    stop_within_s: float = 1,
) -> AsyncIterator[tuple[str, int]]:
    """The stage's gateway on a port of its own."""
    listener = listeners.bind("127.0.0.1", 0)
    ready = anyio.Event()

    async def on_ready(_url: str) -> None:
        ready.set()

    async def serve() -> None:
        await server.run(
            Starlette(routes=[WebSocketRoute("/ws", stage.app)]),
            listener,
            trusted_proxies=(),
            stop_within_s=stop_within_s,
            on_ready=on_ready,
            on_stop=on_stop,
        )

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await ready.wait()
        try:
            yield listener.getsockname()[:2]
        finally:
            signal.raise_signal(signal.SIGTERM)  # the server listens for it, and ends


async def test_messagepack_works_from_end_to_end(people: People) -> None:
    agent, token = await people.agent(), people.customer()
    url = f"{people.server.ws}/ws/chat"
    protocols = [Subprotocol("kefu.v1.msgpack"), Subprotocol(f"bearer.{token}")]
    pack, unpack = msgspec.msgpack.encode, msgspec.msgpack.decode
    async with (
        connect(url, subprotocols=protocols, proxy=None) as binary,
        people.connected(agent.token) as desk,
    ):
        assert binary.subprotocol == "kefu.v1.msgpack"
        await binary.send(pack({"type": "start_chat", "payload": {}, "id": "1"}))
        status = unpack(await binary.recv())
        assert (status["type"], status["reply_to"]) == ("chat_status", "1")
        chat_id = status["payload"]["chat_id"]
        await desk.send("accept_chat", {"chat_id": chat_id})
        await desk.expect("chat_status", status="active")
        assert unpack(await binary.recv())["payload"]["status"] == "active"
        await desk.say("您好")
        assert unpack(await binary.recv())["payload"]["content"] == "您好"
        await binary.send(pack({"type": "send_message", "payload": {"content": "在吗"}}))
        assert unpack(await binary.recv())["type"] == "message_ack"
        await desk.expect("new_message", content="在吗", seq=2)
        await binary.send('{"type": "ping"}')
        error = unpack(await binary.recv())
        assert error["payload"]["code"] == "INVALID_MESSAGE"


async def upgraded(address: tuple[str, int]) -> socket.socket:
    """A client so plain that it reads only what it is told to."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(peer, address)
    request = (
        b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await loop.sock_sendall(peer, request)
    assert b" 101 " in await loop.sock_recv(peer, 4096)
    return peer


async def test_a_peer_that_never_reads_again_cannot_keep_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "SEND_WITHIN_S", 0.3)
    monkeypatch.setattr(serving, "GOODBYE_WITHIN_S", 0.3)
    monkeypatch.setattr(wire, "FAREWELL_S", 0.3)
    cut: list[wire.WebSocketProtocol] = []
    lost = wire.WebSocketProtocol.connection_lost

    def note(self: wire.WebSocketProtocol, error: Exception | None) -> None:
        cut.append(self)
        lost(self, error)

    monkeypatch.setattr(wire.WebSocketProtocol, "connection_lost", note)
    stage = Stage()
    async with on_the_net(stage) as address:
        with await upgraded(address):
            await until(lambda: len(stage.hub) == 1)
            while len(stage.hub):
                for _ in range(200):
                    stage.publish(Pong(NOW, "x" * 4000))
                await anyio.lowlevel.checkpoint()
            await until(lambda: len(cut) == 1)


async def test_a_half_closed_peer_is_gone() -> None:
    stage = Stage()
    async with on_the_net(stage) as address:
        with await upgraded(address) as peer:
            await until(lambda: len(stage.hub) == 1)
            peer.shutdown(socket.SHUT_WR)
            await until(lambda: len(stage.hub) == 0)
            assert stage.open_count == 0


async def test_a_dead_peer_is_found_by_its_missing_pong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEARTBEAT_S", 0.2)
    stage = Stage()
    async with on_the_net(stage) as address:
        with await upgraded(address):
            await until(lambda: len(stage.hub) == 1)
            await until(lambda: len(stage.hub) == 0)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux has it")
async def test_what_a_dead_peer_never_takes_ends_its_connection() -> None:
    """A stream has no pong: the system tells of what was not acknowledged for so long."""
    with listeners.bind("127.0.0.1", 0) as listener, socket.socket() as peer:
        peer.connect(listener.getsockname())
        ours, _ = listener.accept()
        with ours:
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            unheard_ms = ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert unheard_ms == listeners.HEARTBEAT_S * 1000


async def test_it_serves_until_everybody_was_sent_away_or_a_second_signal_comes() -> None:
    is_stopping = anyio.Event()

    async def never_done() -> None:
        is_stopping.set()
        await anyio.sleep_forever()

    stage = Stage()
    with anyio.fail_after(10):
        async with on_the_net(stage, on_stop=never_done, stop_within_s=60) as address:
            signal.raise_signal(signal.SIGTERM)
            await is_stopping.wait()
            with await upgraded(address):
                await until(lambda: len(stage.hub) == 1)


async def test_sending_everybody_away_has_its_deadline() -> None:
    stage = Stage()
    with anyio.fail_after(20):
        async with on_the_net(stage, on_stop=anyio.sleep_forever):
            pass
