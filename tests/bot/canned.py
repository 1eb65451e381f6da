"""An answer that comes out of memory, whole or cut, through the real HTTP client: quick enough to
cut it at every byte."""

from collections.abc import AsyncIterator, Callable

import httpx
from anyio.lowlevel import checkpoint

from kefu.bot.http import Client

Answering = Callable[[httpx.Request], "Canned"]


class Canned(httpx.AsyncByteStream):
    """Some chunks, and then the end or a lost connection. Remembers whether it was closed."""

    def __init__(
        self,
        *chunks: bytes,
        is_lost: bool = False,
        status: int = 200,
        content_type: str = "text/event-stream",
    ) -> None:
        self._chunks = chunks
        self._is_lost = is_lost
        self.status = status
        self.content_type = content_type
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            await checkpoint()
            yield chunk
        if self._is_lost:
            raise httpx.RemoteProtocolError("peer closed connection")

    async def aclose(self) -> None:
        self.is_closed = True


class Wire(httpx.AsyncBaseTransport):
    """Answers each request with what `answering` makes of it."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        canned = self._answering(request)
        headers = {"content-type": canned.content_type}
        return httpx.Response(canned.status, headers=headers, stream=canned)


def client_of(answering: Answering) -> Client:
    return Client(httpx.AsyncClient(transport=Wire(answering)))
