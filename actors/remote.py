"""How a message reaches an actor that lives on another instance.

`Transport` is the port; here is also the one that joins several routers in one process. A tell
to another instance answers True once it is on its way: whether it was taken is known there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from actors.actor import ActorId
from actors.errors import ActorError, ActorStopped


class Deliver(Protocol):
    """A router's door for what comes from other instances."""

    def __call__(
        self, id: ActorId, message: object, *, within: float | None
    ) -> asyncio.Future[Any] | None:
        """Queue the message; with `within` (seconds) the future will hold the answer.

        Raises ActorError when it is refused.
        """
        ...


class Transport(Protocol):
    """Knows where actors live and carries messages there."""

    def is_local(self, id: ActorId) -> bool:
        """Whether this instance owns the actor."""
        ...

    def attach(self, deliver: Deliver) -> None:
        """Called by the router when it starts: deliver here what comes in."""
        ...

    def detach(self) -> None:
        """Called by the router when it ends."""
        ...

    def tell(self, id: ActorId, message: object) -> bool:
        """Send it to the owner; False when it cannot even be sent."""
        ...

    async def ask(self, id: ActorId, message: object, *, within: float) -> object:
        """Send it to the owner and return the answer. Raises ActorError."""
        ...


class Network:
    """Joins routers in one process. `place` says which instance owns an actor."""

    def __init__(self, place: Callable[[ActorId], str]) -> None:
        self.place = place
        self.doors: dict[str, Deliver] = {}

    def join(self, instance: str) -> InMemoryTransport:
        """The transport for the router that is to be called `instance`."""
        return InMemoryTransport(self, instance)


class InMemoryTransport:
    """One instance's end of the network. Keeps the order of what it sends."""

    def __init__(self, network: Network, instance: str) -> None:
        self._network = network
        self._instance = instance
        self._outgoing: deque[Callable[[], None]] = deque()

    def is_local(self, id: ActorId) -> bool:
        return self._network.place(id) == self._instance

    def attach(self, deliver: Deliver) -> None:
        self._network.doors[self._instance] = deliver

    def detach(self) -> None:
        self._network.doors.pop(self._instance, None)

    def tell(self, id: ActorId, message: object) -> bool:
        self._post(lambda: self._hand_over(id, message, None))
        return True

    async def ask(self, id: ActorId, message: object, *, within: float) -> object:
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._post(lambda: self._hand_over(id, message, (answer, within)))
        return await answer

    def _post(self, letter: Callable[[], None]) -> None:
        # The loop may run callbacks in any order, so they take from a queue.
        self._outgoing.append(letter)
        asyncio.get_running_loop().call_soon(lambda: self._outgoing.popleft()())

    def _hand_over(
        self,
        id: ActorId,
        message: object,
        question: tuple[asyncio.Future[object], float] | None,
    ) -> None:
        door = self._network.doors.get(self._network.place(id))
        within = None if question is None else question[1]
        try:
            if door is None:
                raise ActorStopped(f"the instance of {id} is gone; try again later")
            outcome = door(id, message, within=within)
        except ActorError as error:
            if question is not None and not question[0].done():
                question[0].set_exception(error)
            return
        if question is not None and outcome is not None:
            answer = question[0]
            outcome.add_done_callback(lambda done: _copy(done, answer))


def _copy(done: asyncio.Future[object], answer: asyncio.Future[object]) -> None:
    error = None if done.cancelled() else done.exception()
    if answer.done() or done.cancelled():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(done.result())
