"""Every address the server answers at, with all that stands behind it."""

from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID, uuid5

from msgspec import Struct
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import BaseRoute

from actors import Router
from kefu import __version__
from kefu.agents import routes as agent_routes
from kefu.agents.accounts import Accounts
from kefu.agents.guard import Guard, address_of
from kefu.agents.presences import ActorPresences
from kefu.agents.staff import ports as staff_ports
from kefu.agents.staff import routes as staff_routes
from kefu.agents.staff.own_account import OwnAccount
from kefu.agents.staff.roster import Roster
from kefu.agents.staff.teams import Teams
from kefu.agents.tokens import NAMESPACE, AgentIdentity
from kefu.audit import routes as audit_routes
from kefu.audit.log import AuditLog
from kefu.audit.messages import Act, By
from kefu.bot.showcase import Showcase
from kefu.catalogue import routes as catalogue_routes
from kefu.catalogue.categories import Categories
from kefu.catalogue.import_routes import PATH as PRODUCT_IMPORT
from kefu.catalogue.import_routes import import_routes as product_import_routes
from kefu.catalogue.imports import Imports
from kefu.catalogue.ports import World as CatalogueWorld
from kefu.catalogue.products import Products
from kefu.cluster.cluster import Cluster
from kefu.cluster.placement import SLOT_COUNT
from kefu.conversations.figures.store import PostgresFigures
from kefu.conversations.sessions.store import PostgresSessions
from kefu.entropy import Entropy
from kefu.errors import Problem
from kefu.first_line import FirstLine, bot_card
from kefu.gateway import chat_routes, health, operations, pages
from kefu.gateway.body_limit import BodyLimit
from kefu.gateway.door import Door, token_of
from kefu.gateway.drain import Drain
from kefu.gateway.facade import routes as facade_routes
from kefu.gateway.facade.about import shown_settings
from kefu.gateway.facade.call_rates import CallRates
from kefu.gateway.facade.ports import Facade
from kefu.gateway.http_metrics import HttpMetrics
from kefu.gateway.ports import Backstage
from kefu.gateway.problems import EXCEPTION_HANDLERS
from kefu.gateway.shop_pages import ShopPages
from kefu.gateway.stream_limits import Limits as StreamBounds
from kefu.gateway.stream_limits import StreamLimits
from kefu.knowledge import routes as knowledge_routes
from kefu.membership import instance_name
from kefu.notifications.pulse import Pulse
from kefu.recommendations.opening import Recommending
from kefu.recommendations.viewers import Callers, Shopper
from kefu.settings import Settings
from kefu.shifts import routes as shift_routes
from kefu.storage.database import DatabasePool, transaction
from kefu.storage.pings import ping_postgres, ping_redis
from kefu.storage.redis_calls import RedisCalls
from kefu.stores import Stores
from protocol.accounts import Permission
from protocol.catalogue import IMPORT_BYTES as PRODUCT_IMPORT_BYTES
from protocol.codes import ErrorCode

BODY_BYTES = 2 * 1024 * 1024
LARGER_BODIES = {PRODUCT_IMPORT: PRODUCT_IMPORT_BYTES}


class Behind(Struct, frozen=True, kw_only=True):
    """What the addresses lead to."""

    settings: Settings
    stores: Stores
    backstage: Backstage
    accounts: Accounts
    staff: staff_ports.World
    audit: AuditLog
    door: Door
    drain: Drain
    router: Router
    cluster: Cluster
    first_line: FirstLine
    catalogue: CatalogueWorld
    showcase: Showcase
    recommending: Recommending
    entropy: Entropy
    pulse: Pulse


def make_asgi(behind: Behind) -> Starlette:
    settings, backstage = behind.settings, behind.backstage
    return Starlette(
        routes=_routes(behind),
        exception_handlers=EXCEPTION_HANDLERS,
        middleware=[
            Middleware(
                HttpMetrics,
                metrics=backstage.metrics,
                clock=backstage.clock,
                pulse=behind.pulse,
            ),
            Middleware(ShopPages, origins=settings.allowed_origins),
            Middleware(BodyLimit, limit_bytes=BODY_BYTES, larger=LARGER_BODIES),
        ],
    )


