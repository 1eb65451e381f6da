"""The one place where everything is made and joined, in the order it starts; it stops in reverse.

stores -> first line -> schema -> journal -> actors -> cluster -> addresses. Nothing below this
module finds its parts by itself: it is handed them.
"""

import logging
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

import anyio
import asyncpg
from msgspec import Struct
from msgspec.structs import replace
from starlette.applications import Starlette

from actors import Router
from kefu.addresses import Behind, make_asgi
from kefu.agents import messages as agents
from kefu.agents.accounts import Accounts, ensure_secrets
from kefu.agents.passwords import Passwords
from kefu.agents.presences import ActorPresences
from kefu.agents.staff import ports as staff_ports
from kefu.agents.staff.roster import Roster
from kefu.agents.staff.teams import known_teams
from kefu.agents.tokens import Tokens
from kefu.audit.log import AuditLog
from kefu.bot.showcase import Showcase
from kefu.catalogue.cards import PostgresCatalogue
from kefu.catalogue.demo import load_demo as load_demo_catalogue
from kefu.catalogue.ports import World as CatalogueWorld
from kefu.clock import Clock, SystemClock
from kefu.cluster.bridge import SEPARATOR
from kefu.cluster.cluster import Cluster
from kefu.cluster.placement import slot_of
from kefu.conversations import ports as conversation_ports
from kefu.conversations.chat import Chat
from kefu.conversations.live import LiveChats
from kefu.conversations.parties import BOT
from kefu.conversations.sessions.mirror import SessionMirror
from kefu.conversations.store import PostgresChats
from kefu.dispatch import messages as dispatch
from kefu.entropy import Entropy, SystemEntropy
from kefu.errors import KefuError
from kefu.first_line import FirstLine, open_first_line, rules_of
from kefu.gateway import health, server
from kefu.gateway.door import Door
from kefu.gateway.drain import Drain
from kefu.gateway.handshakes import Handshakes
from kefu.gateway.heads import Heads
from kefu.gateway.hub import Hub
from kefu.gateway.idle import close_idle
from kefu.gateway.metrics import Metrics, Reading
from kefu.gateway.ports import Backstage
from kefu.gateway.sessions import close_session, watch_sessions
from kefu.inhabitants import make_cleanup, make_router
from kefu.membership import make_cluster, make_recommending
from kefu.notifications.alerts import Sources
from kefu.notifications.pulse import Pulse
from kefu.recommendations import messages as recommendations
from kefu.recommendations import shards
from kefu.settings import Settings
from kefu.storage import migrate
from kefu.storage.database import connected
from kefu.storage.journal import Journal
from kefu.stores import Stores
from kefu.welcome import say, tell_progress, welcome
from kefu.worker import Worker

HAND_OVER_WITHIN_S = 3.0
READY_WITHIN_S = 15.0
READ_WITHIN_S = 5.0  # the bot should know something when the first customer comes
NO_REDIS = "Redis does not answer; kefu needs it to start (see KEFU_REDIS_URL)."
log = logging.getLogger("kefu.app")


async def serve(
    settings: Settings, stores: Stores, listener: socket.socket, worker: Worker | None
) -> None:
    """Run the server until it is told to stop. Raises KefuError and what the stores raise."""
    async with open_app(settings, stores) as app:
        await server.run(
            app.asgi,
            listener,
            trusted_proxies=settings.trusted_proxies,
            stop_within_s=settings.shutdown_timeout_s,
            on_ready=lambda url: _say_ready(settings, app.roster, url, worker),
            on_stop=app.leave,
            asked_to_stop=app.cluster.slots.asked_to_leave.wait,
            is_worker=worker is not None,
        )


async def _say_ready(settings: Settings, roster: Roster, url: str, worker: Worker | None) -> None:
    if worker is None:
        say(await welcome(settings, roster, url))
    else:
        worker.report(await welcome(settings, roster, url) if worker.is_first else "")


