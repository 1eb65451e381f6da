"""An AI provider that costs next to nothing: it answers any POST as OpenAI's API streams.

    python -m bench.replay --tokens 60 --tokens-per-s 30

Every token is an event and a chunk of its own and says when it was written, so that whoever reads
it at the far end knows how long it was on its way. The first one comes at once, the second at some
moment of the step behind it, and each other a step later whether or not those before it were late:
answers that begin at even distances do not say their words all at the same moments. Without a pace
the whole answer is written in one piece. Who asks, and for what, is not looked at: never use it for
anything else.
"""

import argparse
import asyncio
import os
import random
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, cast

import msgspec
import uvloop

ROOT = Path(__file__).parents[1]
STAMP = "词%09d "
STAMPED = re.compile("词([0-9]{9}) ".encode())
STAMPS = 10**9
"""Microseconds of the machine's monotonic clock begin anew there."""
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)


class Replay(NamedTuple):
    """`url` is its address without a path; `process_id` whose CPU counts."""

    url: str
    process_id: int


class Pace(NamedTuple):
    """`tokens_per_s` 0: all at once."""

    tokens: int
    tokens_per_s: float


def stamp_now() -> int:
    return time.monotonic_ns() // 1000 % STAMPS


def age_s(stamp: int) -> float:
    """How long ago that was."""
    return (stamp_now() - stamp) % STAMPS / 1e6


def _chunk(data: bytes) -> bytes:
    event = b"data: " + data + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


def _event(delta: object, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return msgspec.json.encode(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1735115983,
            "model": "replay",
            "choices": [choice],
        }
    )


ROLE = _chunk(_event({"role": "assistant", "content": ""}))
TOKEN = _chunk(_event({"content": STAMP % 0})).replace(b"000000000", b"%09d")
END = _chunk(_event({}, "stop")) + _chunk(b"[DONE]") + b"0\r\n\r\n"


class Provider(asyncio.Protocol):
    """One connection, one request after another."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._buffer = b""
        self._began = 0.0
        self._said = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        length = LENGTH.search(self._buffer, 0, max(end, 0))
        if end < 0 or length is None or len(self._buffer) < end + 4 + int(length[1]):
            return
        self._buffer = b""
        self._said, per_s = 0, self._pace.tokens_per_s
        self._began = time.monotonic() - (random.random() / per_s if per_s else 0.0)
        self._transport.write(HEAD + ROLE)
        self._say()

    def _say(self) -> None:
        """Every token that is due by now."""
        tokens, per_s = self._pace
        if self._transport.is_closing():
            return
        due = tokens
        if per_s:
            due = min(tokens, int((time.monotonic() - self._began) * per_s + 1e-6) + 1)
        text = TOKEN % stamp_now() * (due - self._said)
        self._said = due
        if due == tokens:
            self._transport.write(text + END)
            return
        self._transport.write(text)
        self._loop.call_later(self._began + due / per_s - time.monotonic(), self._say)


@asynccontextmanager
async def open_replay(pace: Pace, cpus: set[int] | None) -> AsyncIterator[Replay]:
    """In a process of its own, gone at the end."""
    asked = ("--tokens", str(pace.tokens), "--tokens-per-s", str(pace.tokens_per_s))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.replay", *asked), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        if cpus:
            os.sched_setaffinity(process.pid, cpus)
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        if not url:
            raise RuntimeError("the provider did not start")
        yield Replay(url, process.pid)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def serve(pace: Pace, port: int) -> None:
    """For ever. Says its address when it is there."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Provider(pace), "127.0.0.1", port, backlog=2048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.replay")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=60, help="of an answer")
    parser.add_argument("--tokens-per-s", type=float, default=0.0, help="0: all at once")
    asked = parser.parse_args()
    uvloop.run(serve(Pace(asked.tokens, asked.tokens_per_s), asked.port))


if __name__ == "__main__":
    main()
