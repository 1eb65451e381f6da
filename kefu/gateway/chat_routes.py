"""Every way into a chat: sockets, streams and POSTs, and older messages."""

from starlette.requests import Request
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp

from kefu.gateway.door import Door
from kefu.gateway.history import History
from kefu.gateway.ports import Backstage
from kefu.gateway.posts import Posts
from kefu.gateway.sockets import Socket
from kefu.gateway.streams import Streams


def routes(backstage: Backstage, door: Door) -> list[BaseRoute]:
    chat = Socket(backstage, door)
    workbench = Socket(backstage, door, is_workbench=True)
    streams, posts = Streams(backstage, door), Posts(backstage, door)
    history = History(backstage, door)

    async def frames(request: Request) -> ASGIApp:
        return await (posts.take if request.method == "POST" else streams.open)(request)

    sockets = {"/ws": chat, "/ws/chat": chat, "/ws/workbench": workbench}
    return [
        *(WebSocketRoute(path, socket) for path, socket in sockets.items()),
        *(Route(path, socket.explain, methods=["GET"]) for path, socket in sockets.items()),
        Route("/api/chat/frames", frames, methods=["GET", "POST"]),
        Route("/api/chats/{chat_id}/messages", history.page, methods=["GET"]),
    ]
