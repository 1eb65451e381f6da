"""Who lives here: the kinds of actors, and what of the world each is given."""

import logging
from collections.abc import Iterable
from uuid import UUID

from msgspec.structs import replace
from prometheus_client import Gauge

from actors import ActorId, Kind, Router
from kefu import logs
from kefu.agents import messages as agents
from kefu.agents import ports as agent_ports
from kefu.agents.actor import AgentActor
from kefu.agents.desks import PostgresDesks
from kefu.agents.staff.teams import known_teams
from kefu.audit.log import AuditLog
from kefu.cluster.cluster import Cluster
from kefu.conversations import cleanup
from kefu.conversations import messages as conversations
from kefu.conversations import ports as conversation_ports
from kefu.conversations.actor import ConversationActor
from kefu.conversations.announce import waiting_of
from kefu.conversations.cleanup import Cleanup
from kefu.conversations.store import PostgresChats
from kefu.delivery import agent_of, agent_topic, customer_topic
from kefu.dispatch import actor as dispatch_actor
from kefu.dispatch import messages as dispatch
from kefu.gateway.hub import Hub
from kefu.gateway.metrics import Metrics
from kefu.membership import instance_of
from kefu.recommendations import messages as recommendations
from kefu.recommendations.actor import ShardActor
from kefu.recommendations.actor import World as ShardWorld
from kefu.settings import Settings
from kefu.storage.errors import StoreUnavailable
from kefu.stores import Stores

log = logging.getLogger("kefu.app")


def make_router(
    settings: Settings,
    world: conversation_ports.World,
    stores: Stores,
    audit: AuditLog,
    hub: Hub,
    metrics: Metrics,
    cluster: Cluster,
    shards: ShardWorld,
) -> Router:
    """Not entered yet. Its actors live wherever the cluster says."""
    chats = PostgresChats(stores.pool)

    async def load_waiting() -> list[dispatch.Waiting]:
        """Who was handed to a team that is no more waits for anybody."""
        waiting = [waiting_of(chat) for chat in await chats.waiting()]
        teams = await known_teams(stores.pool)
        return [one if one.team_id in teams else replace(one, team_id=None) for one in waiting]

    desks = agent_ports.World(
        desks=PostgresDesks(stores.pool, chats.active, audit),
        publisher=world.publisher,
        clock=world.clock,
        entropy=world.entropy,
        connections_of=lambda agent_id: _connections_of(hub, agent_id),
        is_living=lambda connection_id: instance_of(connection_id) in cluster.slots.members,
        epoch_of=world.epoch_of,
        gone_after_s=settings.escalation.agent_gone_timeout_s,
    )
    stranded = Gauge(
        "kefu_stranded_conversations",
        "Left waiting though somebody free could have been offered them.",
        registry=metrics.registry,
    )
    queue = dispatch_actor.World(
        load_waiting,
        world.publisher,
        world.clock,
        world.entropy,
        agents_here=lambda: _agents_here((*hub.topics(), *cluster.bridge.topics())),
        mode=settings.assignment_mode,
        offer_s=settings.offer_timeout_s,
        load_busy=chats.busy_agents,
        on_stranded=stranded.set,
    )
    kinds = (
        Kind(conversations.KIND, lambda key: ConversationActor(UUID(key), world)),
        Kind(agents.KIND, lambda key: AgentActor(UUID(key), desks)),
        Kind(dispatch.KIND, lambda _key: dispatch_actor.QueueActor(queue)),
        Kind(recommendations.KIND, lambda key: ShardActor(int(key), shards)),
    )
    return Router(
        kinds,
        random=world.entropy.random,
        on_crash=note_crash,
        on_enter=logs.actor.set,
        transport=cluster.transport,
    )


def _agents_here(topics: Iterable[str]) -> set[UUID]:
    """The agents with a connection, by the topics somebody listens to."""
    found = (agent_of(topic) for topic in topics)
    return {agent_id for agent_id in found if agent_id is not None}


def make_cleanup(
    settings: Settings,
    world: conversation_ports.World,
    chats: PostgresChats,
    hub: Hub,
    cluster: Cluster,
    router: Router,
) -> Cleanup:
    """The job that ends chats everybody has left."""

    def is_here(customer_id: UUID) -> bool:
        topic = customer_topic(customer_id)
        return hub.count(topic) > 0 or cluster.bridge.is_heard(topic)

    around = cleanup.World(
        chats=chats,
        clock=world.clock,
        is_here=is_here,
        tell=lambda customer_id, message: router.ref(conversations.KIND, str(customer_id)).tell(
            message
        ),
    )
    return Cleanup(around, timeout_s=settings.silent_chat_timeout_s)


def _connections_of(hub: Hub, agent_id: UUID) -> list[str]:
    topic = agent_topic(agent_id)
    return [listener.id for listener in hub if topic in listener.topics]


def note_crash(actor: ActorId, error: BaseException) -> None:
    """Log it: an error where the actor is to blame, not the store. It begins anew either way."""
    if isinstance(error, StoreUnavailable):
        log.warning("actor_failed", extra={"actor": str(actor), "why": str(error)})
    else:
        log.error("actor_failed", exc_info=error, extra={"actor": str(actor)})