def _routes(behind: Behind) -> list[BaseRoute]:
    settings, stores, first_line = behind.settings, behind.stores, behind.first_line
    staff, cluster = behind.staff, behind.cluster
    state = health.Health(
        vital={
            "draining": behind.drain.reason,
            "postgresql": lambda: ping_postgres(stores.pool),
            "slots": partial(slots_reason, cluster),
        },
        helpful={"redis": partial(redis_reason, stores, cluster)},
    )
    guard, presences = Guard(behind.accounts), ActorPresences(behind.router.ref)
    ops = health.OpsGuard(guard, settings.ops_token)
    reader, writer = guard.requiring("colleagues.read"), _acting(guard, "settings.write")
    return [
        *chat_routes.routes(behind.backstage, behind.door),
        *facade_routes.routes(_facade(behind, guard, presences, state)),
        *knowledge_routes.routes(first_line.entries, first_line.library, reader, writer),
        *_catalogue_routes(behind.catalogue, _acting(guard, "catalogue.write")),
        *behind.recommending.routes(_shoppers(behind), behind.router.ref),
        *shift_routes.routes(first_line.rota, reader, writer),
        *agent_routes.sign_in_routes(behind.accounts),
        *agent_routes.own_routes(guard, OwnAccount(staff), presences),
        *staff_routes.agent_routes(guard, Roster(staff), presences),
        *staff_routes.team_routes(guard, Teams(staff)),
        *audit_routes.routes(behind.audit, guard.requiring("audit.read")),
        *health.routes(state, behind.backstage.metrics, behind.router.tree, ops, instance_name()),
        *operations.routes(cluster, ops, partial(_note, stores.pool, behind.audit)),
        *pages.routes(
            pages.dist(),
            allowed_origins=frozenset(settings.allowed_origins),
            is_demo=settings.demo,
        ),
    ]


def _catalogue_routes(
    world: CatalogueWorld, writer: Callable[[Request], Awaitable[By]]
) -> list[BaseRoute]:
    return [
        *product_import_routes(Imports(world), writer),
        *catalogue_routes.routes(Categories(world), Products(world), writer),
    ]


def _shoppers(behind: Behind) -> Callers:
    """Who looks at products. A session's id is the `sub` of a guest, who may chat by it, too."""
    prefix, per_minute = f"{behind.cluster.prefix}views:", behind.settings.bot.max_calls_per_address
    rates = CallRates(RedisCalls(behind.stores.redis), prefix, behind.backstage.clock, per_minute)

    async def identify(token: str) -> Shopper:
        identity = await behind.accounts.identify(token)
        if isinstance(identity, AgentIdentity):
            raise Problem(ErrorCode.FORBIDDEN, "What agents look at is not counted.")
        return Shopper(identity.customer_id, identity.is_guest)

    return Callers(
        token_of=lambda request: token_of(request.scope),
        identify=identify,
        guest_of=lambda session_id: uuid5(NAMESPACE, f"guest:{session_id}"),
        limit=lambda request, views: rates.check(address_of(request), views),
    )


def _facade(
    behind: Behind, guard: Guard, presences: ActorPresences, state: health.Health
) -> Facade:
    bot, first_line = behind.settings.bot, behind.first_line
    calls = RedisCalls(behind.stores.redis)
    clock, pool, prefix = behind.backstage.clock, behind.stores.pool, behind.cluster.prefix
    bounds = StreamBounds(bot.max_streams_per_person, bot.max_streams_per_address, bot.max_streams)
    return Facade(
        backstage=behind.backstage,
        door=behind.door,
        entropy=behind.entropy,
        guard=guard,
        presences=presences,
        sessions=PostgresSessions(pool),
        figures=PostgresFigures(pool),
        streams=StreamLimits(calls, prefix, bounds, behind.entropy),
        rates=CallRates(calls, prefix, clock, bot.max_calls_per_address),
        contexts=first_line.parts.contexts,
        conversation_of=first_line.parts.contexts.known,
        condition=first_line.parts.condition,
        copilot=first_line.parts.copilot,
        showcase=behind.showcase,
        bot=bot_card(bot),
        health=state,
        send_transcript=partial(_send_transcript, first_line),
        settings=lambda: shown_settings(behind.settings),
        version=__version__,
    )


async def _send_transcript(first_line: FirstLine, chat_id: UUID) -> str:
    """It goes out in a moment; how that went is told by the mails of the chat."""
    await first_line.courier.request(chat_id)
    return "pending"


def _acting(guard: Guard, permission: Permission) -> Callable[[Request], Awaitable[By]]:
    """Who changes something, as the audit log names them. Raises Problem."""

    async def require(request: Request) -> By:
        agent = await guard.require(request, permission)
        return By("agent", agent.agent_id, agent.name)

    return require


async def _note(pool: DatabasePool, audit: AuditLog, act: Act) -> None:
    async with transaction(pool) as connection:
        await audit.append(connection, act)


async def slots_reason(cluster: Cluster) -> str | None:
    is_lost = cluster.slots.counts()[None] == SLOT_COUNT
    return "Nobody is known to own any slot." if is_lost else None


async def redis_reason(stores: Stores, cluster: Cluster) -> str | None:
    """It may answer already while this instance has not been heard by the others again."""
    reason = await ping_redis(stores.redis)
    if reason is None and not cluster.slots.is_connected:
        return "This instance's last beat was not heard."
    return reason
