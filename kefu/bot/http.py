"""The one module that knows the HTTP client: its limits, and its failures as ProviderErrors.

Nothing here follows a redirect, and nothing reads an answer's body whole unless it is small.
"""

import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from ssl import SSLContext
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import anyio
import msgspec

from kefu.bot.ports import ProviderError, Rejected, Transient
from kefu.bot.sse import Event, OversizedEvent, SseReader
from kefu.patience import Patience

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


class Body(Protocol):
    """As aiohttp's."""

    async def readany(self) -> bytes:
        """What has come of it, at least a byte; nothing at the end."""
        ...

    def set_exception(self, error: Exception) -> None:
        """Raise it in whoever reads, now and later."""
        ...


class Connection(Protocol):
    """As aiohttp's."""

    @property
    def protocol(self) -> Any:
        """Its `read_timeout` is how long it waits for bytes, in seconds; None: for ever."""
        ...


class Response(Protocol):
    """As aiohttp's."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By their names, in any case."""
        ...

    @property
    def content(self) -> Body: ...

    @property
    def connection(self) -> Connection | None:
        """None where the whole answer has come."""
        ...

    def release(self) -> object:
        """Give the connection back, or close it when the body was not read to its end."""
        ...


class Client(Protocol):
    """What all providers share: as aiohttp's session."""

    def post(
        self,
        url: str,
        *,
        data: bytes,
        headers: Mapping[str, str],
        proxy: str | None,
        allow_redirects: bool,
    ) -> Awaitable[Response]: ...


@asynccontextmanager
async def open_client(certificates: SSLContext) -> AsyncIterator[Client]:
    """For as long as the block takes. Cookies of a provider are not kept.

    It is aiohttp's, not httpx's over the same connections: that takes three times the CPU to ask,
    and half as much again for a piece of an answer.
    """
    import aiohttp  # noqa: PLC0415  # 0.3 s, for who has a provider

    connector = aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEPT_S, ssl=certificates)
    timeout = aiohttp.ClientTimeout(connect=POOL_S, sock_connect=CONNECT_S, sock_read=READ_S)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield session


class Reply:
    """The head of an answer, and the ways to read the rest."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._read = response.content.readany
        self._patience = Patience(READ_S, self._lose)
        self.status = response.status
        self.headers = response.headers
        kind = self.headers.get("content-type", "")
        self.content_type = kind.partition(";")[0].strip().lower()

    @property
    def is_stream(self) -> bool:
        return self.content_type == "text/event-stream"

    def events(self) -> "Events":
        """Piece by piece. aiohttp would set a timer anew for each of them, so its own rests."""
        connection = self._response.connection
        if connection is not None:
            connection.protocol.read_timeout = None
        return Events(self._read, self._patience)

    def _lose(self) -> None:
        self._response.content.set_exception(TimeoutError())

    def release(self) -> None:
        """At the end, whether it was read or not."""
        self._patience.stop()
        self._response.release()

    async def small_body(self) -> bytes:
        """The body, or the first 64 KiB of it."""
        body = bytearray()
        with Translated():
            while len(body) < SMALL_BYTES and (chunk := await self._read()):
                body += chunk
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
    """The events of an answer, as they come. Raises ProviderError when the stream breaks, or says
    nothing for READ_S.

    No generator: what is dropped in the middle has nothing to clean up.
    """

    def __init__(self, read: Callable[[], Awaitable[bytes]], patience: Patience) -> None:
        self._read = read
        self._patience = patience
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
                self._patience.begin()
                chunk = await self._read()
                self._patience.end()
                self._is_over = not chunk
                self._ready += self._reader.feed(chunk) if chunk else self._reader.end()
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
        response = await client.post(
            url,
            data=content,
            headers={**USUAL, **headers},
            proxy=_proxy_for(url),
            allow_redirects=False,
        )
    reply = Reply(response)
    try:
        yield reply
    finally:
        reply.release()


@lru_cache(maxsize=16)
def _proxy_for(url: str) -> str | None:
    """As the environment has it: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY."""
    parts, proxies = urlsplit(url), getproxies()
    if proxy_bypass(parts.netloc):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


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
        told = None if error is None else _translation(error)
        if told is not None:
            raise told from error


def _translation(error: BaseException) -> ProviderError | None:
    from aiohttp import (  # noqa: PLC0415  # it is there already, see open_client
        ClientError,
        InvalidURL,
        NonHttpUrlClientError,
    )

    match error:
        case InvalidURL() | NonHttpUrlClientError():
            return Rejected("address")
        case OversizedEvent():
            return Rejected("oversized")
        case ClientError() | OSError():
            return Transient(type(error).__name__)
        case _:
            return None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None
