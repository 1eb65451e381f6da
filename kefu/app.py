"""The one place where everything is made and joined, in the order it starts; it stops in reverse.

stores -> schema -> ownership -> journal -> actors -> routes. Nothing below this module finds its
parts by itself: it is handed them.
"""

import logging
import os
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

import anyio
import asyncpg
from msgspec import Struct
from msgspec.structs import replace
from prometheus_client import Gauge
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from actors import ActorId, Kind, Router
from kefu import logs
from kefu.agents import messages as agents
from kefu.agents import ports as agent_ports
from kefu.agents import routes as agent_routes
from kefu.agents.accounts import Accounts, ensure_secrets
from kefu.agents.actor import AgentActor
from kefu.agents.desks import PostgresDesks
from kefu.agents.guard import Guard
from kefu.agents.passwords import Passwords
from kefu.agents.presences import ActorPresences
from kefu.agents.staff import ports as staff_ports
from kefu.agents.staff import routes as staff_routes
from kefu.agents.staff.own_account import OwnAccount
from kefu.agents.staff.roster import Roster
from kefu.agents.staff.teams import Teams, known_teams
from kefu.agents.tokens import Tokens
from kefu.audit import routes as audit_routes
from kefu.audit.log import AuditLog
from kefu.clock import Clock, SystemClock
from kefu.conversations import cleanup
from kefu.conversations import messages as conversations
from kefu.conversations import ports as conversation_ports
from kefu.conversations.actor import ConversationActor
from kefu.conversations.announce import waiting_of
from kefu.conversations.cleanup import Cleanup
from kefu.conversations.live import LiveChats
from kefu.conversations.store import PostgresChats
from kefu.delivery import agent_of, agent_topic, customer_topic
from kefu.dispatch import actor as dispatch_actor
from kefu.dispatch import messages as dispatch
from kefu.entropy import Entropy, SystemEntropy
from kefu.gateway import chat_routes, health, pages, server
from kefu.gateway.body_limit import BodyLimit
from kefu.gateway.door import Door
from kefu.gateway.drain import Drain
from kefu.gateway.http_metrics import HttpMetrics
from kefu.gateway.hub import Hub
from kefu.gateway.idle import close_idle
from kefu.gateway.metrics import Metrics, Reading
from kefu.gateway.ports import Backstage
from kefu.gateway.problems import EXCEPTION_HANDLERS
from kefu.gateway.sessions import close_session, watch_sessions
from kefu.gateway.shop_pages import ShopPages
from kefu.settings import Settings
from kefu.storage import migrate
from kefu.storage.database import CONNECT_LIMIT_S, connected, translated
from kefu.storage.journal import Journal
from kefu.storage.ownership import claim_slots, hold_database
from kefu.storage.pings import ping_postgres, ping_redis
from kefu.stores import Stores, open_stores
from kefu.welcome import tell_progress, welcome

BODY_BYTES = 1024 * 1024
log = logging.getLogger("kefu.app")


async def serve(settings: Settings) -> None:
    """Run the server until it is told to stop. Raises KefuError and what the stores raise."""
    listener = server.bind(settings.host, settings.port)
    try:
        async with (
            open_stores(settings, on_progress=tell_progress) as stores,
            open_app(settings, stores) as app,
        ):
            await server.run(
                app.asgi,
                listener,
                trusted_proxies=settings.trusted_proxies,
                stop_within_s=settings.shutdown_timeout_s,
                on_ready=lambda url: welcome(settings, app.roster, url),
                on_stop=app.drain.run,
            )
    finally:
        listener.close()


class App(Struct, frozen=True):
    """A running kefu, ready to be served."""

    asgi: Starlette
    accounts: Accounts
    tokens: Tokens
    router: Router
    roster: Roster
    drain: Drain


