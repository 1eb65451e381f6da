"""The directory in Redis: who lives, and who owns which slot.

Each instance says every second that it lives; who has not been heard for LEASE_S is dead, and all
its slots are free. So one call a second keeps every lease. Redis's own clock counts, nobody's wall
clock. What Redis forgets (a flush, a failover) is written again by the instances themselves; two
that then claim the same slot are told apart by PostgreSQL's epoch, never by Redis.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from kefu.cluster.placement import SLOT_COUNT
from kefu.cluster.ports import BusUnavailable, Member, View

LEASE_S: Final = 3.0
FORGET_AFTER_S: Final = 60.0
ANSWER_WITHIN_S: Final = 1.0

# KEYS: seen (zset), members (hash), owners (hash), version, asked (set: who is to leave)
_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# A number that was never there before: a flush, or a failover that lost the last changes, must not
# come to the numbers of what it forgot.
_CHANGED: Final = """
local function changed()
  local version = tonumber(redis.call('GET', KEYS[4]) or '0') + 1
  redis.call('SET', KEYS[4], string.format('%.0f', math.max(version, now)))
end
"""

_LIVING: Final = (
    _NOW
    + """
local function lives(id)
  local seen = redis.call('ZSCORE', KEYS[1], id)
  return seen and tonumber(seen) > now - tonumber(ARGV[1])
end
"""
)

# ARGV: lease_ms, me, member, known version, forget_ms
BEAT: Final = (
    _LIVING
    + _CHANGED
    + """
redis.call('ZADD', KEYS[1], now, ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[5]))) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
  redis.call('SREM', KEYS[5], id)
end
local asked = redis.call('SISMEMBER', KEYS[5], ARGV[2])
local members = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now - tonumber(ARGV[1]), '+inf')) do
  members[#members + 1] = id
  members[#members + 1] = redis.call('HGET', KEYS[2], id) or ''
end
local version = redis.call('GET', KEYS[4])
if not version then
  changed()
  version = redis.call('GET', KEYS[4])
end
if version == ARGV[4] then
  return {version, members, false, asked}
end
return {version, members, redis.call('HGETALL', KEYS[3]), asked}
"""
)

# ARGV: lease_ms, me, number of the gone, the gone ..., slots ...
ACQUIRE: Final = (
    _LIVING
    + _CHANGED
    + """
local gone = {}
local first = 4 + tonumber(ARGV[3])
for i = 4, first - 1 do gone[ARGV[i]] = true end
local taken = {}
for i = first, #ARGV do
  local owner = redis.call('HGET', KEYS[3], ARGV[i])
  if not owner or owner == ARGV[2] or gone[owner] or not lives(owner) then
    redis.call('HSET', KEYS[3], ARGV[i], ARGV[2])
    taken[#taken + 1] = tonumber(ARGV[i])
  end
end
if #taken > 0 then changed() end
return taken
"""
)

# ARGV: me, slot, owner, slot, owner ... A slot that nobody has was forgotten: it was mine to give.
HAND_OVER: Final = (
    _NOW
    + _CHANGED
    + """
for i = 2, #ARGV, 2 do
  local owner = redis.call('HGET', KEYS[3], ARGV[i])
  if not owner or owner == ARGV[1] then
    redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
  end
end
changed()
return 1
"""
)

# ARGV: me
LEAVE: Final = (
    _NOW
    + _CHANGED
    + """
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('SREM', KEYS[5], ARGV[1])
changed()
return 1
"""
)

# ARGV: lease_ms
LOOK: Final = (
    _LIVING
    + """
local members = {}
for _, id in ipairs(redis.call('HKEYS', KEYS[2])) do
  if lives(id) then
    members[#members + 1] = id
    members[#members + 1] = redis.call('HGET', KEYS[2], id)
  end
end
return {redis.call('GET', KEYS[4]) or '0', members, redis.call('HGETALL', KEYS[3])}
"""
)

# ARGV: lease_ms, who
ASK_TO_LEAVE: Final = (
    _LIVING
    + """
if not lives(ARGV[2]) then return 0 end
redis.call('SADD', KEYS[5], ARGV[2])
return 1
"""
)


class RedisDirectory:
    """See ports.Directory. `prefix` carries a hash tag, so that a Redis Cluster keeps the five
    keys on one node. Whoever is not heard for `lease_s` is dead."""

    def __init__(self, redis: "Redis", prefix: str, *, lease_s: float = LEASE_S) -> None:
        self._lease_ms = _ms(lease_s)
        self._keys = [prefix + name for name in ("seen", "members", "owners", "version", "asked")]
        self._beat = redis.register_script(BEAT)
        self._acquire = redis.register_script(ACQUIRE)
        self._hand_over = redis.register_script(HAND_OVER)
        self._leave = redis.register_script(LEAVE)
        self._look = redis.register_script(LOOK)
        self._ask_to_leave = redis.register_script(ASK_TO_LEAVE)

    async def beat(self, me: str, member: Member, known_version: int) -> View:
        described = msgspec.json.encode(member)
        arguments = [self._lease_ms, me, described, known_version, _ms(FORGET_AFTER_S)]
        version, members, owners, is_asked = await self._run(self._beat, arguments)
        return View(
            members=_members(members),
            version=int(version),
            owners=None if owners is None else _owners(owners),
            is_asked_to_leave=bool(is_asked),
        )

    async def acquire(
        self, me: str, slots: Collection[int], gone: Collection[str]
    ) -> tuple[int, ...]:
        arguments = [self._lease_ms, me, len(gone), *gone, *slots]
        return tuple(await self._run(self._acquire, arguments))

    async def hand_over(self, me: str, moves: Mapping[int, str]) -> None:
        pairs = [part for slot, owner in moves.items() for part in (slot, owner)]
        await self._run(self._hand_over, [me, *pairs])

    async def leave(self, me: str) -> None:
        await self._run(self._leave, [me])

    async def look(self) -> View:
        """How things are, for one who is no member. Raises BusUnavailable."""
        version, members, owners = await self._run(self._look, [self._lease_ms])
        return View(_members(members), int(version), _owners(owners))

    async def ask_to_leave(self, instance: str) -> bool:
        """It hears so with its next beat; False when it does not live. Raises BusUnavailable."""
        return bool(await self._run(self._ask_to_leave, [self._lease_ms, instance]))

    async def _run(self, script: Any, arguments: list[Any]) -> Any:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await script(keys=self._keys, args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            raise BusUnavailable("Redis does not answer.") from error


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _members(flat: list[bytes]) -> dict[str, Member]:
    members: dict[str, Member] = {}
    for name, described in zip(flat[::2], flat[1::2], strict=True):
        try:
            members[name.decode()] = msgspec.json.decode(described, type=Member)
        except msgspec.MsgspecError:  # of another version, which we cannot read: it lives
            members[name.decode()] = Member(name.decode())
    return members


def _owners(answer: Any) -> dict[int, str]:
    pairs = (
        answer.items() if isinstance(answer, dict) else zip(answer[::2], answer[1::2], strict=True)
    )
    owners = {int(slot): owner.decode() for slot, owner in pairs}
    return {slot: owner for slot, owner in owners.items() if 0 <= slot < SLOT_COUNT}
