"""The published interfaces of the providers, as strict as they are where kefu depends on it.

A JWT for Coze is taken once, a token belongs to one session name, and so does a conversation.
"""

from typing import Any

import jwt
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.fakes.upstream import transcripts
from tests.fakes.upstream.behaviour import Played, Upstream, refused
from tests.fakes.upstream.keys import KEY_ID, public_key

CLIENT_ID = "1100000000001"
WORKFLOW_ID, APP_ID = "7350000000000000001", "7442000000000000001"
API_KEY = "sk-of-the-shop"
SSE = "text/event-stream"
LONGEST_JWT_S = 3600
FAR_FUTURE = 4_000_000_000


class Coze:
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._used: set[str] = set()
        self._sessions: dict[str, str] = {}
        self._owners: dict[str, str] = {}

    def routes(self) -> list[Route]:
        return [
            Route("/api/permission/oauth2/token", self.token, methods=["POST"]),
            Route("/v1/conversation/create", self.conversation, methods=["POST"]),
            Route("/v1/workflows/chat", self.chat, methods=["POST"]),
        ]

    async def token(self, request: Request) -> Response:
        behaviour, seen = await self._upstream.take("token", request)
        claims = self._claims(request)
        if claims is None:
            error = {"error_code": "invalid_client", "error_message": "the JWT is not good"}
            return Played(refused(400, error), seen, b"")
        access = f"czs_{len(self._used)}_{claims['jti'][:8]}"
        self._sessions[access] = claims.get("session_name", "")
        granted = {"access_token": access, "expires_in": FAR_FUTURE, "token_type": "Bearer"}
        return Played(behaviour, seen, msgspec.json.encode(granted))

    async def conversation(self, request: Request) -> Response:
        behaviour, seen = await self._upstream.take("conversation", request)
        session = self._session(request)
        if session is None:
            return Played(refused(200, _error(4100)), seen, b"")
        id = str(7_499_000_000_000_000_000 + len(self._owners))
        self._owners[id] = session
        conversation = {
            "id": id,
            "name": "",
            "meta_data": {},
            "creator_id": "2478000000000001",
            "created_at": 1718289297,
            "updated_at": 1718289297,
            "last_section_id": id,
            "connector_id": "1024",
        }
        body = {"data": conversation, "detail": {"logid": "2024"}, "code": 0, "msg": ""}
        return Played(behaviour, seen, msgspec.json.encode(body))

    async def chat(self, request: Request) -> Response:
        behaviour, seen = await self._upstream.take("chat", request)
        session, body = self._session(request), seen.body
        if session is None:
            return Played(refused(200, _error(4100)), seen, b"")
        id = body.get("conversation_id", "")
        if id and self._owners.get(id) != session:
            return Played(refused(200, _error(4002)), seen, b"")
        if not (body.get("workflow_id") and body.get("additional_messages")) or (
            "app_id" in body and "bot_id" in body
        ):
            return Played(refused(200, _error(4000)), seen, b"")
        return Played(behaviour, seen, transcripts.coze(behaviour.pieces, id), SSE)

    def lose_conversations(self) -> None:
        self._owners = dict.fromkeys(self._owners, "nobody")

    def revoke_tokens(self) -> None:
        self._sessions.clear()

    def _session(self, request: Request) -> str | None:
        return self._sessions.get(_bearer(request))

    def _claims(self, request: Request) -> dict[str, Any] | None:
        host = request.url.hostname or ""
        try:
            claims: dict[str, Any] = jwt.decode(
                _bearer(request),
                public_key(),
                algorithms=["RS256"],
                audience=[host, request.url.netloc],
                issuer=CLIENT_ID,
                options={
                    "require": ["iss", "aud", "iat", "exp", "jti"],
                    "verify_iat": False,
                    "verify_exp": False,  # the caller's clock is turned by hand
                },
            )
            header = jwt.get_unverified_header(_bearer(request))
        except jwt.InvalidTokenError:
            return None
        is_timely = 0 < claims["exp"] - claims["iat"] <= LONGEST_JWT_S
        if header.get("kid") != KEY_ID or claims["jti"] in self._used or not is_timely:
            return None
        self._used.add(claims["jti"])
        return claims


class Models:
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def routes(self) -> list[Route]:
        native = "/api/v1/services/aigc/text-generation/generation"
        return [
            Route(native, self.dashscope, methods=["POST"]),
            Route("/v1/chat/completions", self.openai, methods=["POST"]),
        ]

    async def dashscope(self, request: Request) -> Response:
        behaviour, seen = await self._upstream.take("dashscope", request)
        if _bearer(request) != API_KEY:
            error = {"code": "InvalidApiKey", "message": "no", "request_id": "req-1"}
            return Played(refused(401, error), seen, b"")
        if request.headers.get("x-dashscope-sse") == "enable":
            return Played(behaviour, seen, transcripts.dashscope(behaviour.pieces), SSE)
        as_message = seen.body.get("parameters", {}).get("result_format") == "message"
        whole = transcripts.dashscope_whole(behaviour.pieces, as_message=as_message)
        return Played(behaviour, seen, whole)

    async def openai(self, request: Request) -> Response:
        behaviour, seen = await self._upstream.take("openai", request)
        if _bearer(request) != API_KEY:
            error = {"error": {"message": "no", "type": "auth", "param": None, "code": "bad_key"}}
            return Played(refused(401, error), seen, b"")
        if not seen.body.get("stream"):
            return Played(refused(400, {"error": {"message": "stream only"}}), seen, b"")
        return Played(behaviour, seen, transcripts.openai(behaviour.pieces), SSE)


class Providers:
    """All of them behind one address, as `app`."""

    def __init__(self) -> None:
        self.upstream = Upstream()
        self.coze = Coze(self.upstream)
        self.app = Starlette(routes=[*self.coze.routes(), *Models(self.upstream).routes()])


def _bearer(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def _error(code: int) -> dict[str, Any]:
    return {"code": code, "msg": "no", "detail": {"logid": "2024"}}
