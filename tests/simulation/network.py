"""Sockets between people and instances: in order, late, and cut at any moment.

The server's end is ASGI, as a web server would drive it. What is on its way when a link is cut is
lost; each end notices at once, later, or, half-open, only when its patience ends.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Protocol

from starlette.types import ASGIApp, Message

from kefu.gateway.sockets import BINARY_PROTOCOL
from tests.simulation.loop import Process
from tests.simulation.weather import Weather

WINDOW_FRAMES = 16  # what a stalled reader's buffers hold before the server's `send` waits
GONE = 1006
Arrival = tuple[Callable[..., None], tuple[Any, ...]]


class Peer(Protocol):
    """The person's end."""

    name: str
    is_binary: bool

    def on_open(self, link: "Link") -> None: ...
    def on_frame(self, link: "Link", frame: Any) -> None: ...
    def on_close(self, link: "Link", code: int) -> None: ...


class Link:
    """`look(link, data)` is called with each frame as it leaves the server; it gives the frame."""

    def __init__(
        self,
        peer: Peer,
        process: Process,
        weather: Weather,
        look: Callable[["Link", str | bytes], Any],
        world: Context,
    ) -> None:
        self.peer = peer
        self.process = process
        self.is_cut = False
        self.was_harmed = False
        self.is_being_served = True
        self.task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._weather = weather
        self._look = look
        self._world = world
        self._incoming: deque[Message] = deque([{"type": "websocket.connect"}])
        self._reader: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._is_gone_for_server = False
        self._is_closed_for_peer = False
        self._at_server = self._at_peer = 0.0
        self._unread = 0
        self._for_server: deque[Message] = deque()
        self._for_peer: deque[Arrival] = deque()
        self._stalled: deque[Arrival] | None = None

    @property
    def is_over(self) -> bool:
        return self.is_cut or self.process.is_dead or self._is_gone_for_server

    @property
    def is_stalled(self) -> bool:
        return self._stalled is not None

    # --- the server's end, as ASGI ----------------------------------------------------------------

    async def receive(self) -> Message:
        while not self._incoming:
            self._reader = self._loop.create_future()
            await self._reader
        return self._incoming.popleft()

    async def send(self, message: Message) -> None:
        """Raises OSError when the server knows that nobody is there."""
        if self._is_gone_for_server:
            raise OSError("the peer is gone")
        match message["type"]:
            case "websocket.accept":
                self._to_peer(self.peer.on_open, self)
            case "websocket.send":
                text = message.get("text")
                await self._send_frame(message["bytes"] if text is None else text)
            case "websocket.close":
                self._to_peer(self._close_peer, message["code"])
            case "websocket.http.response.start":
                self._to_peer(self._close_peer, message["status"])
            case _:
                pass

    async def _send_frame(self, data: str | bytes) -> None:
        frame = self._look(self, data)
        while self._unread >= WINDOW_FRAMES and not self._is_gone_for_server:
            self._room = self._loop.create_future()
            await self._room
        if self._is_gone_for_server:
            raise OSError("the peer is gone")
        self._unread += 1
        self._to_peer(self._take_frame, frame)

    def server_is_done(self, code: int = GONE) -> None:
        """The server's end closed, whatever the reason; the peer hears of it."""
        self._is_gone_for_server = True
        self.is_being_served = False
        self._to_peer(self._close_peer, code)

    def _server_hears(self, message: Message) -> None:
        """Runs in the process."""
        if self.process.is_dead or self._is_gone_for_server:
            return
        self._incoming.append(message)
        if message["type"] == "websocket.disconnect":
            self._is_gone_for_server = True
            _wake(self._room)
        _wake(self._reader)

    def shut_down(self) -> None:
        """The server's process ends in order: both ends hear it."""
        self._to_peer(self._close_peer, 1012)
        self._server_hears({"type": "websocket.disconnect", "code": 1012})

    # --- the peer's end ---------------------------------------------------------------------------

    def say(self, data: str | bytes) -> None:
        key = "text" if isinstance(data, str) else "bytes"
        self._to_server({"type": "websocket.receive", key: data})

    def leave(self) -> None:
        """Close the peer's end."""
        self._is_closed_for_peer = True
        self._to_server({"type": "websocket.disconnect", "code": 1005})

    def _take_frame(self, frame: Any) -> None:
        self._unread -= 1
        if self._room is not None and not self.process.is_dead:
            _wake(self._room)
        if not self._is_closed_for_peer:
            self.peer.on_frame(self, frame)

    def _close_peer(self, code: int) -> None:
        if not self._is_closed_for_peer:
            self._is_closed_for_peer = True
            self.peer.on_close(self, code)

    # --- what the world does to it ----------------------------------------------------------------

    def cut(self, server_after_s: float, peer_after_s: float | None) -> None:
        """Nothing travels from now on; the ends notice after so long."""
        if self.is_cut:
            return
        self.is_cut = self.was_harmed = True
        farewell = {"type": "websocket.disconnect", "code": GONE}
        context = self.process.context
        self._loop.call_later(server_after_s, self._server_hears, farewell, context=context)
        if peer_after_s is not None:
            self._loop.call_later(peer_after_s, self._close_peer, GONE, context=self._world)

    def stall(self) -> None:
        """The peer reads nothing until `go_on`."""
        self.was_harmed = True
        if self._stalled is None:
            self._stalled = deque()

    def go_on(self) -> None:
        late, self._stalled = self._stalled or deque(), None
        for arrive, args in late:
            arrive(*args)

    # --- the wire: what is due at one moment is shuffled, so the order lies in the queues ---------

    def _to_server(self, message: Message) -> None:
        if self.is_cut or self.process.is_dead:
            return
        self._for_server.append(message)
        self._at_server = max(self._at_server, self._loop.time() + self._weather.wire_s())
        context = self.process.context
        self._loop.call_at(self._at_server, self._arrive_at_server, context=context)

    def _arrive_at_server(self) -> None:
        if not self.is_cut:
            self._server_hears(self._for_server.popleft())

    def _to_peer(self, arrive: Callable[..., None], *args: Any) -> None:
        if self.is_cut:
            return
        self._for_peer.append((arrive, args))
        self._at_peer = max(self._at_peer, self._loop.time() + self._weather.wire_s())
        self._loop.call_at(self._at_peer, self._arrive_at_peer, context=self._world)

    def _arrive_at_peer(self) -> None:
        if self.is_cut:
            return
        arrive, args = self._for_peer.popleft()
        if self._stalled is not None:
            self._stalled.append((arrive, args))
        else:
            arrive(*args)


