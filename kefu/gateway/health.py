"""What operators and machines look at: alive, ready, measured, and the supervision tree."""

import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Literal

import anyio
import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actors import SupervisionNode
from kefu.agents.guard import Guard
from kefu.agents.tokens import AgentIdentity
from kefu.gateway.metrics import Metrics, Reading
from kefu.secret import Secret
from protocol.accounts import Permission

VITAL_WITHIN_S: Final = 2.0
HELPFUL_WITHIN_S: Final = 0.8
"""A probe usually waits for a second, and whoever is only degraded must have said so by then: no
answer counts as unready."""
# Says what is wrong in one sentence, or nothing.
Check = Callable[[], Awaitable[str | None]]


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
        broken: dict[str, str] = {}
        limping: dict[str, str] = {}
        async with anyio.create_task_group() as tasks:
            for name, check in self._vital.items():
                tasks.start_soon(_look, name, check, VITAL_WITHIN_S, broken)
            for name, check in self._helpful.items():
                tasks.start_soon(_look, name, check, HELPFUL_WITHIN_S, limping)
        status: Literal["ready", "degraded", "unready"] = "ready"
        if broken:
            status = "unready"
        elif limping:
            status = "degraded"
        return Readiness(status, broken | limping)


async def _look(name: str, check: Check, within_s: float, reasons: dict[str, str]) -> None:
    reason = f"No answer within {within_s:g} s."
    with anyio.move_on_after(within_s):
        reason = await check() or ""
    if reason:
        reasons[name] = reason


def routes(
    health: Health,
    metrics: Metrics,
    tree: Callable[[], SupervisionNode],
    guard: "OpsGuard",
    instance: str,
) -> list[Route]:
    async def livez(_request: Request) -> Response:
        return _json({"status": "alive"})

    async def readyz(_request: Request) -> Response:
        readiness = await health.look()
        return _json(readiness, 503 if readiness.status == "unready" else 200)

    async def metrics_text(_request: Request) -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def supervisor(request: Request) -> Response:
        await guard.require(request, "ops.read")
        return _json({"success": True, "data": _owned(tree(), instance)})

    return [
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/metrics", metrics_text),
        Route("/api/ops/supervisor", supervisor),
    ]


class OpsGuard(Struct, frozen=True):
    """Who may see and work the machine room: whoever has the ops token, and agents by role."""

    agents: Guard
    token: Secret | None

    async def require(self, request: Request, permission: Permission) -> AgentIdentity | None:
        """The agent calling; None for a machine with the token. Raises Problem."""
        if self.token is not None:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if hmac.compare_digest(given.encode(), self.token.reveal().encode()):
                return None
        return await self.agents.require(request, permission)


def _owned(node: SupervisionNode, instance: str) -> dict[str, Any]:
    """The tree with the instance each kind of actor lives on."""
    shown: dict[str, Any] = msgspec.to_builtins(node)
    shown["owner_instance"] = instance
    shown["last_error"] = node.last_error._asdict() if node.last_error is not None else None
    shown["children"] = [_owned(child, instance) for child in node.children]
    return shown


def tree_readings(tree: SupervisionNode) -> Iterable[Reading]:
    """The supervision tree as numbers for the metrics, one set per kind of actor."""
    for node in tree.children:
        labels = {"kind": node.kind}
        yield Reading("kefu_actors", "Living actors.", labels, node.count)
        yield Reading("kefu_mailbox_depth", "Messages waiting in mailboxes.", labels, node.depth)
        yield Reading("kefu_mailbox_depth_max", "In the fullest one.", labels, node.depth_max)
        yield Reading("kefu_mailbox_oldest_seconds", "Age of the oldest.", labels, node.oldest_s)
        yield Reading("kefu_messages_handled_total", "Messages handled.", labels, node.handled)
        yield Reading("kefu_actor_failures_total", "Messages failed on.", labels, node.failed)
        yield Reading("kefu_actor_restarts_total", "Restarts of actors.", labels, node.restarts)
        yield Reading("kefu_actors_quarantined", "Actors given up.", labels, node.quarantined)
        for reason, count in node.dead_letters.items():
            with_reason = {**labels, "reason": reason}
            yield Reading("kefu_dead_letters_total", "Handled by nobody.", with_reason, count)


def _json(body: object, status: int = 200) -> Response:
    return Response(
        msgspec.json.encode(body),
        status,
        {"cache-control": "no-store", "x-content-type-options": "nosniff"},
        media_type="application/json",
    )
