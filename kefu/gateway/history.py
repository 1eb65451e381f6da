"""Older messages of a chat over HTTP, a page at a time, for its customer and for agents."""

from typing import Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from kefu.agents.tokens import CustomerIdentity
from kefu.bodies import answer, read_number
from kefu.errors import Problem
from kefu.gateway.door import Door
from kefu.gateway.ports import Backstage
from protocol.codes import ErrorCode

PAGE: Final = 50
PAGE_MOST: Final = 100
SEQ_MOST: Final = 2**53 - 1


class History:
    """The endpoint."""

    def __init__(self, backstage: Backstage, door: Door) -> None:
        self._chats = backstage.chats
        self._door = door

    async def page(self, request: Request) -> Response:
        """The last messages before `before_seq`, oldest first. Raises Problem, StoreUnavailable."""
        identity = await self._door.identify(request.scope)
        limit = read_number(request, "limit", default=PAGE, least=1, most=PAGE_MOST)
        before = read_number(request, "before_seq", default=SEQ_MOST, least=1, most=SEQ_MOST)
        stored = await self._chats.chat(_chat_id(request))
        if stored is None:
            raise Problem(ErrorCode.CHAT_NOT_FOUND)
        chat = stored.chat
        if isinstance(identity, CustomerIdentity) and identity.customer_id != chat.customer.id:
            raise Problem(ErrorCode.CHAT_NOT_FOUND)
        until = min(before - 1, chat.seq)
        after = max(0, until - limit)
        messages = await self._chats.messages(chat.chat_id, after=after, until=until, limit=limit)
        return answer({"messages": messages, "has_more": after > 0})


def _chat_id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["chat_id"])
    except ValueError:
        raise Problem(ErrorCode.CHAT_NOT_FOUND) from None
