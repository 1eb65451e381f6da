"""Closes the sockets of sessions that have ended, with 4501, wherever they were ended.

What ends here is closed at once. What another program ended (another instance, `kefu agent
reset-password`) is found by asking the store about the open ones once a second; so is a socket that
was let in while its session ended.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Final, Protocol
from uuid import UUID

import anyio

from kefu.storage.errors import StoreUnavailable
from protocol.codes import CloseCode

CHECK_EVERY_S: Final = 1.0
log = logging.getLogger("kefu.gateway")


class SessionSocket(Protocol):
    @property
    def session_id(self) -> UUID | None:
        """The sign-in it was opened with; None for customers."""
        ...

    def close(self, code: CloseCode) -> None: ...


class Sockets(Protocol):
    def __iter__(self) -> Iterator[SessionSocket]: ...


class SessionWatch:
    """`ended` says which of the sessions are over."""

    def __init__(
        self,
        sockets: Sockets,
        ended: Callable[[Collection[UUID]], Awaitable[frozenset[UUID]]],
    ) -> None:
        self._sockets = sockets
        self._ended = ended

    def close(self, session_id: UUID) -> None:
        """Close this instance's sockets of a session."""
        self._close(frozenset({session_id}))

    async def run(self) -> None:
        """Ask once a second, for ever; while the store is away, later."""
        while True:
            await anyio.sleep(CHECK_EVERY_S)
            try:
                await self.check()
            except StoreUnavailable:
                log.warning("sessions_unchecked")

    async def check(self) -> None:
        """Ask once. Raises StoreUnavailable."""
        open_ids = {each.session_id for each in self._sockets if each.session_id is not None}
        if open_ids:
            self._close(await self._ended(open_ids))

    def _close(self, session_ids: frozenset[UUID]) -> None:
        for socket in self._sockets:
            if socket.session_id in session_ids:
                socket.close(CloseCode.SIGNED_OUT)
