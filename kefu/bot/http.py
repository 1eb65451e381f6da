"""The one module that knows the HTTP client: its limits, and its failures as ProviderErrors.

Nothing here follows a redirect, and nothing reads an answer's body whole unless it is small.
"""

import importlib.util
import math
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ssl import SSLContext
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import httpx
import msgspec

from kefu.bot.ports import Rejected, Transient
from kefu.bot.sse import Event, OversizedEvent, SseReader

CONNECT_S: Final = 5.0
READ_S: Final = 30.0
"""Between two bytes."""
WRITE_S: Final = 10.0
POOL_S: Final = 10.0
LANES: Final = 10
LANE_CONNECTIONS: Final = 10
KEPT_S: Final = 30.0
SMALL_BYTES: Final = 64 * 1024
LAST_WORDS_S: Final = 0.5


class Client:
    """One pool of 100 connections, in ten lanes: httpx looks at every connection of a pool for
    every other one, which costs more than an answer when the pool is large."""

    def __init__(self, lanes: Sequence[httpx.AsyncClient]) -> None:
        self._lanes = lanes
        self._busy = [0] * len(lanes)
        self._room = anyio.Semaphore(len(lanes) * LANE_CONNECTIONS)

    @asynccontextmanager
    async def lane(self) -> AsyncIterator[httpx.AsyncClient]:
        """A place for one request. Raises Transient when none comes free in time."""
        try:
            with anyio.fail_after(POOL_S):
                await self._room.acquire()
        except TimeoutError:
            raise Transient("PoolTimeout") from None
        place = next(n for n, count in enumerate(self._busy) if count < LANE_CONNECTIONS)
        self._busy[place] += 1
        try:
            yield self._lanes[place]
        finally:
            self._busy[place] -= 1
            self._room.release()


@asynccontextmanager
async def open_client(certificates: SSLContext | None = None) -> AsyncIterator[Client]:
    """The one client all providers share. Proxies come from the environment, and so do the
    certificates unless they are given: to read them takes a tenth of a second."""
    timeout = httpx.Timeout(connect=CONNECT_S, read=READ_S, write=WRITE_S, pool=POOL_S)
    limits = httpx.Limits(
        max_connections=LANE_CONNECTIONS,
        max_keepalive_connections=LANE_CONNECTIONS,
        keepalive_expiry=KEPT_S,
    )
    certificates = certificates or httpx.create_ssl_context()
    _note_what_is_missing()
    async with AsyncExitStack() as stack:
        lanes = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    timeout=timeout,
                    limits=limits,
                    verify=certificates,
                    headers={"User-Agent": "kefu"},
                )
            )
            for _ in range(LANES)
        ]
        yield Client(lanes)


def _note_what_is_missing() -> None:
    """httpcore imports sniffio seven times a request, and does without where it is not installed.
    Python would look for it on disk each time, which is a third of what a request costs."""
    if importlib.util.find_spec("sniffio") is None:
        sys.modules["sniffio"] = None  # type: ignore[assignment]


class Reply:
    """The head of an answer, and the ways to read the rest."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        kind: str = self.headers.get("content-type", "")
        self.content_type = kind.partition(";")[0].strip().lower()

    @property
    def is_stream(self) -> bool:
        return self.content_type == "text/event-stream"

    def events(self) -> "Events":
        return Events(self._response.aiter_bytes())

    async def small_body(self) -> bytes:
        """The body, or the first 64 KiB of it."""
        body = bytearray()
        with Translated():
            async for chunk in self._response.aiter_bytes():
                body += chunk
                if len(body) >= SMALL_BYTES:
                    break
        return bytes(body[:SMALL_BYTES])

    def retry_after_s(self, now: datetime) -> float | None:
        """When the server wants to be asked again: milliseconds, seconds or a date, from `now`."""
        milliseconds = _number(self.headers.get("retry-after-ms", ""))
        if milliseconds is not None:
            return milliseconds / 1000
        text = self.headers.get("retry-after", "")
        seconds = _number(text)
        if seconds is not None or not text:
            return seconds
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        at = at.replace(tzinfo=at.tzinfo or UTC)
        return max(0.0, (at - now).total_seconds())


class Events:
    """The events of an answer, as they come. Raises ProviderError when the stream breaks.

    No generator: what is dropped in the middle has nothing to clean up.
    """

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._reader = SseReader()
        self._ready: deque[Event] = deque()
        self._is_over = False

    def __aiter__(self) -> "Events":
        return self

    async def __anext__(self) -> Event:
        while not self._ready:
            if self._is_over:
                raise StopAsyncIteration
            with Translated():
                chunk = await anext(self._chunks, None)
                self._is_over = chunk is None
                events = self._reader.end() if chunk is None else self._reader.feed(chunk)
            self._ready += events
        return self._ready.popleft()


@asynccontextmanager
async def posted(
    client: Client, url: str, body: Mapping[str, Any], headers: Mapping[str, str]
) -> AsyncIterator[Reply]:
    """The answer to a JSON body, its own body unread; its connection is given back at the end.

    Raises ProviderError when there is no answer.
    """
    fixed = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    content = msgspec.json.encode(body)
    async with client.lane() as lane:
        with Translated():
            request = lane.build_request("POST", url, content=content, headers={**headers, **fixed})
            response = await lane.send(request, stream=True)
        try:
            yield Reply(response)
        finally:
            with suppress(httpx.HTTPError):
                await response.aclose()


async def last_words(events: Events, note: Callable[[Event], object]) -> None:
    """What follows an answer that is whole already. Read to its end, so that the connection can be
    used again, but not waited for: a customer does, too."""
    with anyio.move_on_after(LAST_WORDS_S), suppress(Transient, Rejected):
        async for event in events:
            note(event)


def host_of(url: str) -> str:
    return urlsplit(url).hostname or ""


class Translated:
    """Errors of the HTTP client leave the block as ProviderErrors. No generator makes it: it is
    entered for every piece of an answer."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        match error:
            case None:
                return
            case httpx.UnsupportedProtocol() | httpx.InvalidURL():
                raise Rejected("address") from error
            case httpx.HTTPError():
                raise Transient(type(error).__name__) from error
            case OversizedEvent():
                raise Rejected("oversized") from error


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None
