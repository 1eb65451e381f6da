"""Looking at sessions: one with its history and trail, lists of them, the queue, and figures."""

from datetime import timedelta
from typing import Any, Final, cast, get_args
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from kefu.agents.tokens import AgentIdentity
from kefu.bodies import answer, read_number
from kefu.conversations.figures.store import AgentCounts, BotCounts
from kefu.conversations.sessions.store import PHASE, Filter, Scope, Session, Sort
from kefu.errors import Problem
from kefu.gateway.facade.callers import Callers
from kefu.gateway.facade.ports import Facade
from kefu.gateway.facade.reading import read_choice, read_instant, read_text, wrong_field
from kefu.gateway.facade.view import (
    OWN_WISH,
    audit_line,
    queue_around,
    queue_of,
    session_shown,
)
from protocol.codes import ErrorCode
from protocol.facade import SessionStatus
from protocol.server import AgentPresence
from protocol.sessions import (
    AgentFigures,
    BotFigures,
    CustomerType,
    SessionDetail,
    SessionFigures,
    SessionPage,
    SessionShown,
    WaitingFigures,
)

PAGE: Final = 50
PAGE_MOST: Final = 100
OFFSET_MOST: Final = 1_000_000
FIGURES_HOURS: Final = 24
FIGURES_HOURS_MOST: Final = 24 * 31
ALL: Final = "all"


class Sessions:
    """The endpoints. Each raises Problem or StoreUnavailable."""

    def __init__(self, facade: Facade, callers: Callers) -> None:
        self._facade = facade
        self._store = facade.sessions
        self._clock = facade.backstage.clock
        self._callers = callers

    # --- one --------------------------------------------------------------------------------------

    async def find(self, name: str) -> Session:
        """The session of that name. Raises Problem(CHAT_NOT_FOUND)."""
        return await self.of(await self._callers.find(name))

    async def of(self, customer_id: UUID) -> Session:
        """Raises Problem(CHAT_NOT_FOUND) for a customer who never had a chat."""
        session = await self._store.of_customer(customer_id)
        if session is None:
            raise Problem(ErrorCode.CHAT_NOT_FOUND)
        return session

    async def shown_of(self, customer_id: UUID) -> SessionShown:
        return await self._shown(await self.of(customer_id))

    async def shown_of_chat(self, chat_id: UUID) -> SessionShown:
        """That chat, though the customer may have a newer one."""
        session = await self._store.of_chat(chat_id)
        if session is None:
            raise Problem(ErrorCode.CHAT_NOT_FOUND)
        return await self._shown(session)

    async def _shown(self, session: Session) -> SessionShown:
        queue = await queue_around(self._store, self._clock, session)
        conversation_id = await self._facade.conversation_of(session.sub)
        messages = await self._store.history(session)
        return session_shown(session, queue, conversation_id, messages)

    async def one(self, request: Request) -> Response:
        """For its customer and for agents."""
        name = request.path_params["session_name"]
        reader = await self._callers.reader(request, name)
        session = await self.find(name)
        is_for_customer = not isinstance(reader, AgentIdentity)
        trail = await self._store.trail(session.chat_id)
        lines = tuple(audit_line(step, is_for_customer=is_for_customer) for step in trail)
        return answer(SessionDetail(await self._shown(session), lines))

    # --- many -------------------------------------------------------------------------------------

    async def page(self, request: Request) -> Response:
        identity = await self._facade.guard.require(request, "chats.answer")
        wanted, sort = _filter(request, identity), _sort(request)
        limit = read_number(request, "limit", default=PAGE, least=1, most=PAGE_MOST)
        offset = read_number(request, "offset", default=0, least=0, most=OFFSET_MOST)
        queue = await queue_of(self._store, self._clock)
        found, total = await self._store.page(wanted, sort, queue.ids, limit=limit, offset=offset)
        shown = tuple(session_shown(session, queue, None) for session in found)
        return answer(SessionPage(shown, total))

    async def queue(self, request: Request) -> Response:
        await self._facade.guard.require(request, "chats.answer")
        return answer((await queue_of(self._store, self._clock)).shown())

    # --- figures ----------------------------------------------------------------------------------

    async def stats(self, request: Request) -> Response:
        """Of the last `hours`."""
        await self._facade.guard.require(request, "chats.answer")
        hours = read_number(
            request, "hours", default=FIGURES_HOURS, least=1, most=FIGURES_HOURS_MOST
        )
        since = self._clock.now() - timedelta(hours=hours)
        counts = await self._facade.figures.since(since)
        queue = (await queue_of(self._store, self._clock)).shown()
        presences = await self._facade.presences.known()
        by_status = {phase: counts.by_status.get(status, 0) for status, phase in PHASE.items()}
        figures = SessionFigures(
            since=since.timestamp(),
            total=sum(by_status.values()),
            by_status=by_status,
            waiting=WaitingFigures(
                queue.total_count, queue.vip_count, queue.avg_wait_time, queue.max_wait_time
            ),
            active_agents=sum(agent.status != "offline" for agent in presences),
            agents_by_status=_counted(presences),
            by_reason=_by_reason(counts.by_reason),
            ai_quality=_bot(counts.bot),
            agent_efficiency=tuple(_agent(each, presences) for each in counts.agents),
        )
        return answer(figures)