class Network:
    """Connects people to whichever instance is there."""

    def __init__(self, weather: Weather, look: Callable[[Link, str | bytes], Any]) -> None:
        self.links: list[Link] = []
        """Those that are served, and what stalled peers have still to read of others."""
        self.on_failure: Callable[[BaseException], None] = lambda _error: None
        self._weather = weather
        self._look = look
        self._world: Context = copy_context()

    def connect(self, peer: Peer, app: ASGIApp, process: Process, path: str, token: str) -> Link:
        link = Link(peer, process, self._weather, self._look, self._world)
        self.links = [each for each in self.links if each.is_being_served or each.is_stalled]
        self.links.append(link)
        scope = {
            "type": "websocket",
            "scheme": "ws",
            "path": path,
            "query_string": f"token={token}".encode(),
            "headers": [],
            "subprotocols": [BINARY_PROTOCOL] if peer.is_binary else [],
            "extensions": {"websocket.http.response": {}},
        }
        loop = asyncio.get_running_loop()
        context = process.context.copy()
        link.task = task = loop.create_task(_serve(app, scope, link), context=context)
        task.add_done_callback(lambda done: self._ended(link, done), context=self._world)
        return link

    def _ended(self, link: Link, task: asyncio.Task[None]) -> None:
        link.server_is_done()
        if not task.cancelled() and (error := task.exception()) is not None:
            self.on_failure(error)

    def of(self, process: Process) -> list[Link]:
        """Those it serves."""
        return [link for link in self.links if link.process is process and link.is_being_served]


async def _serve(app: ASGIApp, scope: Any, link: Link) -> None:
    await app(scope, link.receive, link.send)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
