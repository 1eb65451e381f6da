"""Closes the sockets of sessions that have ended, with 4501, wherever they were ended.

What ends here is closed at once. What another program ended (another instance, `kefu agent
reset-password`) is found by asking the store about the open ones once a second; so is a socket that
was let in while its session ended.
"""

import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Final, Protocol
from uuid import UUID

import anyio

from kefu.delivery import session_topic
from kefu.gateway.hub import Hub
from kefu.storage.errors import StoreUnavailable
from protocol.codes import CloseCode

CHECK_EVERY_S: Final = 1.0
_PREFIX: Final = session_topic(UUID(int=0)).removesuffix(str(UUID(int=0)))
Ended = Callable[[Collection[UUID]], Awaitable[frozenset[UUID]]]
log = logging.getLogger("kefu.gateway")


class Closing(Protocol):
    def close(self, topic: str, code: CloseCode) -> None:
        """Send everybody on the topic away."""
        ...


def close_session(where: Closing, session_id: UUID) -> None:
    """Close the sockets of a session."""
    where.close(session_topic(session_id), CloseCode.SIGNED_OUT)


async def watch_sessions(hub: Hub, ended: Ended) -> None:
    """Close what ended elsewhere, for ever. `ended` says which of the sessions are over."""
    while True:
        await anyio.sleep(CHECK_EVERY_S)
        try:
            for session_id in await ended(_open_sessions(hub)):
                close_session(hub, session_id)
        except StoreUnavailable:
            log.warning("sessions_unchecked")
        except Exception:  # a bug of ours must not end the server with it
            log.exception("session_check_failed")


def _open_sessions(hub: Hub) -> frozenset[UUID]:
    topics = {topic for listener in hub for topic in listener.topics}
    return frozenset(
        UUID(topic.removeprefix(_PREFIX)) for topic in topics if topic.startswith(_PREFIX)
    )
