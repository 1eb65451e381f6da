"""Two people who write to each other, and what became of every message."""

import asyncio
import time

from bench.dialects import Dialect
from bench.wire import LeanSocket

TEXT = "您好，请问这件商品什么时候可以发货？" * 3


class Tally:
    """Over all pairs. Times count only while `is_counting`; losses and doubles always."""

    def __init__(self) -> None:
        self.ack_s: list[float] = []
        self.delivery_s: list[float] = []
        self.sent = self.doubled = self.disordered = self.misdelivered = self.errors = 0
        self.is_counting = False


class Side:
    """One end of a pair. Every frame of its socket comes to `heard`."""

    socket: LeanSocket
    other: "Side"

    def __init__(self, tally: Tally, dialect: Dialect, name: str) -> None:
        self.chat_id = ""
        self.is_open = asyncio.Event()
        self.is_ready = asyncio.Event()
        self.acked = asyncio.Semaphore(0)
        self._tally = tally
        self._dialect = dialect
        self._name = name
        self._number = 0
        self._head = 0
        self._unacked: dict[str, float] = {}
        self._undelivered: dict[str, float] = {}

    @property
    def undelivered_count(self) -> int:
        """Acknowledged, and yet the other side never heard them."""
        return len(self._undelivered.keys() - self._unacked.keys())

    @property
    def unacknowledged_count(self) -> int:
        """Refused, or never answered: a client would send them again."""
        return len(self._unacked)

    def say(self, due: float) -> None:
        """Send the next message; its times count from when it was due."""
        self._number += 1
        key = f"{self._name}-{self._number}"
        self._unacked[key] = self._undelivered[key] = due
        self._tally.sent += 1
        self.socket.send(self._dialect.say(self.chat_id, key, TEXT))

    def heard(self, body: bytes) -> None:
        frame = self._dialect.hear(body)
        if frame is None:
            return
        match frame.kind:
            case "new_message":
                self._delivered(frame.chat_id, frame.client_message_id)
                self._advance(frame.seq)
            case "message_ack":
                self._acknowledged(frame.client_message_id)
                self._advance(frame.seq)
            case "chat_status":
                self.chat_id = frame.chat_id
                self.is_open.set()
                if frame.status == "active":
                    self.is_ready.set()
            case "connected":
                self.is_ready.set()
            case "ping":
                self.socket.send(b"3")
            case "error":
                self._tally.errors += 1

    def _delivered(self, chat_id: str, key: str) -> None:
        tally, due = self._tally, self.other._undelivered.pop(key, None)
        if chat_id != self.chat_id:
            tally.misdelivered += 1
        elif due is None:
            tally.doubled += 1
        elif tally.is_counting:
            tally.delivery_s.append(time.perf_counter() - due)

    def _acknowledged(self, key: str) -> None:
        due = self._unacked.pop(key, None)
        if due is not None and self._tally.is_counting:
            self._tally.ack_s.append(time.perf_counter() - due)
        self.acked.release()

    def _advance(self, seq: int) -> None:
        if seq != self._head + 1:
            self._tally.disordered += 1
        self._head = seq

    async def write_at_rate(self, rate: float, start: float, until: float) -> None:
        """Open loop: a message is due every 1/rate seconds, whatever the server does."""
        due = start
        while due < until:
            delay = due - time.perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            self.say(due)
            due += 1 / rate

    async def write_in_window(self, window: int, until: float) -> None:
        """Closed loop: always `window` messages under way."""
        for _ in range(window):
            self.say(time.perf_counter())
        while time.perf_counter() < until:
            await self.acked.acquire()
            self.say(time.perf_counter())
