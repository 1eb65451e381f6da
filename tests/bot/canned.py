"""An answer that comes out of memory, whole or cut, where aiohttp's would be: quick enough to cut
it at every byte."""

from collections.abc import Callable, Mapping

from aiohttp import ClientPayloadError
from anyio.lowlevel import checkpoint
from multidict import CIMultiDict

from kefu.bot.http import Client

Answering = Callable[[str], "Canned"]
"""By the address that is asked."""


class Canned:
    """Some chunks, and then the end or a lost connection. Remembers whether it was closed."""

    def __init__(
        self,
        *chunks: bytes,
        is_lost: bool = False,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._chunks = [chunk for chunk in chunks if chunk]
        self._is_lost = is_lost
        self.status = status
        self.headers = CIMultiDict({"Content-Type": "text/event-stream", **(headers or {})})
        self.is_closed = False
        self.connection = None

    @property
    def content(self) -> "Canned":
        return self

    async def readany(self) -> bytes:
        await checkpoint()
        if self._chunks:
            return self._chunks.pop(0)
        if self._is_lost:
            raise ClientPayloadError("peer closed connection")
        return b""

    def set_exception(self, _error: Exception) -> None:
        raise AssertionError("it always has an answer")

    def release(self) -> None:
        self.is_closed = True


class Wire:
    """Answers each question with what `answering` makes of it."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering

    async def post(self, url: str, **_rest: object) -> Canned:
        return self._answering(url)


def client_of(answering: Answering) -> Client:
    return Wire(answering)
