"""The one module that knows the HTTP client: its limits, and its failures as ProviderErrors.

Nothing here follows a redirect, and nothing reads an answer's body whole unless it is small.
"""

import math
from asyncio import sleep
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from ssl import SSLContext
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import httpx
import msgspec
from msgspec import Struct, field

from kefu.bot.pace import Pace
from kefu.bot.ports import ProviderError, Rejected, Transient
from kefu.bot.sse import Event, OversizedEvent, SseReader

CONNECT_S: Final = 5.0
READ_S: Final = 30.0
"""Between two bytes."""
POOL_S: Final = 10.0
CONNECTIONS: Final = 100
KEPT_S: Final = 30.0
SMALL_BYTES: Final = 64 * 1024
LAST_WORDS_S: Final = 0.5
USUAL: Final = {
    "Accept": "*/*",
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "kefu",
}
_parsed: Final = lru_cache(maxsize=16)(httpx.URL)


class Client(Struct, frozen=True):
    """What all providers share."""

    http: httpx.AsyncClient
    pace: Pace = field(default_factory=Pace)


@asynccontextmanager
async def open_client(certificates: SSLContext | None = None) -> AsyncIterator[Client]:
    """For as long as the block takes. Proxies come from the environment, and so do the certificates
    unless they are given: to read them takes a tenth of a second.

    Its connections are aiohttp's: httpx's own take twice the CPU for every piece of an answer.
    """
    from httpx_aiohttp import HttpxAiohttpClient  # noqa: PLC0415  # 0.3 s, for who has a provider

    async with HttpxAiohttpClient(
        timeout=httpx.Timeout(READ_S, connect=CONNECT_S, pool=POOL_S),
        limits=httpx.Limits(max_connections=CONNECTIONS, keepalive_expiry=KEPT_S),
        verify=certificates or httpx.create_ssl_context(),
    ) as client:
        yield Client(client)


class Reply:
    """The head of an answer, and the ways to read the rest."""

    def __init__(self, response: httpx.Response, pace: Pace) -> None:
        self._response = response
        self._pace = pace
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        kind: str = self.headers.get("content-type", "")
        self.content_type = kind.partition(";")[0].strip().lower()

    @property
    def is_stream(self) -> bool:
        return self.content_type == "text/event-stream"

    def events(self) -> "Events":
        return Events(self._response.aiter_bytes(), self._pace)

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

    No generator: what is dropped in the middle has nothing to clean up. It `is_hurried` until the
    reader, whose first words are out, says otherwise: from then on it is read no faster than the
    `pace`. Events without a word may come a while before those.
    """

    def __init__(self, chunks: AsyncIterator[bytes], pace: Pace) -> None:
        self.is_hurried = True
        self._pace = pace
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
            if not self.is_hurried and self._pace.pause_s:
                await sleep(self._pace.pause_s)
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
    content = msgspec.json.encode(body)
    with Translated():
        # made by the client it would take twice as long
        request = httpx.Request("POST", _parsed(url), content=content, headers={**USUAL, **headers})
        response = await client.http.send(request, stream=True)
    try:
        with client.pace.reading():
            yield Reply(response, client.pace)
    finally:
        with suppress(ProviderError), Translated():
            await response.aclose()


async def last_words(events: Events, note: Callable[[Event], object]) -> None:
    """What follows an answer that is whole already. Read to its end, so that the connection can be
    used again, but not waited for: a customer does, too."""
    events.is_hurried = True
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
            case OversizedEvent():
                raise Rejected("oversized") from error
            case _ if isinstance(error, httpx.HTTPError) or _is_aiohttps(error):
                raise Transient(_name_of(error)) from error


def _name_of(error: BaseException) -> str:
    """The cause says more: httpx knows fewer kinds, and calls a refused connection a timeout."""
    cause = error.__cause__
    return type(cause if _is_aiohttps(cause) else error).__name__


def _is_aiohttps(error: BaseException | None) -> bool:
    """Not all of its errors are told as httpx's."""
    return type(error).__module__.partition(".")[0] == "aiohttp"


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None
