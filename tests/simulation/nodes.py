"""The machines kefu runs on: which process lives where, and what is done to it."""

from asyncio import Task
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from kefu.cluster.placement import slot_of
from kefu.storage.errors import StoreUnavailable
from tests.simulation.instance import Instance, NotReady
from tests.simulation.loop import Process
from tests.simulation.weather import Surprise

if TYPE_CHECKING:
    from tests.simulation.world import World

GONE: Final = (StoreUnavailable, OSError, asyncpg.PostgresConnectionError, Surprise, NotReady)
STOPPED_WITHIN_S: Final = 40.0
BOOT_S: Final = 0.3
NODES_AT_MOST: Final = 5


class Node:
    """One machine; its process may be down for a while."""

    def __init__(self) -> None:
        self.instance: Instance | None = None


class Nodes:
    def __init__(self, world: "World", count: int) -> None:
        self._world = world
        self._random = Random(f"{world.seed} nodes")
        self._nodes = [Node() for _ in range(count)]
        self._process_count = 0
        self.shunned: Instance | None = None
        """Nobody is sent there."""

    # --- who is there -----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def living(self) -> list[Instance]:
        return [node.instance for node in self._nodes if node.instance is not None]

    @property
    def open(self) -> list[Instance]:
        """Those that let people in."""
        return [each for each in self.living if each.is_open and not each.is_leaving]

    def pick(self) -> Instance | None:
        """Whom a load balancer sends somebody to: it does not know who sleeps."""
        found = [each for each in self.open if each is not self.shunned]
        return self._random.choice(found) if found else None

    def named(self, name: str) -> Instance | None:
        return next((each for each in self.living if each.process.name == name), None)

    def owner(self, key: str) -> Instance | None:
        """Who holds the actors of that key to be theirs."""
        slot = slot_of(key)
        return next((each for each in self.open if each.cluster.slots.is_mine(slot)), None)

    def _victim(self, name: str | None) -> Instance | None:
        if self._world.is_calm:
            return None
        if name is not None:
            return self.named(name)
        awake = [each for each in self.living if not each.process.is_paused]
        found = awake or self.living
        return self._random.choice(found) if found else None

    # --- incarnations -----------------------------------------------------------------------------

    def begin(self) -> None:
        for node in self._nodes:
            self._boot(node)

    def join(self) -> None:
        """One machine more."""
        if len(self._nodes) < NODES_AT_MOST:
            node = Node()
            self._nodes.append(node)
            self._boot(node)

    def _boot(self, node: Node) -> None:
        world = self._world
        if world.loop.is_over:
            return
        self._process_count += 1
        process = Process(f"kefu-{self._process_count}")
        world.note(process.name, "info", "starts")
        instance = node.instance = Instance(process, world)
        task = world.loop.create_task(instance.run(), context=process.context.copy())
        task.add_done_callback(
            lambda done: self._ended(node, instance, done), context=world.context
        )

    def _ended(self, node: Node, instance: Instance, task: "Task[None]") -> None:
        world, process = self._world, instance.process
        if process.is_dead or task.cancelled():
            return
        world.note(process.name, "info", "ended")
        for error in _leaves(task.exception()):
            if not isinstance(error, GONE):
                world.violate("I15", f"{process.name} ended with {error!r}")
        world.loop.kill(process)
        if node.instance is instance:
            node.instance = None
            world.later(BOOT_S, self._boot, node)

    # --- what is done to them ---------------------------------------------------------------------

    def crash(self, down_s: float, name: str | None = None) -> None:
        """kill -9 of some process, or of the named one, now; another incarnation after so long."""
        instance = self._victim(name)
        if instance is None:
            return
        world, random = self._world, self._world.entropy.random
        world.note(instance.process.name, "fault", "killed")
        node = next(each for each in self._nodes if each.instance is instance)
        node.instance = None
        links = world.network.of(instance.process)
        world.loop.kill(instance.process)
        for link in links:
            if random.random() < 0.5:
                link.server_is_done()
            else:
                link.cut(0.0, None if random.random() < 0.1 else 0.0)
        world.later(down_s, self._boot, node)

    def stop(self) -> None:
        """SIGTERM to some process; another incarnation when this one has ended."""
        instance = self._victim(None)
        if instance is not None and instance.is_open and not instance.process.is_paused:
            self._world.note(instance.process.name, "fault", "stopped")
            instance.stop()
            self._world.later(STOPPED_WITHIN_S, self._must_be_gone, instance)

    def _must_be_gone(self, instance: Instance) -> None:
        if not instance.process.is_dead:
            self._world.violate("I15", f"{instance.process.name} did not stop in time")

    def pause(self, for_s: float, name: str | None = None) -> None:
        """SIGSTOP, and SIGCONT after so long."""
        instance = self._victim(name)
        if instance is None or instance.process.is_paused:
            return
        process = instance.process
        self._world.note(process.name, "fault", "paused", f"{for_s:.1f} s")
        self._world.loop.pause(process)
        self._world.later(for_s, self.wake, process)

    def wake(self, process: Process) -> None:
        if process.is_paused:
            self._world.note(process.name, "info", "goes on")
            self._world.loop.go_on(process)
        if self.shunned is not None and self.shunned.process is process:
            self.shunned = None

    def wake_all(self) -> None:
        for instance in self.living:
            self.wake(instance.process)


def _leaves(error: BaseException | None) -> Iterator[Any]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    elif error is not None:
        yield error
