"""The copilot over HTTP: what an agent in charge may say and show, and what the chat was about."""

from typing import Any, Final, Literal

import anyio
from starlette.requests import Request
from starlette.responses import Response

from kefu.bodies import answer
from kefu.bot.messages import Said
from kefu.bot.summary import Occasion, Remark
from kefu.conversations.sessions.store import Session
from kefu.conversations.wording import Wording, wording_of
from kefu.errors import Problem
from kefu.gateway.facade.ports import Facade
from kefu.gateway.facade.products import suggested_card
from kefu.gateway.facade.reading import chat_id_of, read_text
from protocol.codes import ErrorCode
from protocol.server import Message, SenderType

SPEAKERS: Final[dict[SenderType, Literal["customer", "bot", "agent", "system"]]] = {
    "customer": "customer",
    "ai": "bot",
    "agent": "agent",
    "system": "system",
}


class Assistance:
    """The endpoint."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    async def help(self, request: Request) -> Response:
        """For whoever is in charge, and for supervisors. Raises Problem or StoreUnavailable."""
        identity = await self._facade.guard.require(request, "chats.answer")
        session = await self._facade.sessions.of_chat(chat_id_of(request))
        agent = session.agent if session is not None else None
        is_theirs = agent is not None and agent.id == identity.agent_id
        may_see = is_theirs or identity.role in ("supervisor", "admin")
        if session is None or agent is None or not may_see:
            raise Problem(ErrorCode.CHAT_NOT_FOUND)
        messages = await self._facade.sessions.history(session)
        locale = read_text(request, "locale", most=35)
        return answer(await self._asked(session, messages, locale))

    async def _asked(
        self, session: Session, messages: list[Message], locale: str | None
    ) -> dict[str, Any]:
        """The replies are for the customer, in their language; the summary is for the agent."""
        help: dict[str, Any] = {"suggestions": [], "summary": "", "products": []}
        wording = await wording_of(messages, self._facade.backstage.find_product)
        question, earlier = _question(messages, wording)

        async def suggest() -> None:
            copilot = self._facade.copilot
            help["suggestions"] = await copilot.suggest(question, earlier, session.locale)

        async def summarize() -> None:
            remarks = [Remark(SPEAKERS[each.sender_type], wording.words(each)) for each in messages]
            occasion = _occasion(session)
            help["summary"] = await self._facade.copilot.summarize(remarks, locale, occasion)

        async def show() -> None:
            found = await self._facade.showcase.suggested(question, session.customer_id)
            help["products"] = list(map(suggested_card, found))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(summarize)
            tasks.start_soon(show)
            if question:
                tasks.start_soon(suggest)
        return help


def _question(messages: list[Message], wording: Wording) -> tuple[str, list[Said]]:
    """What the customer said last, all of it, and what was said before."""
    own = [number for number, each in enumerate(messages) if each.sender_type == "customer"]
    if not own:
        return "", []
    first = last = own[-1]
    while first and messages[first - 1].sender_type == "customer":
        first -= 1
    asked = "\n".join(wording.words(each) for each in messages[first : last + 1])
    earlier = [
        Said(
            "customer" if each.sender_type == "customer" else "bot",
            wording.words(each),
            each.timestamp.timestamp(),
        )
        for each in messages[:first]
        if each.sender_type != "system"
    ]
    return asked, earlier


def _occasion(session: Session) -> Occasion:
    called = session.called
    details = (called.body or {}).get("details") if called is not None else None
    return Occasion(
        customer=session.customer_name,
        is_vip=session.is_vip,
        topic=session.topic,
        reason=called.reason if called is not None else None,
        details=", ".join(str(each) for each in details) if details else None,
    )
