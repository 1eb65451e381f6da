"""The log of views in Redis: a stream for each shard, the durable record between two snapshots.

What is answered with `recorded` is in Redis. A view is remembered for a day, so that it counts once
however often it is sent; it is in the log only as long as some instance's snapshot may lack it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import anyio
import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from kefu.clock import Clock
from kefu.recommendations import scripts
from kefu.recommendations.messages import Join, Recorded, View
from kefu.recommendations.ports import LogUnavailable, Positions
from kefu.recommendations.shards import KEYS
from kefu.recommendations.views import packed
from kefu.storage.redis_calls import RedisCalls

ANSWER_WITHIN_S: Final = 2.0
VIEWS_PER_CALL: Final = 250
"""So that neither Redis nor the loop is held for more than a few milliseconds."""
REMEMBERED_S: Final = 24 * 3600
JOINED_S: Final = 30 * 24 * 3600
PACE_S: Final = 120
READ_ENTRIES: Final = 64
READ_BYTES: Final = 1024 * 1024
SNAPSHOT_LIVES_S: Final = 7 * 24 * 3600
START: Final = "0-0"
STREAMS: Final = tuple(f"views:{key}" for key in KEYS)
_OUTCOMES: Final[tuple[Recorded, ...]] = ("recorded", "seen_today", "too_many")


class Portion(Struct, frozen=True):
    """What is new in one stream, up to the entry of that id."""

    stream: str
    last_id: str
    views: bytes
    joins: tuple[bytes, ...]


class Snapshot(Struct, frozen=True, array_like=True):
    """What an instance has on its disk."""

    positions: dict[str, str]
    at: float


class ViewLog:
    """`prefix` begins every key; `per_minute` is how many views of one viewer count in a minute.

    Every method raises LogUnavailable.
    """

    def __init__(self, redis: "Redis", prefix: str, clock: Clock, per_minute: int) -> None:
        self._redis: Any = redis
        self._calls = RedisCalls(redis)
        self._prefix = prefix
        self._clock = clock
        self._per_minute = per_minute
        self._read = redis.register_script(scripts.READ)
        self._heads = redis.register_script(scripts.HEADS)
        self._streams = tuple(f"{prefix}{stream}" for stream in STREAMS)

    # --- by the owner of a shard ------------------------------------------------------------------

    async def record(self, shard: int, views: Sequence[View]) -> list[Recorded]:
        """Write down those that count, at most VIEWS_PER_CALL: all of it happens, or nothing."""
        minute = int(self._clock.now().timestamp()) // 60
        seen = [f"{self._prefix}seen:{view.viewer.hex}:{view.product}" for view in views]
        paces = [f"{self._prefix}pace:{view.viewer.hex}:{minute}" for view in views]
        keys, raw = [self._streams[shard], *seen, *paces], packed(views).tobytes()
        args: list[int | bytes] = [REMEMBERED_S, self._per_minute, PACE_S, raw]
        with answered(ANSWER_WITHIN_S):
            outcomes = await self._calls.run(scripts.RECORD, keys, args)
        return [_OUTCOMES[outcome] for outcome in outcomes]

    async def join(self, shard: int, join: Join) -> bool:
        """False where the guest has been joined to that guest, or to any customer, already."""
        joined = f"{self._prefix}joined:{join.guest.hex}"
        if join.is_guest:
            joined += f":{join.customer.hex}"
        keys = [self._streams[shard], joined]
        with answered(ANSWER_WITHIN_S):
            told = join.guest.bytes + join.customer.bytes + bytes([join.is_guest])
            args: list[int | bytes] = [JOINED_S, told]
            return bool(await self._calls.run(scripts.JOIN, keys, args))

    async def trim(self, shard: int) -> int:
        """Drop what every snapshot has; where there is none, what is older than a day."""
        with answered(ANSWER_WITHIN_S):
            noted = await self._redis.hgetall(f"{self._prefix}snapshots")
            floor = self._floor(STREAMS[shard], noted.values())
            key = self._streams[shard]
            return int(await self._redis.xtrim(key, minid=floor, approximate=True))

    def _floor(self, stream: str, noted: Sequence[bytes]) -> str:
        now = self._clock.now().timestamp()
        snapshots = [_snapshot(raw, now) for raw in noted]
        living = [each for each in snapshots if now - each.at < SNAPSHOT_LIVES_S]
        if not living:
            return f"{int((now - REMEMBERED_S) * 1000)}-0"
        return min((each.positions.get(stream, START) for each in living), key=order)

    async def note_snapshot(self, name: str, positions: Mapping[str, str]) -> None:
        """`name` has everything up to there on its disk."""
        snapshot = Snapshot(dict(positions), self._clock.now().timestamp())
        with answered(ANSWER_WITHIN_S):
            key = f"{self._prefix}snapshots"
            await self._redis.hset(key, name, msgspec.msgpack.encode(snapshot))

    # --- by everybody -----------------------------------------------------------------------------

    async def read(self, positions: Positions) -> tuple[list[Portion], bool]:
        """What is new since these positions, and whether that is not all of it."""
        after = [positions.get(stream, START) for stream in STREAMS]
        with answered(ANSWER_WITHIN_S):
            args: list[int | str] = [READ_ENTRIES, READ_BYTES, *after]
            has_more, found = await self._read(keys=self._streams, args=args)
        portions = [
            Portion(STREAMS[place], last_id.decode(), views, tuple(joins))
            for place, last_id, views, joins in found
        ]
        return portions, bool(has_more)

    async def wait(self, positions: Positions, *, within_s: float) -> None:
        """Return when there is something new, or when the time is over."""
        after = {
            key: positions.get(stream, START)
            for key, stream in zip(self._streams, STREAMS, strict=True)
        }
        with answered(within_s + ANSWER_WITHIN_S):
            await self._redis.xread(after, count=1, block=int(within_s * 1000))

    async def heads(self) -> Positions:
        """The last id that each stream has given."""
        with answered(ANSWER_WITHIN_S):
            heads = await self._heads(keys=self._streams)
        return {stream: head.decode() for stream, head in zip(STREAMS, heads, strict=True)}


def order(id: str) -> tuple[int, int]:
    """By it the ids of a stream are in order."""
    milliseconds, _, number = id.partition("-")
    return int(milliseconds), int(number or 0)


def _snapshot(raw: bytes, now: float) -> Snapshot:
    """What a newer version wrote otherwise has nothing, as far as we know: nothing is dropped."""
    try:
        return msgspec.msgpack.decode(raw, type=Snapshot)
    except msgspec.MsgspecError:
        return Snapshot({}, now)


@contextmanager
def answered(within_s: float) -> Iterator[None]:
    """Raise LogUnavailable for whatever Redis does not do in time."""
    try:
        with anyio.fail_after(within_s):
            yield
    except (RedisError, OSError, TimeoutError) as error:
        raise LogUnavailable(type(error).__name__) from error
