"""A shop's page: HTTP calls to kefu's addresses, with tokens as the shop and kefu sign them."""

from typing import Any
from uuid import UUID, uuid5

import httpx
import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request

from kefu.agents.tokens import NAMESPACE, AgentIdentity, CustomerIdentity, Tokens
from kefu.errors import Problem
from kefu.gateway.door import token_of
from kefu.gateway.problems import EXCEPTION_HANDLERS
from kefu.gateway.shop_pages import ShopPages
from kefu.recommendations.routes import World, routes
from kefu.recommendations.viewers import Callers, Shopper
from kefu.secret import Secret
from protocol.accounts import Agent
from protocol.codes import ErrorCode
from tests.recommendations.shelves import id_of
from tests.recommendations.town import Town

SHOP = "https://shop.example"
SESSION = UUID(int=7)
UNSIGNED_VIEWS = 1_005


def guest_of(session_id: str) -> UUID:
    return uuid5(NAMESPACE, f"guest:{session_id}")


def customer_of(sub: str) -> UUID:
    return uuid5(NAMESPACE, f"customer:{sub}")


class ShopPage:
    def __init__(self, town: Town) -> None:
        self.town = town
        self.tokens = Tokens(Secret("s" * 32), Secret("o" * 32), clock=town.clock)
        self.unsigned: list[int] = []
        callers = Callers(
            lambda request: token_of(request.scope), self._identify, guest_of, self._limit
        )
        recording, answers = town.recording, town.answers
        world = World(callers, town.router.ref, recording, answers, town.tally, town.clock)
        app = Starlette(
            routes=routes(world),
            exception_handlers=EXCEPTION_HANDLERS,
            middleware=[Middleware(ShopPages, origins=(SHOP,))],
        )
        transport = httpx.ASGITransport(app=app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://kefu")

    async def _identify(self, token: str) -> Shopper:
        match self.tokens.verify(token):
            case AgentIdentity():
                raise Problem(ErrorCode.FORBIDDEN)
            case CustomerIdentity(customer_id=id, is_guest=is_guest):
                return Shopper(id, is_guest)

    async def _limit(self, _request: Request, views: int) -> None:
        self.unsigned.append(views)
        if sum(self.unsigned) > UNSIGNED_VIEWS:
            raise Problem(ErrorCode.RATE_LIMITED, retry_after_s=1.0)

    def agent_token(self) -> str:
        names = [field.name for field in msgspec.structs.fields(Agent)]
        known = {"id": UUID(int=1), "username": "boss", "name": "Boss", "role": "admin"}
        agent = Agent(**{name: known.get(name) for name in names})  # type: ignore[arg-type]
        return self.tokens.agent_access(agent, SESSION)

    async def view(
        self, number: int, header_token: str | None = None, **body: Any
    ) -> tuple[int, dict[str, Any]]:
        """Status and answer of a view that takes long enough, unless the body says otherwise."""
        answer = await self.http.post(
            f"/api/products/{id_of(number)}/views",
            json={"source": "search", "dwell_ms": 3001, **body},
            headers=bearer(header_token),
        )
        return answer.status_code, answer.json()

    async def views(self, *events: dict[str, Any], token: str | None = None) -> httpx.Response:
        body = {"events": [{"source": "category", "dwell_ms": 5000, **each} for each in events]}
        return await self.http.post("/api/views", json=body, headers=bearer(token))


def bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"authorization": f"Bearer {token}"}
