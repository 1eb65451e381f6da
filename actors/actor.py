"""An actor owns its state alone and takes its messages one at a time, in order.

A full mailbox refuses the message and tells the sender so: `tell` never waits, so two actors
writing to each other can never hold each other up. An actor that asks itself, or asks in a
circle, waits until the deadline: every ask has one.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio

    from actors.errors import ActorError

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)
R = TypeVar("R")


class ActorId(NamedTuple):
    """The address of an actor. It always exists: the first message brings the actor to life."""

    kind: str
    key: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.key}"


class Request(Generic[R]):
    """Marks a message whose answer is an `R`: `class Accept(Request[Status], Struct): ...`.

    It has no fields and no metaclass of its own, so it mixes with msgspec structs (in either
    order), dataclasses and plain classes.
    """

    __slots__ = ()


class Repeatable:
    """Marks a request that may safely be handled twice: its answer is the same the second time.

    When the instance that was asked is gone, it is asked again of the actor's next owner.
    """

    __slots__ = ()
    may_repeat: ClassVar[bool] = True


class Letter(Generic[M]):
    """A message with what its sender wants to know about it."""

    __slots__ = ("_future", "crashes", "deadline", "is_foreign", "message", "settled")

    message: M
    deadline: float
    """Loop time after which nobody waits any more; `math.inf` when nobody asked."""

    def __init__(
        self,
        message: M,
        deadline: float = math.inf,
        future: asyncio.Future[Any] | None = None,
        *,
        is_foreign: bool = False,
    ) -> None:
        self.message = message
        self.deadline = deadline
        self._future = future
        self.is_foreign = is_foreign
        self.crashes = 0
        self.settled = False

    @property
    def answer(self) -> asyncio.Future[Any] | None:
        """Where the asker waits, if there is one."""
        return self._future

    def reply(self, value: object) -> None:
        """Answer the asker. The first reply or fail counts; without an asker it is ignored."""
        if self.settled:
            return
        self.settled = True
        future = self._future
        if future is not None and not future.done():
            future.set_result(value)

    def fail(self, error: ActorError) -> None:
        """Give the asker this error instead of an answer."""
        if self.settled:
            return
        self.settled = True
        future = self._future
        if future is not None and not future.done():
            future.set_exception(error)

    @property
    def is_asked(self) -> bool:
        """Whether somebody still waits for the answer."""
        return self._future is not None and not self._future.done()


class Ref(Protocol[M_contra]):
    """Where one actor's messages go. Cheap, and outlives restarts and passivation."""

    @property
    def id(self) -> ActorId: ...

    def tell(self, message: M_contra, /) -> bool:
        """Queue the message; never waits, never raises.

        False when it was refused: mailbox full, actor quarantined, instance stopping.
        """
        ...

    async def send(self, message: M_contra, /, *, within: float) -> None:
        """Queue the message, waiting up to `within` seconds for room.

        Raises MailboxFull, ActorUnavailable or ActorStopped.
        """
        ...

    async def ask(self, message: Request[R], /, *, within: float) -> R:
        """Send the message and return what the actor answers within so many seconds.

        Inside an actor the deadline of the message being handled still counts: the earlier wins.
        Raises DeadlineExceeded, MailboxFull, ActorUnavailable, ActorCrashed or ActorStopped.
        """
        ...


class Context(Protocol[M_contra]):
    """All an actor may do to the world; tests hand in a recording one."""

    @property
    def me(self) -> Ref[M_contra]: ...

    @property
    def deadline(self) -> float | None:
        """Loop time until which the sender of the current message waits; None if nobody does."""
        ...

    @property
    def is_draining(self) -> bool:
        """Whether I am passivated as soon as nothing waits for me: then wake nobody who would wake
        me again."""
        ...

    @property
    def is_evicted(self) -> bool:
        """Whether I live elsewhere by now, or here again as another: what is in hand is ended as it
        was begun, and nothing is begun anew."""
        ...

    def now(self) -> float:
        """Loop time in seconds: for measuring spans, not a time of day."""
        ...

    def ref(self, kind: str, key: str) -> Ref[Any]: ...

    def remind(self, key: str, delay_s: float, message: M_contra) -> None:
        """Tell me this message after the delay. The same key again replaces the earlier one.

        A reminder survives restart and passivation (it wakes the actor) but not the process.
        Raises LimitReached beyond 256 keys.
        """
        ...

    def forget(self, key: str) -> None:
        """Drop the reminder, if there is one."""
        ...

    def spawn(self, work: Callable[[], Awaitable[M_contra | None]], *, within: float) -> bool:
        """Run slow work beside the mailbox; what it returns comes to me as a message.

        False when four are already running. Work that fails or takes longer than `within`
        seconds is reported and sends nothing: work whose failure matters returns a message
        that says so.
        """
        ...

    def stop(self) -> None:
        """End this actor after the current message; what is queued is refused as stopped."""
        ...

    def watch(self, ref: Ref[Any], message: M_contra) -> None:
        """Tell me this message once, when that actor stops itself or is quarantined.

        Not when it is passivated: it can still be reached then. Only actors on this instance.
        """
        ...


class Actor(Generic[M]):
    """The base of every actor: override `receive`, and what else you need."""

    mailbox_limit: ClassVar[int] = 256
    """Messages that may wait; further ones are refused."""
    idle_timeout_s: ClassVar[float | None] = 120.0
    """Passivated after so long without a message; None: never."""
    batch_limit: ClassVar[int] = 1
    """Above 1 `receive_batch` is called with up to so many letters."""

    context: Context[M]
    """Set before `on_activate`."""

    async def on_activate(self) -> None:
        """Load the state; messages wait in the mailbox meanwhile."""

    async def receive(self, message: M) -> object:
        """Handle one message; the returned value answers an ask."""
        raise NotImplementedError

    async def receive_batch(self, letters: Sequence[Letter[M]]) -> None:
        """Handle several letters at once.

        When it raises, every letter not yet replied to is given again, one by one. A letter
        left without reply may be replied to later; its asker waits until its deadline.
        """
        for letter in letters:
            letter.reply(await self.receive(letter.message))

    async def on_passivate(self) -> None:
        """Save what must be kept before the state is forgotten.

        NOT called when the actor crashes, when the process dies, or when stopping the router
        took too long: whatever was promised to a sender must be saved in `receive`.
        """

    def may_passivate(self) -> bool:
        """Whether it may be forgotten now, e.g. not while a socket is attached."""
        return True
