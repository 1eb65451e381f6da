"""Who may listen to what as events: customers to their session, agents to the queue and theirs."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from kefu.agents.tokens import AgentIdentity
from kefu.delivery import WORKBENCH, agent_topic
from kefu.dispatch import messages as dispatch
from kefu.errors import Problem
from kefu.gateway.agent_role import AgentRole
from kefu.gateway.connection import Connection
from kefu.gateway.cursor import Cursor
from kefu.gateway.customer_role import CustomerRole
from kefu.gateway.facade.callers import Callers, cookie_header
from kefu.gateway.facade.events import AgentEvents, CustomerEvents, SessionNames
from kefu.gateway.facade.live import LiveStream, Voice
from kefu.gateway.facade.ports import Facade
from kefu.gateway.streams import HEADERS
from protocol.codes import ErrorCode


class Listening:
    """The endpoints. Each returns the app that answers; raises Problem or StoreUnavailable."""

    def __init__(self, facade: Facade, callers: Callers) -> None:
        self._facade = facade
        self._callers = callers
        self._names = SessionNames(facade.sessions)

    async def session(self, request: Request) -> ASGIApp:
        """Without a name, the session of the cookie's guest."""
        name = request.query_params.get("session_name") or None
        caller = await self._callers.customer(request, name, stays=True)
        headers = HEADERS | cookie_header(caller, request)
        if request.method == "HEAD":
            return Response(headers=headers)
        role = CustomerRole(caller.identity, self._facade.backstage)
        voice = Voice(role, role.topics, CustomerEvents().of)
        allowance = self._callers.allowance_of(caller, request)
        return LiveStream(self._facade, voice, allowance, _last_id(request), headers)

    async def desk(self, request: Request) -> ASGIApp:
        facade = self._facade
        visitor = await facade.door.admit(request.scope, facade.backstage.hub)
        identity = visitor.identity
        if not isinstance(identity, AgentIdentity):
            raise Problem(ErrorCode.UNAUTHORIZED)
        identity.require("chats.answer")
        if request.method == "HEAD":
            return Response(headers=HEADERS)
        role = AgentRole(identity, facade.backstage, is_workbench=False)

        async def subscribe(connection: Connection, cursor: Cursor) -> None:
            """The queue from where the client is, or all of it."""
            feed_id, feed_seq = cursor.feed or (None, None)
            point = dispatch.SubscribeFeed(
                connection.origin(), identity.agent_id, feed_id, feed_seq
            )
            if not facade.backstage.ref(dispatch.KIND, dispatch.MAIN).tell(point):
                raise Problem(ErrorCode.OVERLOADED)

        events = AgentEvents(self._names)
        topics = (*role.topics, WORKBENCH)
        voice = Voice(role, topics, events.of, events.encode, subscribe, is_agents=True)
        allowance = facade.streams.of_person(agent_topic(identity.agent_id))
        return LiveStream(facade, voice, allowance, _last_id(request), HEADERS)


def _last_id(request: Request) -> str:
    return request.headers.get("last-event-id", "")