def _filter(request: Request, identity: AgentIdentity) -> Filter:
    status = read_choice(request, "status", (*get_args(SessionStatus), ALL))
    kind = read_choice(request, "customer_type", (*get_args(CustomerType), ALL))
    keyword = read_text(request, "keyword", most=100)
    since, until = read_instant(request, "time_start"), read_instant(request, "time_end")
    agent = read_text(request, "agent", most=64) or ALL
    return Filter(
        scope=_scope(status),
        phase=cast(Any, None if status == ALL else status),
        agent_id=_agent_id(agent, identity),
        is_unassigned=agent == "unassigned",
        customer_type=cast(Any, None if kind == ALL else kind),
        keyword=keyword,
        since=since,
        until=until,
    )


def _scope(status: str | None) -> Scope:
    """A session is an open chat; closed ones are listed where they are asked for."""
    if status == ALL:
        return "all"
    return "closed" if status == "closed" else "open"


def _agent_id(text: str, identity: AgentIdentity) -> UUID | None:
    if text in (ALL, "unassigned"):
        return None
    if text in ("mine", identity.username):
        return identity.agent_id
    try:
        return UUID(text)
    except ValueError:
        raise wrong_field("agent", "agent is all, mine, unassigned or an agent's id.") from None


def _sort(request: Request) -> Sort:
    return cast(Sort, read_choice(request, "sort", get_args(Sort)) or "default")


def _counted(presences: tuple[AgentPresence, ...]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for agent in presences:
        counts[agent.status] = counts.get(agent.status, 0) + 1
    return counts


def _by_reason(counts: dict[str, int]) -> dict[str, int]:
    """Who went to a human of their own accord is one reason, however they did."""
    reasons: dict[str, int] = {}
    for reason, count in counts.items():
        name = "manual" if reason in OWN_WISH else reason
        reasons[name] = reasons.get(name, 0) + count
    return reasons


def _bot(counts: BotCounts) -> BotFigures:
    by = counts.by_outcome
    answers = sum(by.values())
    return BotFigures(
        answers=answers,
        answered=by.get("answered", 0),
        unknown=by.get("unknown", 0),
        stood_in=by.get("stood_in", 0),
        failed=by.get("failed", 0),
        sessions=counts.sessions,
        handed_over=counts.handed_over,
        answered_rate=_share(by.get("answered", 0), answers),
        handover_rate=_share(counts.handed_over, counts.sessions),
    )


def _agent(counts: AgentCounts, presences: tuple[AgentPresence, ...]) -> AgentFigures:
    names = {agent.agent_id: agent.name for agent in presences}
    return AgentFigures(
        agent_id=counts.agent_id,
        name=counts.name or names.get(counts.agent_id, ""),
        active=counts.active,
        taken=counts.taken,
        avg_wait_time=_rounded(counts.wait_s),
        avg_first_response_time=_rounded(counts.first_response_s),
        avg_duration=_rounded(counts.duration_s),
    )


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
