"""What the robots of WeCom, DingTalk, Feishu and Slack take and answer.

They answer HTTP 200 also when they refuse: the code in the body counts. Texts are bounded in bytes
of UTF-8, and what a robot would read as a mention or as markup is made harmless.
"""

import base64
import hashlib
import hmac
import re
from typing import Any, Final, Literal, assert_never
from urllib.parse import quote_plus

import msgspec
from msgspec import Struct

RobotKind = Literal["wecom", "dingtalk", "feishu", "slack"]
Answered = Literal["ok", "later", "refused", "unknown"]

TEXT_BYTES: Final[dict[RobotKind, int]] = {
    "wecom": 2048,
    "dingtalk": 4096,
    "feishu": 4096,
    "slack": 4096,
}
TITLE_BYTES: Final = 64
# What they answer to too many messages a minute.
BUSY_CODES: Final[dict[RobotKind, frozenset[int]]] = {
    "wecom": frozenset({45009}),
    "dingtalk": frozenset({130101}),
    "feishu": frozenset({11232}),
    "slack": frozenset(),
}
_ELLIPSIS: Final = "…"


class Call(Struct, frozen=True):
    """One POST. The url holds a secret."""

    url: str
    body: dict[str, Any]


class Verdict(Struct, frozen=True):
    """`unknown`: it may have been heard. `code` is the robot's own, else the HTTP status."""

    answered: Answered
    code: int | None = None


def call(kind: RobotKind, url: str, secret: str | None, text: str, now_s: float) -> Call:
    """What tells a robot the text; the same address and time give the same call."""
    match kind:
        case "wecom":
            return Call(url, {"msgtype": "text", "text": {"content": cut(text, TEXT_BYTES[kind])}})
        case "dingtalk":
            title = cut(text.split("\n", 1)[0], TITLE_BYTES)
            # no tags, no links; its markdown wants an empty line where a new one begins
            harmless = text.replace("<", "＜").replace("](", "] (").replace("\n", "\n\n")
            marked = cut(harmless, TEXT_BYTES[kind])
            body = {"msgtype": "markdown", "markdown": {"title": title, "text": marked}}
            return Call(_signed_url(url, secret, now_s), body)
        case "feishu":
            plain = cut(
                text.replace("<", "＜"), TEXT_BYTES[kind]
            )  # <at user_id="all"> is a mention
            feishu: dict[str, Any] = {"msg_type": "text", "content": {"text": plain}}
            if secret is not None:
                stamp = str(int(now_s))
                feishu = {"timestamp": stamp, "sign": feishu_sign(secret, stamp), **feishu}
            return Call(url, feishu)
        case "slack":
            escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            short = cut(escaped, TEXT_BYTES[kind])
            return Call(url, {"text": re.sub(r"&[a-z]{0,3}(…?)$", r"\1", short)})
        case _:
            assert_never(kind)


def verdict(kind: RobotKind, status: int, body: bytes) -> Verdict:
    """What an answer means."""
    if status == 429 or status >= 500:
        return Verdict("later", status)
    if kind == "slack":
        is_ok = status == 200 and body.strip() == b"ok"
        return Verdict("ok") if is_ok else Verdict("refused", status)
    code = _code(body, "code" if kind == "feishu" else "errcode")
    if code is None:
        return Verdict("refused", status)
    if code == 0 and status == 200:
        return Verdict("ok")
    return Verdict("later" if code in BUSY_CODES[kind] else "refused", code)


def dingtalk_sign(secret: str, stamp: str) -> str:
    signed = hmac.digest(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256)
    return base64.b64encode(signed).decode()


def feishu_sign(secret: str, stamp: str) -> str:
    """The text is the key and nothing is signed with it: that is how Feishu wants it."""
    signed = hmac.digest(f"{stamp}\n{secret}".encode(), b"", hashlib.sha256)
    return base64.b64encode(signed).decode()


def cut(text: str, limit_bytes: int) -> str:
    """At most so many bytes of UTF-8; a character is never split."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit_bytes:
        return raw.decode()
    room = limit_bytes - len(_ELLIPSIS.encode())
    return raw[:room].decode("utf-8", "ignore") + _ELLIPSIS


def _signed_url(url: str, secret: str | None, now_s: float) -> str:
    if secret is None:
        return url
    stamp = str(int(now_s * 1000))
    joint = "&" if "?" in url else "?"
    return f"{url}{joint}timestamp={stamp}&sign={quote_plus(dingtalk_sign(secret, stamp))}"


def _code(body: bytes, name: str) -> int | None:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    code = found.get(name) if isinstance(found, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) else None
