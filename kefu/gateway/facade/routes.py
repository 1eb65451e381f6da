"""Every address of the facade."""

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from kefu.gateway.facade.about import About
from kefu.gateway.facade.assistance import Assistance
from kefu.gateway.facade.callers import Callers
from kefu.gateway.facade.chat import Chat
from kefu.gateway.facade.handoff import Handoff
from kefu.gateway.facade.listening import Listening
from kefu.gateway.facade.ports import Facade
from kefu.gateway.facade.products import Products
from kefu.gateway.facade.sessions import Sessions


def routes(facade: Facade) -> list[BaseRoute]:
    backstage, sessions = facade.backstage, facade.sessions
    callers = Callers(facade.door, backstage.hub, sessions, facade.rates, facade.streams)
    chat, about = Chat(facade, callers), About(facade)
    listening, assistance = Listening(facade, callers), Assistance(facade)
    looking = Sessions(facade, callers)
    handoff = Handoff(facade, callers, looking)

    async def stream(request: Request) -> ASGIApp:
        return await (chat.stream if request.method == "POST" else listening.session)(request)

    one = "/api/sessions/{session_name}"
    return [
        Route("/api/conversation/new", chat.begin, methods=["POST"]),
        Route("/api/conversation/create", chat.create, methods=["POST"]),
        Route("/api/conversation/clear", chat.clear, methods=["POST"]),
        Route("/api/chat", chat.ask, methods=["POST"]),
        Route("/api/chat/stream", stream, methods=["GET", "POST"]),
        Route("/api/chat/events", listening.session, methods=["GET"]),
        Route("/api/bot/info", about.bot, methods=["GET"]),
        Route("/api/health", about.health, methods=["GET"]),
        Route("/health", about.health, methods=["GET"]),
        Route("/api/config", about.config, methods=["GET"]),
        Route("/api/token/info", about.token_info, methods=["GET"]),
        Route("/api/manual/escalate", handoff.escalate, methods=["POST"]),
        Route("/api/manual/messages", handoff.say, methods=["POST"]),
        Route("/api/sessions", looking.page, methods=["GET"]),
        Route("/api/sessions/queue", looking.queue, methods=["GET"]),
        Route("/api/sessions/stats", looking.stats, methods=["GET"]),
        Route(one, looking.one, methods=["GET"]),
        Route(f"{one}/takeover", handoff.take_over, methods=["POST"]),
        Route(f"{one}/release", handoff.release, methods=["POST"]),
        Route(f"{one}/transfer", handoff.transfer, methods=["POST"]),
        Route(f"{one}/email", handoff.email, methods=["POST"]),
        Route("/api/transfer-requests/pending", handoff.pending, methods=["GET"]),
        Route("/api/transfer-requests/{request_id}/respond", handoff.respond, methods=["POST"]),
        Route("/api/agent/events", listening.desk, methods=["GET"]),
        Route("/api/chats/{chat_id}/copilot", assistance.help, methods=["GET"]),
        Route("/api/chats/{chat_id}/products", Products(facade).of_chat, methods=["GET"]),
    ]
