"""What operators and machines look at: alive, ready, measured, and the supervision tree."""

import hmac
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Literal

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actors import SupervisionNode
from kefu.agents.tokens import AgentIdentity
from kefu.errors import Problem
from kefu.gateway.metrics import Metrics
from kefu.secret import Secret
from protocol.codes import ErrorCode

CHECK_WITHIN_S = 2.0
Authenticate = Callable[[Request], Awaitable[AgentIdentity]]
# Says what is wrong in one sentence, or nothing.
Check = Callable[[], Awaitable[str | None]]
log = logging.getLogger("kefu.gateway")


class Readiness(Struct, frozen=True):
    """`ready` and `degraded` take traffic; `reasons` says what is wrong, by part."""

    status: Literal["ready", "degraded", "unready"]
    reasons: dict[str, str]


class Health:
    """`vital` checks make the server unready when they fail, `helpful` ones degraded."""

    def __init__(self, *, vital: Mapping[str, Check], helpful: Mapping[str, Check]) -> None:
        self._vital = vital
        self._helpful = helpful

    async def look(self) -> Readiness:
        broken = await _failures(self._vital)
        limping = await _failures(self._helpful)
        status: Literal["ready", "degraded", "unready"] = "ready"
        if broken:
            status = "unready"
        elif limping:
            status = "degraded"
        return Readiness(status, broken | limping)


async def _failures(checks: Mapping[str, Check]) -> dict[str, str]:
    reasons = {name: await check() for name, check in checks.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def routes(
    health: Health,
    metrics: Metrics,
    tree: Callable[[], SupervisionNode],
    authenticate: Authenticate,
    ops_token: Secret | None,
) -> list[Route]:
    async def livez(_request: Request) -> Response:
        return _json({"status": "alive"})

    async def readyz(_request: Request) -> Response:
        readiness = await health.look()
        return _json(readiness, 503 if readiness.status == "unready" else 200)

    async def metrics_text(_request: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def supervisor(request: Request) -> Response:
        await _guard(request, authenticate, ops_token)
        return _json({"success": True, "data": tree()})

    return [
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/metrics", metrics_text),
        Route("/api/ops/supervisor", supervisor),
    ]


async def _guard(request: Request, authenticate: Authenticate, ops_token: Secret | None) -> None:
    """The ops token, or an agent whose role may see the machine room. Raises Problem."""
    if ops_token is not None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if hmac.compare_digest(given.encode(), ops_token.reveal().encode()):
            return
    agent = await authenticate(request)
    if agent.role not in ("supervisor", "admin"):
        raise Problem(ErrorCode.FORBIDDEN)


def tree_gauges(
    tree: SupervisionNode,
) -> Iterable[tuple[str, str, dict[str, str], float]]:
    """The supervision tree as numbers for the metrics, one set per kind of actor."""
    for node in tree.children:
        labels = {"kind": node.kind}
        yield "kefu_actors", "Living actors.", labels, node.count
        yield "kefu_mailbox_depth", "Messages waiting in mailboxes.", labels, node.depth
        yield "kefu_mailbox_oldest_seconds", "Age of the oldest.", labels, node.oldest_s
        yield "kefu_messages_handled", "Messages handled by actors.", labels, node.handled
        yield "kefu_actor_failures", "Messages an actor failed on.", labels, node.failed
        yield "kefu_actor_restarts", "Restarts of actors.", labels, node.restarts
        for reason, count in node.dead_letters.items():
            yield (
                "kefu_dead_letters",
                "Messages nobody handled.",
                {**labels, "reason": reason},
                count,
            )


def _json(body: object, status: int = 200) -> Response:
    return Response(
        msgspec.json.encode(body),
        status,
        {"cache-control": "no-store"},
        media_type="application/json",
    )
