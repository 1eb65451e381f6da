"""The owner of a shard: writes its products' views down, publishes what goes with them, trims.

It keeps nothing: what it promised is in Redis before it answers. While one call to Redis is on its
way letters queue up, and the next call takes them together.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec import Struct

from actors import Actor, ActorUnavailable, Letter
from kefu.recommendations.messages import Join, Record, Recorded, ShardMessage, Tick, View
from kefu.recommendations.ports import LogUnavailable
from kefu.recommendations.stream import VIEWS_PER_CALL, ViewLog

TICK_S: Final = 1.0
TRIM_EVERY_TICKS: Final = 60
TICK_WITHIN_S: Final = 10.0
log = logging.getLogger("kefu.recommendations")


class World(Struct, frozen=True):
    """`publish` publishes what goes with some changed products of a shard. It never raises."""

    log: ViewLog
    publish: Callable[[int], Awaitable[object]]


class ShardActor(Actor[ShardMessage]):
    mailbox_limit = 4096
    idle_timeout_s = None
    batch_limit = 64

    def __init__(self, shard: int, world: World) -> None:
        self._shard = shard
        self._world = world
        self._ticks_untrimmed = 0
        self._is_at_it = False

    async def on_activate(self) -> None:
        self.context.remind("tick", TICK_S, Tick())

    async def receive_batch(self, letters: Sequence[Letter[ShardMessage]]) -> None:
        records: list[tuple[Letter[ShardMessage], Record]] = []
        for letter in letters:
            match letter.message:
                case Record() as record:
                    records.append((letter, record))
                case Join() as join:
                    await self._join(letter, join)
                case Tick():
                    self._tick()
        await self._record(records)

    async def _record(self, asked: Sequence[tuple[Letter[ShardMessage], Record]]) -> None:
        """Whoever's views were not all written down is told so, and may send all of them again."""
        outcomes = await self._written([view for _, record in asked for view in record.views])
        start = 0
        for letter, record in asked:
            end = start + len(record.views)
            if end <= len(outcomes):
                letter.reply(tuple(outcomes[start:end]))
            else:
                letter.fail(self._unavailable())
            start = end

    async def _written(self, views: Sequence[View]) -> list[Recorded]:
        """What became of them, or of the first of them."""
        outcomes: list[Recorded] = []
        try:
            for start in range(0, len(views), VIEWS_PER_CALL):
                some = views[start : start + VIEWS_PER_CALL]
                outcomes += await self._world.log.record(self._shard, some)
        except LogUnavailable as error:
            log.warning("views_unwritten", extra={"shard": self._shard, "reason": str(error)})
        return outcomes

    async def _join(self, letter: Letter[ShardMessage], join: Join) -> None:
        try:
            letter.reply(await self._world.log.join(self._shard, join))
        except LogUnavailable:
            letter.fail(self._unavailable())

    def _unavailable(self) -> ActorUnavailable:
        return ActorUnavailable(f"shard {self._shard} cannot write views now; try again later")

    def _tick(self) -> None:
        if self.context.is_draining:
            return
        self.context.remind("tick", TICK_S, Tick())
        self._ticks_untrimmed += 1
        if not self._is_at_it:  # beside the mailbox: views do not wait for it
            self._is_at_it = self.context.spawn(self._work, within=TICK_WITHIN_S)

    async def _work(self) -> None:
        try:
            await self._world.publish(self._shard)
            if self._ticks_untrimmed >= TRIM_EVERY_TICKS:
                self._ticks_untrimmed = 0
                await self._world.log.trim(self._shard)
        except LogUnavailable:
            log.warning("views_untrimmed", extra={"shard": self._shard})
        finally:
            self._is_at_it = False
