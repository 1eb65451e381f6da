"""A context that records what an actor does, for tests of actors without a router."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from actors.actor import ActorId, Ref, Request
from actors.errors import Reason, error_for

R = TypeVar("R")
UNDER_TEST = ActorId("actor", "under-test")


@dataclass
class RecordingContext:
    """Hand it to an actor as `context`; move `clock` by hand; put answers into `answers`."""

    id: ActorId = UNDER_TEST
    clock: float = 0.0
    deadline: float | None = None
    told: list[tuple[ActorId, object]] = field(default_factory=list)
    asked: list[tuple[ActorId, object]] = field(default_factory=list)
    answers: dict[ActorId, Callable[[Any], object]] = field(default_factory=dict)
    refusing: set[ActorId] = field(default_factory=set)
    """Actors that refuse what is told to them."""
    reminders: dict[str, tuple[float, object]] = field(default_factory=dict)
    """By key: when it is due, and what it says."""
    spawned: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)
    spawn_limit: int = 4
    watched: dict[ActorId, object] = field(default_factory=dict)
    is_stopped: bool = False
    is_draining: bool = False
    is_evicted: bool = False

    @property
    def me(self) -> Ref[Any]:
        return self.ref(*self.id)

    def now(self) -> float:
        return self.clock

    def ref(self, kind: str, key: str) -> Ref[Any]:
        return RecordingRef(self, ActorId(kind, key))

    def remind(self, key: str, delay_s: float, message: Any) -> None:
        self.reminders[key] = (self.clock + delay_s, message)

    def forget(self, key: str) -> None:
        self.reminders.pop(key, None)

    def spawn(self, work: Callable[[], Awaitable[Any]], *, within: float) -> bool:
        if len(self.spawned) >= self.spawn_limit:
            return False
        self.spawned.append(work)
        return True

    def stop(self) -> None:
        self.is_stopped = True

    def watch(self, ref: Ref[Any], message: Any) -> None:
        self.watched[ref.id] = message

    async def run_spawned(self) -> list[object]:
        """Run the spawned work, oldest first, and return what would come back as messages."""
        results = []
        while self.spawned:
            result = await self.spawned.pop(0)()
            if result is not None:
                results.append(result)
        return results

    def advance(self, seconds: float) -> list[object]:
        """Move the clock; the messages of the reminders that came due, in order."""
        self.clock += seconds
        due = sorted((at, key) for key, (at, _) in self.reminders.items() if at <= self.clock)
        return [self.reminders.pop(key)[1] for _, key in due]


class RecordingRef:
    """Records what is told and asked; answers from the context's `answers`."""

    def __init__(self, context: RecordingContext, id: ActorId) -> None:
        self.id = id
        self._context = context

    def tell(self, message: Any, /) -> bool:
        if self.id in self._context.refusing:
            return False
        self._context.told.append((self.id, message))
        return True

    async def send(self, message: Any, /, *, within: float) -> None:
        if not self.tell(message):
            raise error_for(self.id, Reason.OVERFLOW)

    async def ask(self, message: Request[R], /, *, within: float) -> R:
        """Raises DeadlineExceeded when no answer was put in for this actor."""
        self._context.asked.append((self.id, message))
        answer = self._context.answers.get(self.id)
        if answer is None:
            raise error_for(self.id, Reason.EXPIRED)
        return cast(R, answer(message))
