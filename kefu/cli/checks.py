"""The checks of `kefu doctor`, each of one thing."""

import resource
import shutil
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, NamedTuple

from redis.exceptions import RedisError

from kefu.cli import store
from kefu.clock import Clock
from kefu.secret import SecretUrl
from kefu.settings import Settings
from kefu.storage import migrate
from kefu.storage.database import connected, open_pool
from kefu.storage.errors import MigrationError, StoreUnavailable
from kefu.storage.redis import open_redis

GIB = 1024**3
DESCRIPTORS_BESIDE_SOCKETS = 512
OLDEST_POSTGRESQL = 150000
OLDEST_REDIS = 7
SKEW_WARN = timedelta(seconds=2)
SKEW_FAIL = timedelta(seconds=30)


class Check(NamedTuple):
    """What was looked at, the verdict, what was found, and what to do about it."""

    name: str
    verdict: Literal["ok", "warn", "fail"]
    found: str
    advice: str = ""


def descriptors(settings: Settings) -> Check:
    """Every socket needs a file descriptor."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.max_connections + DESCRIPTORS_BESIDE_SOCKETS
    found = f"{soft} file descriptors for {settings.max_connections} connections"
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return Check("descriptors", "ok", found)
    return Check(
        "descriptors", "warn", found, f"Raise it (`ulimit -n {needed}`) or KEFU_MAX_CONNECTIONS."
    )


def disk(settings: Settings) -> Check:
    """PostgreSQL stops taking messages when the disk is full."""
    place = settings.data_dir.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free / GIB:.1f} GiB free at {place}"
    if free < GIB / 4:
        return Check("disk", "fail", found, "Make room before it is full.")
    if free < 2 * GIB:
        return Check("disk", "warn", found, "Make room soon.")
    return Check("disk", "ok", found)


async def database(url: SecretUrl, settings: Settings, clock: Clock) -> list[Check]:
    """Reachable, new enough, durable, of the right schema, and of the same time of day."""
    try:
        async with (
            await open_pool(url.reveal(), min_size=1, max_size=1) as pool,
            connected(pool) as connection,
        ):
            before = clock.now()
            server = await store.describe(connection)
            middle = before + (clock.now() - before) / 2
            migrations = await migrate.status(connection)
    except StoreUnavailable as error:
        return [Check("postgresql", "fail", str(error), "Check KEFU_DATABASE_URL and the server.")]
    except MigrationError as error:
        return [Check("schema", "fail", str(error), "Run the version of kefu that fits.")]
    return [
        _version_of(server),
        _durability_of(server),
        _pool_fits(server, settings),
        _schema(sum(each.applied_at is None for each in migrations), len(migrations)),
        _skew(abs(server.now - middle)),
    ]


def _version_of(server: store.Server) -> Check:
    found = f"PostgreSQL {server.version // 10000}.{server.version % 10000}, {server.encoding}"
    if server.version < OLDEST_POSTGRESQL:
        return Check("postgresql", "fail", found, "kefu needs PostgreSQL 15 or newer.")
    if server.encoding != "UTF8":
        return Check("postgresql", "fail", found, "Create the database with encoding UTF8.")
    return Check("postgresql", "ok", found)


def _durability_of(server: store.Server) -> Check:
    found = f"fsync {server.fsync}, synchronous_commit {server.synchronous_commit}"
    if server.fsync != "on" or server.synchronous_commit == "off":
        return Check("durability", "fail", found, "Turn both on: acknowledged messages can vanish.")
    return Check("durability", "ok", found)


def _pool_fits(server: store.Server, settings: Settings) -> Check:
    needed = settings.database_pool_size * settings.workers
    found = f"{needed} of {server.max_connections} connections"
    if needed > server.max_connections - 10:
        advice = "Lower KEFU_DATABASE_POOL_SIZE or KEFU_WORKERS, or raise max_connections."
        return Check("connections", "fail", found, advice)
    return Check("connections", "ok", found)


def _schema(missing: int, known: int) -> Check:
    if missing:
        found = f"{missing} of {known} migrations are not applied"
        return Check("schema", "warn", found, "`kefu db upgrade`, or start `kefu serve`.")
    return Check("schema", "ok", f"all {known} migrations are applied")


def _skew(skew: timedelta) -> Check:
    found = f"{skew.total_seconds():.1f} s between this machine and the database"
    advice = "Let both keep time by NTP."
    if skew > SKEW_FAIL:
        return Check("clock", "fail", found, advice)
    return (
        Check("clock", "warn", found, advice) if skew > SKEW_WARN else Check("clock", "ok", found)
    )


async def redis(url: SecretUrl) -> list[Check]:
    """Reachable, new enough, and never throwing leases or views away."""
    try:
        async with open_redis(url.reveal()) as client:
            server: Mapping[str, Any] = await client.info()
    except (RedisError, OSError) as error:
        found = f"{type(error).__name__} at {url}"
        return [Check("redis", "fail", found, "Check KEFU_REDIS_URL and the server.")]
    return [_redis_version(server), _redis_policy(str(server.get("maxmemory_policy", "unknown")))]


def _redis_version(server: Mapping[str, Any]) -> Check:
    version = str(server.get("valkey_version") or server.get("redis_version") or "0")
    found = f"{'Valkey' if 'valkey_version' in server else 'Redis'} {version}"
    if int(version.partition(".")[0]) < OLDEST_REDIS:
        return Check("redis", "fail", found, "kefu needs Redis 7 or newer.")
    return Check("redis", "ok", found)


def _redis_policy(policy: str) -> Check:
    found = f"maxmemory-policy {policy}"
    if policy.startswith("allkeys"):
        advice = "Set maxmemory-policy noeviction: leases and views must not be thrown away."
        return Check("redis policy", "fail", found, advice)
    return Check("redis policy", "ok", found)
