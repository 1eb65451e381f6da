"""Views and recommendations over HTTP, for a shop's pages.

Bodies are JSON whatever their type is said to be: sendBeacon says text/plain. What was not counted
is no error, because a page that is being left can do nothing about it.
"""

from asyncio import sleep
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from actors import Ref
from kefu.bodies import flat_answer, read_body, read_number
from kefu.clock import Clock
from kefu.errors import Problem
from kefu.recommendations.messages import Recommendations, Recommended, Recommender
from kefu.recommendations.recording import Outcome, Recording, Told
from kefu.recommendations.tally import Tally
from kefu.recommendations.viewers import Callers, Viewers
from protocol.codes import ErrorCode
from protocol.recommendations import (
    LIMIT,
    Because,
    How,
    NewView,
    NewViews,
    RecommendedProduct,
    RecommendedProducts,
    ViewRecorded,
)

EVENTS_BYTES: Final = 1024 * 1024
EVENTS_AT_ONCE: Final = 50
SESSION_CHARS: Final = 128
_read_view: Final = msgspec.json.Decoder(NewView).decode
_read_views: Final = msgspec.json.Decoder(NewViews).decode


class World(Struct, frozen=True):
    """`ref` leads to the shards."""

    callers: Callers
    ref: Callable[[str, str], Ref[Any]]
    recording: Recording
    recommender: Recommender
    tally: Tally
    clock: Clock


def routes(world: World) -> list[Route]:
    viewers = Viewers(world.callers, world.ref)
    one = "/api/products/{id:uuid}"
    return [
        *_view_routes(world, viewers, f"{one}/views"),
        *_answer_routes(world, viewers, f"{one}/recommendations"),
    ]


def _view_routes(world: World, viewers: Viewers, path: str) -> list[Route]:
    async def view(request: Request) -> Response:
        body = await read_body(request, _read_view)
        visit = viewers.visit(request)
        viewer = await visit.viewer(body.token, body.session_id)
        await visit.check()
        (outcome,) = await world.recording.record((Told(viewer, _id(request), body),))
        return flat_answer(_recorded(outcome), 202)

    async def view_many(request: Request) -> Response:
        """Who looks is known of all before any is written down: one wrong event refuses all."""
        body = await read_body(request, _read_views, limit_bytes=EVENTS_BYTES)
        visit, told = viewers.visit(request), list[Told]()
        for place, event in enumerate(body.events, start=1):
            viewer = await visit.viewer(event.token, event.session_id)
            told.append(Told(viewer, event.product_id, event))
            if place % EVENTS_AT_ONCE == 0:
                await sleep(0)
        await visit.check()
        outcomes = await world.recording.record(told)
        return _list_answer([_recorded(outcome) for outcome in outcomes])

    return [
        Route(path, view, methods=["POST"]),
        Route("/api/views", view_many, methods=["POST"]),
    ]


def _answer_routes(world: World, viewers: Viewers, path: str) -> list[Route]:
    async def similar(request: Request) -> Response:
        found = await world.recommender.similar(_id(request), limit=_limit(request))
        if found is None:
            raise Problem(ErrorCode.PRODUCT_NOT_FOUND)
        world.tally.shown("page", len(found.items))
        return _answer(world.clock, found)

    async def for_viewer(request: Request) -> Response:
        limit = _limit(request)
        viewer = await viewers.visit(request).reader(_session(request))
        found = await world.recommender.for_viewer(viewer, limit=limit)
        world.tally.shown("for_viewer", len(found.items))
        return _answer(world.clock, found)

    return [
        Route(path, similar, methods=["GET"]),
        Route("/api/recommendations/for-viewer", for_viewer, methods=["GET"]),
    ]


def _id(request: Request) -> UUID:
    id: UUID = request.path_params["id"]
    return id


def _limit(request: Request) -> int:
    return read_number(request, "limit", default=6, least=1, most=LIMIT)


def _session(request: Request) -> str | None:
    text = request.query_params.get("session_id")
    if text is not None and (not 0 < len(text) <= SESSION_CHARS or "\0" in text):
        wrong = f"session_id has 1 to {SESSION_CHARS} characters."
        raise Problem(ErrorCode.INVALID_MESSAGE, wrong, fields={"session_id": wrong})
    return text


def _recorded(outcome: Outcome) -> ViewRecorded:
    return ViewRecorded(True) if outcome == "recorded" else ViewRecorded(False, outcome)


def _list_answer(body: list[ViewRecorded]) -> Response:
    headers = {"Cache-Control": "no-store"}
    raw = msgspec.json.encode(body)
    return Response(raw, 202, media_type="application/json", headers=headers)


def _answer(clock: Clock, found: Recommendations) -> Response:
    products = tuple(_product(item) for item in found.items)
    return flat_answer(RecommendedProducts(products, How(found.algorithm, clock.now())))


def _product(item: Recommended) -> RecommendedProduct:
    card, because = item.card, item.because
    return RecommendedProduct(
        id=card.id,
        name=card.name,
        price=card.price,
        image_url=card.image_url,
        score=item.score,
        because=UNSET if because is None else Because(because.id, because.name),
    )