@asynccontextmanager
async def open_app(
    settings: Settings,
    stores: Stores,
    *,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
) -> AsyncIterator[App]:
    """Everything but the web server; stopped in reverse, with nothing acknowledged lost."""
    clock = clock or SystemClock()
    entropy = entropy or SystemEntropy(clock)
    database_url = stores.addresses.database_url.reveal()
    async with connected(stores.pool) as connection:
        await migrate.upgrade(connection, on_progress=tell_progress)
    with translated():
        owner = await asyncpg.connect(database_url, timeout=CONNECT_LIMIT_S)
    try:
        await hold_database(owner)
        instance = f"{socket.gethostname()}:{os.getpid()}"
        epochs = await claim_slots(owner, instance)
        metrics, hub, passwords = Metrics(), Hub(), Passwords()
        drain = Drain(hub, entropy, settings.drain_window_s)
        audit = AuditLog(stores.pool, clock)
        tokens = await _tokens(settings, stores, clock, entropy)
        on_signed_out = partial(close_session, hub)
        accounts = Accounts(
            stores.pool, tokens, passwords, clock, entropy, on_signed_out=on_signed_out
        )
        journal = Journal(lambda: asyncpg.connect(database_url), on_commit=metrics.note_commit)
        chats = PostgresChats(stores.pool)
        live = LiveChats(stores.redis, settings.session_expire_s)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(journal.run)
            tasks.start_soon(live.run)
            tasks.start_soon(metrics.measure_lag)
            tasks.start_soon(watch_sessions, hub, accounts.ended)
            if settings.idle_timeout_s:
                tasks.start_soon(close_idle, hub, clock, settings.idle_timeout_s)
            world = conversation_ports.World(
                chats=chats,
                journal=journal,
                publisher=hub,
                clock=clock,
                entropy=entropy,
                epoch_of=epochs.__getitem__,
                is_bot_ready=lambda: False,
                note_live=live.note,
            )
            async with _router(settings, world, stores, audit, hub, metrics) as router:
                router.ref(dispatch.KIND, dispatch.MAIN).tell(dispatch.Tick())
                tasks.start_soon(_cleanup(settings, world, chats, hub, router).run)
                backstage = Backstage(
                    hub=hub,
                    ref=router.ref,
                    chats=chats,
                    clock=clock,
                    metrics=metrics,
                    frame_rate=settings.max_frame_rate,
                    frame_burst=settings.max_frame_burst,
                    known_teams=partial(known_teams, stores.pool),
                )
                metrics.add_live(lambda: _readings(router, journal))
                staff = staff_ports.World(
                    stores.pool,
                    passwords,
                    clock,
                    entropy,
                    audit,
                    on_signed_out=on_signed_out,
                    on_changed=partial(_compare, router),
                )
                door = _door(settings, accounts, tokens, entropy, drain)
                asgi = _asgi(
                    settings,
                    stores,
                    backstage,
                    accounts,
                    staff,
                    audit,
                    door,
                    drain,
                    router,
                    instance,
                )
                yield App(asgi, accounts, tokens, router, Roster(staff), drain)
            tasks.cancel_scope.cancel()
    finally:
        owner.terminate()


async def _tokens(settings: Settings, stores: Stores, clock: Clock, entropy: Entropy) -> Tokens:
    keys = await ensure_secrets(stores.pool, entropy, settings.jwt_secret)
    return Tokens(
        keys.shop_secret,
        keys.own_key,
        clock=clock,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
    )


def _compare(router: Router, agent_id: UUID) -> None:
    """The account has changed: its actor, which counts places by it, is to look again."""
    router.ref(agents.KIND, str(agent_id)).tell(agents.Compare())


