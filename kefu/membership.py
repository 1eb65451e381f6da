"""Makes this process a member of the cluster: which parts speak through what, under which name."""

import os
import socket
from collections.abc import Callable
from typing import Any, Final

from kefu import __version__
from kefu.agents import messages as agents
from kefu.catalogue.messages import Catalogue
from kefu.clock import Clock
from kefu.cluster.bridge import SEPARATOR
from kefu.cluster.cluster import Cluster
from kefu.cluster.codec import Codec
from kefu.cluster.directory import RedisDirectory
from kefu.cluster.ports import Member
from kefu.cluster.redis_bus import RedisBus
from kefu.cluster.store import PostgresClaims
from kefu.conversations import messages as conversations
from kefu.delivery import Origin
from kefu.dispatch import messages as dispatch
from kefu.entropy import Entropy
from kefu.gateway.hub import Hub
from kefu.gateway.metrics import Metrics
from kefu.recommendations import messages as recommendations
from kefu.recommendations.opening import Around, Recommending
from kefu.settings import Settings
from kefu.stores import Stores
from protocol.codes import ERRORS, ErrorCode
from protocol.server import Error, Fault

KINDS: Final[dict[str, Any]] = {
    conversations.KIND: conversations.ConversationMessage,
    agents.KIND: agents.AgentMessage,
    dispatch.KIND: dispatch.QueueMessage,
    recommendations.KIND: recommendations.ShardMessage,
}
RETRY_AFTER_S: Final = 1.0


def instance_name() -> str:
    """This process, for people."""
    return f"{socket.gethostname()}:{os.getpid()}"


async def make_cluster(
    stores: Stores,
    hub: Hub,
    clock: Clock,
    entropy: Entropy,
    *,
    on_changed: Callable[[frozenset[int]], None],
    on_missed: Callable[[], None],
) -> Cluster:
    """Not running yet. Its id is new with every process. Raises StoreUnavailable.

    The database's identity is part of every Redis name: two shops may share one Redis.
    """
    claims = PostgresClaims(stores.pool)
    prefix = await _prefix(claims)

    def undelivered(message: object) -> None:
        """A request that was told and came to nothing: whoever sent it is to try again."""
        origin: Origin | None = getattr(message, "origin", None)
        if origin is not None:
            chat_id = getattr(message, "chat_id", None)
            code = ErrorCode.OVERLOADED
            fault = Fault(code, ERRORS[code].sentence, chat_id, RETRY_AFTER_S)
            cluster.bridge.reply(origin, Error(fault, clock.now(), origin.frame_id))

    cluster = Cluster(
        entropy.token(9),
        Member(instance_name(), version=__version__),
        bus=RedisBus(stores.redis),
        directory=RedisDirectory(stores.redis, prefix),
        claims=claims,
        prefix=prefix,
        audience=hub,
        codec=Codec(KINDS),
        on_undelivered=undelivered,
        on_changed=on_changed,
        on_missed=on_missed,
    )
    cluster.slots.count_connections = lambda: len(hub)
    hub.on_topic = lambda topic, is_on: cluster.bridge.listening(topic, is_on=is_on)
    return cluster


def make_recommending(
    settings: Settings,
    stores: Stores,
    cluster: Cluster,
    catalogue: Catalogue,
    clock: Clock,
    metrics: Metrics,
) -> Recommending:
    """Not running yet. Snapshots are in a folder of this database: of another they say nothing."""
    chosen = settings.recommendations
    directory = chosen.reco_dir or settings.data_dir / "recommendations"
    return Recommending(
        Around(
            settings=chosen,
            pool=stores.pool,
            redis=stores.redis,
            redis_url=stores.addresses.redis_url.reveal(),
            prefix=cluster.prefix,
            catalogue=catalogue,
            clock=clock,
            registry=metrics.registry,
            folder=directory / cluster.prefix.strip("{}:").partition(":")[2],
            machine=socket.gethostname(),
        )
    )


async def directory_of(stores: Stores) -> RedisDirectory:
    """For whoever looks at the cluster without being a member. Raises StoreUnavailable."""
    return RedisDirectory(stores.redis, await _prefix(PostgresClaims(stores.pool)))


async def _prefix(claims: PostgresClaims) -> str:
    return f"{{kefu:{await claims.identity()}}}:"


def instance_of(connection_id: str) -> str:
    """Which instance a connection is on."""
    return connection_id.partition(SEPARATOR)[0]
