"""One call over HTTP as a listener of the hub, for the answers that actors give as frames.

An actor's frames come before its answer to the question that caused them: when the question is
answered, they are here.
"""

from typing import Final, TypeVar

from kefu.delivery import Origin
from kefu.gateway.hub import Hub
from kefu.gateway.outbox import Outgoing
from protocol.codes import CloseCode
from protocol.server import ToWorkbench

FRAMES: Final = 100
F = TypeVar("F", bound=ToWorkbench)


class Ear:
    """It listens to nothing but what it is sent, inside of `with`."""

    topics: tuple[str, ...] = ()

    def __init__(self, hub: Hub, connection_id: str) -> None:
        self.id = connection_id
        self._hub = hub
        self._frames: list[ToWorkbench] = []

    @property
    def origin(self) -> Origin:
        return Origin(self.id, "1")

    def __enter__(self) -> "Ear":
        self._hub.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._hub.remove(self)

    def deliver(self, outgoing: Outgoing) -> None:
        if len(self._frames) < FRAMES:
            self._frames.append(outgoing.frame)

    def close(self, code: CloseCode) -> None:
        """Nobody sends single calls away."""

    def heard(self, kind: type[F]) -> list[F]:
        """The frames of that kind, in their order."""
        return [frame for frame in self._frames if isinstance(frame, kind)]