def _router(
    settings: Settings,
    world: conversation_ports.World,
    stores: Stores,
    audit: AuditLog,
    hub: Hub,
    metrics: Metrics,
) -> Router:
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
        agents_here=lambda: _agents_here(hub),
        mode=settings.assignment_mode,
        offer_s=settings.offer_timeout_s,
        on_stranded=stranded.set,
    )
    kinds = (
        Kind(conversations.KIND, lambda key: ConversationActor(UUID(key), world)),
        Kind(agents.KIND, lambda key: AgentActor(UUID(key), desks)),
        Kind(dispatch.KIND, lambda _key: dispatch_actor.QueueActor(queue)),
    )
    return Router(kinds, random=world.entropy.random, on_crash=_note_crash, on_enter=_bind_actor)


def _agents_here(hub: Hub) -> set[UUID]:
    """The agents with a connection to this instance."""
    found = (agent_of(topic) for listener in hub for topic in listener.topics)
    return {agent_id for agent_id in found if agent_id is not None}


def _cleanup(
    settings: Settings,
    world: conversation_ports.World,
    chats: PostgresChats,
    hub: Hub,
    router: Router,
) -> Cleanup:
    around = cleanup.World(
        chats=chats,
        clock=world.clock,
        is_here=lambda customer_id: hub.count(customer_topic(customer_id)) > 0,
        tell=lambda customer_id, message: router.ref(conversations.KIND, str(customer_id)).tell(
            message
        ),
    )
    return Cleanup(around, timeout_s=settings.silent_chat_timeout_s)


def _connections_of(hub: Hub, agent_id: UUID) -> list[str]:
    topic = agent_topic(agent_id)
    return [listener.id for listener in hub if topic in listener.topics]


def _note_crash(actor: ActorId, error: BaseException) -> None:
    log.error("actor_failed", exc_info=error, extra={"actor": str(actor)})


def _bind_actor(actor: ActorId) -> None:
    logs.actor.set(str(actor))


def _readings(router: Router, journal: Journal) -> Iterable[Reading]:
    yield Reading("kefu_journal_depth", "Entries waiting for a commit.", {}, journal.depth)
    yield from health.tree_readings(router.tree())


def _door(
    settings: Settings, accounts: Accounts, tokens: Tokens, entropy: Entropy, drain: Drain
) -> Door:
    return Door(
        accounts=accounts,
        tokens=tokens,
        entropy=entropy,
        allow_guests=settings.allow_guests,
        allowed_origins=frozenset(settings.allowed_origins),
        max_connections=settings.max_connections,
        max_connections_per_person=settings.max_connections_per_person,
        drain=drain,
    )


def _asgi(
    settings: Settings,
    stores: Stores,
    backstage: Backstage,
    accounts: Accounts,
    staff: staff_ports.World,
    audit: AuditLog,
    door: Door,
    drain: Drain,
    router: Router,
    instance: str,
) -> Starlette:
    state = health.Health(
        vital={"draining": drain.reason, "postgresql": lambda: ping_postgres(stores.pool)},
        helpful={"redis": lambda: ping_redis(stores.redis)},
    )
    guard, presences = Guard(accounts), ActorPresences(router.ref)
    routes: list[BaseRoute] = [
        *chat_routes.routes(backstage, door),
        *agent_routes.sign_in_routes(accounts),
        *agent_routes.own_routes(guard, OwnAccount(staff), presences),
        *staff_routes.agent_routes(guard, Roster(staff), presences),
        *staff_routes.team_routes(guard, Teams(staff)),
        *audit_routes.routes(audit, guard.requiring("audit.read")),
        *health.routes(
            state,
            backstage.metrics,
            router.tree,
            guard.requiring("ops.read"),
            settings.ops_token,
            instance,
        ),
        *pages.routes(
            pages.dist(),
            allowed_origins=frozenset(settings.allowed_origins),
            is_demo=settings.demo,
        ),
    ]
    return Starlette(
        routes=routes,
        exception_handlers=EXCEPTION_HANDLERS,
        middleware=[
            Middleware(HttpMetrics, metrics=backstage.metrics, clock=backstage.clock),
            Middleware(ShopPages, origins=settings.allowed_origins),
            Middleware(BodyLimit, limit_bytes=BODY_BYTES),
        ],
    )
