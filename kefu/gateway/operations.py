"""What operators ask of the cluster: how its instances are, and that one of them leaves."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kefu.agents import guard as guards
from kefu.audit.messages import Act, By
from kefu.bodies import answer, read_body
from kefu.cluster.cluster import Cluster
from kefu.cluster.links import LinkState
from kefu.cluster.placement import SLOT_COUNT
from kefu.cluster.ports import BusUnavailable
from kefu.errors import Problem
from kefu.gateway.health import OpsGuard
from protocol.codes import ErrorCode

RETRY_AFTER_S: Final = 1.0
Note = Callable[[Act], Awaitable[None]]


class Leave(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a drain; without a name it is the instance that answers."""

    instance: Annotated[str, Meta(min_length=1, max_length=300)] | None = None


class InstanceState(Struct, frozen=True):
    """`connections` is up to a second old; `link` is how this instance gets on with that one."""

    id: str
    name: str
    version: str
    slots: int
    connections: int
    is_draining: bool
    link: LinkState | None


class ClusterState(Struct, frozen=True):
    """`me` is the id of the instance that answers; `slots_moving` have no owner at the moment."""

    me: str
    is_redis_connected: bool
    slots_total: int
    slots_moving: int
    instances: list[InstanceState]


_read_leave: Final = msgspec.json.Decoder(Leave).decode


def state_of(cluster: Cluster) -> ClusterState:
    """The cluster as this instance sees it."""
    slots, counts = cluster.slots, cluster.slots.counts()
    instances = [
        InstanceState(
            id=id,
            name=member.name,
            version=member.version,
            slots=counts[id],
            connections=member.connections,
            is_draining=member.is_leaving,
            link=cluster.link_state(id),
        )
        for id, member in sorted(slots.members.items(), key=lambda each: each[1].name)
    ]
    return ClusterState(slots.me, slots.is_connected, SLOT_COUNT, counts[None], instances)


def drained(by: By, name: str) -> Act:
    """What the audit log keeps of it."""
    return Act(by, "instance.drained", "instance", name)


def routes(cluster: Cluster, guard: OpsGuard, note: Note) -> list[Route]:
    async def look(request: Request) -> Response:
        await guard.require(request, "ops.read")
        return answer(state_of(cluster))

    async def drain(request: Request) -> Response:
        identity = await guard.require(request, "ops.drain")
        wanted = (await read_body(request, lambda body: _read_leave(body or b"{}"))).instance
        name, id = _named(cluster, wanted)
        address = guards.address_of(request)
        by = guards.by(identity, request) if identity else By("operator", None, "ops", address)
        await note(drained(by, name))
        if id == cluster.slots.me:
            cluster.slots.asked_to_leave.set()
        else:
            await _ask(cluster, id)
        return answer({"instance": name}, 202)

    return [
        Route("/api/ops/cluster", look),
        Route("/api/ops/drain", drain, methods=["POST"]),
    ]


def _named(cluster: Cluster, wanted: str | None) -> tuple[str, str]:
    """The name and the id of the instance. Raises Problem(NOT_FOUND)."""
    for id, member in cluster.slots.members.items():
        if member.name == wanted or (wanted is None and id == cluster.slots.me):
            return member.name, id
    raise Problem(ErrorCode.NOT_FOUND, "No such instance lives.")


async def _ask(cluster: Cluster, id: str) -> None:
    try:
        is_there = await cluster.slots.ask_to_leave(id)
    except BusUnavailable as error:
        raise Problem(ErrorCode.OVERLOADED, str(error), RETRY_AFTER_S) from error
    if not is_there:
        raise Problem(ErrorCode.NOT_FOUND, "That instance has just gone.")
