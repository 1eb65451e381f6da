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


Ended = Callable[[Collection[UUID]], Awaitable[frozenset[UUID]]]


def close_session(sockets: Sockets, session_id: UUID) -> None:
    """Close this instance's sockets of a session."""
    _close(sockets, frozenset({session_id}))


async def watch_sessions(sockets: Sockets, ended: Ended) -> None:
    """Close what ended elsewhere, for ever. `ended` says which of the sessions are over."""
    while True:
        await anyio.sleep(CHECK_EVERY_S)
        open_ids = {each.session_id for each in sockets if each.session_id is not None}
        if not open_ids:
            continue
        try:
            _close(sockets, await ended(open_ids))
        except StoreUnavailable:
            log.warning("sessions_unchecked")


def _close(sockets: Sockets, session_ids: frozenset[UUID]) -> None:
    for socket in sockets:
        if socket.session_id in session_ids:
            socket.close(CloseCode.SIGNED_OUT)