class App(Struct, frozen=True):
    """A running kefu, ready to be served."""

    asgi: Starlette
    accounts: Accounts
    tokens: Tokens
    router: Router
    roster: Roster
    drain: Drain
    cluster: Cluster

    async def leave(self) -> None:
        """Pass the actors on and send everybody away, before the web server stops."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.drain.run)
            await self.cluster.drain(within_s=HAND_OVER_WITHIN_S)


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
    audit = AuditLog(stores.pool, clock)
    async with open_first_line(settings, stores, audit, clock, entropy) as first_line:
        async with _joined(settings, stores, audit, first_line, clock, entropy) as app:
            yield app


@asynccontextmanager
async def _joined(
    settings: Settings,
    stores: Stores,
    audit: AuditLog,
    first_line: FirstLine,
    clock: Clock,
    entropy: Entropy,
) -> AsyncIterator[App]:
    database_url = stores.addresses.database_url.reveal()
    async with connected(stores.pool) as connection:
        await migrate.upgrade(connection, on_progress=tell_progress)
    metrics, hub, passwords = Metrics(), Hub(), Passwords()
    live = LiveChats(stores.redis, settings.session_expire_s)
    mirror = SessionMirror(stores.redis, clock, settings.session_expire_s)
    drain = Drain(hub, entropy, settings.drain_window_s)
    chats = PostgresChats(stores.pool)
    tokens = await _tokens(settings, stores, clock, entropy)
    heads = Heads(hub, chats, lambda: len(cluster.slots.members) > 1)
    cluster = await make_cluster(
        stores,
        hub,
        clock,
        entropy,
        on_changed=lambda slots: _moved(router, heads, slots),
        on_missed=heads.look_now,
    )
    on_signed_out = partial(close_session, cluster.bridge)
    accounts = Accounts(stores.pool, tokens, passwords, clock, entropy, on_signed_out=on_signed_out)
    journal = Journal(
        lambda: asyncpg.connect(database_url),
        on_commit=metrics.note_commit,
        on_doubt=cluster.slots.doubt,
    )
    cards = PostgresCatalogue(stores.pool)
    recommending = make_recommending(settings, stores, cluster, cards, clock, metrics)
    showcase = Showcase(cards, recommending.answers)
    bot = first_line.bot(showcase)
    world = conversation_ports.World(
        chats=chats,
        journal=journal,
        publisher=cluster.bridge,
        clock=clock,
        entropy=entropy,
        epoch_of=cluster.slots.epoch_of,
        bot=lambda: bot,
        bot_party=replace(BOT, name=settings.bot.bot_name),
        rules=rules_of(settings.escalation),
        duty=first_line.rota.duty,
        turns_per_minute=settings.bot.bot_turns_per_minute,
        turns_per_minute_vip=settings.bot.bot_turns_per_minute_vip,
        pending_timeout_s=settings.escalation.pending_timeout_s,
        note_live=lambda chat: _note_live(chat, live, mirror),
        find_product=cards.find,
    )
    router = make_router(settings, world, stores, audit, hub, metrics, cluster, recommending.shards)
    backstage = Backstage(
        hub=hub,
        ref=router.ref,
        chats=chats,
        clock=clock,
        metrics=metrics,
        frame_rate=settings.max_frame_rate,
        frame_burst=settings.max_frame_burst,
        known_teams=partial(known_teams, stores.pool),
        connection_id=lambda: f"{cluster.slots.me}{SEPARATOR}{entropy.uuid()}",
        find_product=cards.find,
    )
    handshakes = Handshakes(settings.max_handshakes_per_s, clock, entropy)
    metrics.add_live(lambda: _readings(router, journal, cluster, handshakes))
    metrics.add_live(first_line.readings)
    staff = staff_ports.World(
        stores.pool,
        passwords,
        clock,
        entropy,
        audit,
        on_signed_out=on_signed_out,
        on_changed=partial(_compare, router),
    )
    catalogue = CatalogueWorld(stores.pool, clock, entropy, audit, settings.shop_currency)
    pulse = Pulse(clock)
    behind = Behind(
        settings=settings,
        stores=stores,
        backstage=backstage,
        accounts=accounts,
        staff=staff,
        audit=audit,
        door=_door(settings, accounts, tokens, entropy, drain, handshakes),
        drain=drain,
        router=router,
        cluster=cluster,
        first_line=first_line,
        catalogue=catalogue,
        showcase=showcase,
        recommending=recommending,
        entropy=entropy,
        pulse=pulse,
    )
    sources = Sources(partial(_count_online, router), pulse.error_rate, pulse.latency_s)
    await first_line.prepare(is_demo=settings.demo)
    if settings.demo:
        await load_demo_catalogue(catalogue)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(journal.run)
        tasks.start_soon(live.run)
        tasks.start_soon(mirror.run)
        tasks.start_soon(metrics.measure_lag)
        tasks.start_soon(watch_sessions, hub, accounts.ended)
        tasks.start_soon(heads.run)
        if settings.idle_timeout_s:
            tasks.start_soon(close_idle, hub, clock, settings.idle_timeout_s)
        async with router:
            cluster.attach(router)
            tasks.start_soon(cluster.run)
            if not await cluster.slots.ready(within_s=READY_WITHIN_S):
                raise KefuError(NO_REDIS)
            tasks.start_soon(make_cleanup(settings, world, chats, hub, cluster, router).run)
            first_line.start(tasks, sources)
            tasks.start_soon(recommending.run)
            await first_line.library.until_read(within_s=READ_WITHIN_S)
            yield App(make_asgi(behind), accounts, tokens, router, Roster(staff), drain, cluster)
        tasks.cancel_scope.cancel()
    with anyio.move_on_after(1.0):
        await cluster.slots.resign()


def _note_live(chat: Chat, live: LiveChats, mirror: SessionMirror) -> None:
    live.note(chat)
    mirror.note(chat)


async def _count_online(router: Router) -> int:
    """Agents who are online, wherever. Raises Problem."""
    known = await ActorPresences(router.ref).known()
    return sum(agent.status == "online" for agent in known)


def _moved(router: Router, heads: Heads, slots: frozenset[int]) -> None:
    """Some slots have another owner: the queue, if it is here now, wakes and reads the store; who
    is connected here says so to agents' actors that live elsewhere now; shards of products wake."""
    if slot_of(dispatch.MAIN) in slots:
        router.ref(dispatch.KIND, dispatch.MAIN).tell(dispatch.Tick())
    for shard in shards.KEYS:
        if slot_of(shard) in slots:
            router.ref(recommendations.KIND, shard).tell(recommendations.Tick())
    if slots:
        heads.look_now()


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


def _readings(
    router: Router, journal: Journal, cluster: Cluster, handshakes: Handshakes
) -> Iterable[Reading]:
    yield Reading("kefu_journal_depth", "Entries waiting for a commit.", {}, journal.depth)
    refused = handshakes.refused
    yield Reading("kefu_handshakes_refused_total", "Told to come back later.", {}, refused)
    slots = cluster.slots
    yield Reading("kefu_slots_owned", "Slots this instance owns.", {}, slots.owned_count)
    yield Reading("kefu_instances", "Living instances.", {}, len(slots.members))
    yield from health.tree_readings(router.tree())


def _door(
    settings: Settings,
    accounts: Accounts,
    tokens: Tokens,
    entropy: Entropy,
    drain: Drain,
    handshakes: Handshakes,
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
        handshakes=handshakes,
    )
