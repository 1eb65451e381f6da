"""The robots' servers as they are published: what they take and refuse, and how they say so."""

import base64
import hashlib
import hmac
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from kefu.notifications.options import RobotOptions
from kefu.secret import Secret
from tests.fakes.clock import HandClock

KEY, SIGNING = "key-5b1c-canary", "SEC-canary-of-the-robot"
A_MINUTE, TOLERANCE_S = 20, 3600.0
OPTIONS = RobotOptions(
    wecom_webhook_url=Secret(f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={KEY}"),
    dingtalk_webhook_url=Secret(f"https://oapi.dingtalk.com/robot/send?access_token={KEY}"),
    dingtalk_secret=Secret(SIGNING),
    feishu_webhook_url=Secret(f"https://open.feishu.cn/open-apis/bot/v2/hook/{KEY}"),
    feishu_secret=Secret(SIGNING),
    slack_webhook_url=Secret(f"https://hooks.slack.com/services/T0/B0/{KEY}"),
)
HOSTS = {
    "wecom": "qyapi.weixin.qq.com",
    "dingtalk": "oapi.dingtalk.com",
    "feishu": "open.feishu.cn",
    "slack": "hooks.slack.com",
}


def only(kind: str) -> RobotOptions:
    """The options of one robot."""
    fields = {name: getattr(OPTIONS, name) for name in OPTIONS.__struct_fields__}
    return RobotOptions(**{name: value for name, value in fields.items() if name.startswith(kind)})


@dataclass
class RobotTown:
    """`said` is what each group has read, and when; `answers` are given first, one by one."""

    clock: HandClock
    said: dict[str, list[str]] = field(default_factory=dict)
    answers: dict[str, list[Response]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    times: dict[str, list[float]] = field(default_factory=dict)

    def http(self) -> httpx.AsyncClient:
        app = Starlette(
            routes=[
                Route("/cgi-bin/webhook/send", self._wecom, methods=["POST"]),
                Route("/robot/send", self._dingtalk, methods=["POST"]),
                Route("/open-apis/bot/v2/hook/{key}", self._feishu, methods=["POST"]),
                Route("/services/T0/B0/{key}", self._slack, methods=["POST"]),
            ]
        )
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=app))

    async def _wecom(self, request: Request) -> Response:
        body = await request.json()
        if request.query_params["key"] != KEY:
            return JSONResponse({"errcode": 93000, "errmsg": "invalid webhook url"})
        content = body[body["msgtype"]]["content"]
        limit = {"text": 2048, "markdown": 4096}[body["msgtype"]]
        if len(content.encode()) > limit:
            return JSONResponse({"errcode": 40058, "errmsg": "content exceed max length"})
        busy = JSONResponse({"errcode": 45009, "errmsg": "api freq out of limit"})
        return self._answer("wecom", content, JSONResponse({"errcode": 0, "errmsg": "ok"}), busy)

    async def _dingtalk(self, request: Request) -> Response:
        body, query = await request.json(), parse_qs(request.url.query)
        stamp = query["timestamp"][0]
        signed = hmac.new(SIGNING.encode(), f"{stamp}\n{SIGNING}".encode(), hashlib.sha256)
        is_signed = query["sign"][0] == base64.b64encode(signed.digest()).decode()
        is_fresh = abs(int(stamp) / 1000 - self.clock.now().timestamp()) < TOLERANCE_S
        if not (query["access_token"] == [KEY] and is_signed and is_fresh):
            return JSONResponse({"errcode": 310000, "errmsg": "sign not match"})
        text = body["markdown"]["text"] if body["markdown"]["title"] else ""
        busy = JSONResponse({"errcode": 130101, "errmsg": "send too fast"})
        return self._answer("dingtalk", text, JSONResponse({"errcode": 0, "errmsg": "ok"}), busy)

    async def _feishu(self, request: Request) -> Response:
        body = await request.json()
        key = f"{body['timestamp']}\n{SIGNING}".encode()
        signed = base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()
        is_fresh = abs(int(body["timestamp"]) - self.clock.now().timestamp()) < TOLERANCE_S
        if not (signed == body["sign"] and is_fresh):
            return JSONResponse({"code": 19021, "msg": "sign match fail"})
        good = JSONResponse({"code": 0, "msg": "success", "data": {}})
        busy = JSONResponse({"code": 11232, "msg": "frequency limited"})
        return self._answer("feishu", body["content"]["text"], good, busy)

    async def _slack(self, request: Request) -> Response:
        body: dict[str, Any] = await request.json()
        if request.path_params["key"] != KEY:
            return PlainTextResponse("no_service", 404)
        busy = PlainTextResponse("rate_limited", 429, headers={"Retry-After": "30"})
        return self._answer("slack", body["text"], PlainTextResponse("ok"), busy)

    def _answer(self, kind: str, text: str, good: Response, busy: Response) -> Response:
        self.calls[kind] += 1
        if self.answers.get(kind):
            return self.answers[kind].pop(0)
        now = self.clock.monotonic()
        times = self.times.setdefault(kind, [])
        if len([at for at in times if at > now - 60]) >= A_MINUTE:
            return busy
        times.append(now)
        self.said.setdefault(kind, []).append(text)
        return good
