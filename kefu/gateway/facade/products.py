"""Products beside a chat, over HTTP: what its customer viewed, and what may please them.

For every agent who may read the chat. Where products cannot be asked about there are none: the
agent's page works on.
"""

from typing import Any
from uuid import UUID

import anyio
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from kefu.bodies import answer
from kefu.bot.showcase import Suggested
from kefu.catalogue.messages import Card
from kefu.errors import Problem
from kefu.gateway.facade.ports import Facade
from kefu.gateway.facade.reading import chat_id_of
from kefu.recommendations.messages import Recommended
from protocol.codes import ErrorCode
from protocol.products import ChatProducts, ProductCard, RecommendedCard, SuggestedCard
from protocol.recommendations import Because


class Products:
    """The endpoint."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    async def of_chat(self, request: Request) -> Response:
        """Raises Problem or StoreUnavailable."""
        await self._facade.guard.require(request, "chats.answer")
        customer = await self._facade.backstage.chats.owner(chat_id_of(request))
        if customer is None:
            raise Problem(ErrorCode.CHAT_NOT_FOUND)
        return answer(await self._seen_by(customer))

    async def _seen_by(self, customer: UUID) -> ChatProducts:
        viewed: list[Card] = []
        recommended: list[Recommended] = []
        showcase = self._facade.showcase

        async def look_back() -> None:
            viewed.extend(await showcase.viewed(customer))

        async def look_ahead() -> None:
            recommended.extend(await showcase.recommended(customer))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look_back)
            tasks.start_soon(look_ahead)
        return ChatProducts(
            viewed=tuple(ProductCard(**_fields(card)) for card in viewed),
            recommended=tuple(
                RecommendedCard(
                    **_fields(each.card), score=each.score, because=_because(each.because)
                )
                for each in recommended
            ),
        )


def suggested_card(each: Suggested) -> SuggestedCard:
    return SuggestedCard(**_fields(each.card), reason=each.reason, because=_because(each.because))


def _fields(card: Card) -> dict[str, Any]:
    """What a card shows."""
    return {
        "id": card.id,
        "name": card.name,
        "price": card.price,
        "currency": card.currency,
        "image_url": card.image_url,
    }


def _because(card: Card | None) -> Because | UnsetType:
    return UNSET if card is None else Because(card.id, card.name)
