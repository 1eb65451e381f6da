"""What robots take and answer: bounds in bytes, signatures, and the code in the body."""

import json
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.notifications.robot_wire import (
    TEXT_BYTES,
    RobotKind,
    Verdict,
    call,
    cut,
    dingtalk_sign,
    feishu_sign,
    verdict,
)

KINDS: tuple[RobotKind, ...] = get_args(RobotKind)
URL = "https://robot.example/send?key=k"
NOW = 1_795_000_000.9


def text_of(kind: RobotKind, text: str) -> str:
    body = call(kind, URL, "secret", text, NOW).body
    places = {
        "wecom": ("text", "content"),
        "dingtalk": ("markdown", "text"),
        "feishu": ("content", "text"),
        "slack": ("text",),
    }
    said: Any = body
    for place in places[kind]:
        said = said[place]
    assert isinstance(said, str)
    return said


@given(st.sampled_from(KINDS), st.text(max_size=50), st.integers(1, 500))
def test_no_text_is_longer_than_its_robot_takes(kind: RobotKind, text: str, times: int) -> None:
    assert len(text_of(kind, text * times).encode()) <= TEXT_BYTES[kind]


@given(st.text(), st.integers(3, 60))
def test_a_cut_never_splits_a_character(text: str, limit: int) -> None:
    short = cut(text, limit)
    assert len(short.encode()) <= limit
    if len(text.encode()) <= limit:
        assert short == text
    else:
        assert short.endswith("…")
        assert text.startswith(short[:-1])
        assert len(short.encode()) > limit - 4


def test_halves_of_characters_are_no_reason_to_fail() -> None:
    assert cut("a\ud800b", 10) == "a?b"


def test_signatures_are_those_that_were_published() -> None:
    # made with openssl: printf 'ts\nsecret' | openssl dgst -sha256 -hmac secret -binary | base64
    assert dingtalk_sign("SECabc", "1795000000900") == DINGTALK
    assert feishu_sign("SECabc", "1795000000") == FEISHU


DINGTALK = "nH3XC5XgFCmZt+MRde/0zPyH7sDt15YWyuPMAPBg4UM="
FEISHU = "sue4/bR8UnKK3RsEc2WupGcKzUfS+TVsWYd5BBXxpAc="


def test_dingtalk_is_signed_in_its_address_and_feishu_in_its_body() -> None:
    asked = call("dingtalk", URL, "SECabc", "hello", NOW)
    query = parse_qs(urlsplit(asked.url).query)
    assert query == {"key": ["k"], "timestamp": ["1795000000900"], "sign": [DINGTALK]}
    assert call("dingtalk", URL, None, "hello", NOW).url == URL
    body = call("feishu", URL, "SECabc", "hello", NOW).body
    assert (body["timestamp"], body["sign"], body["msg_type"]) == ("1795000000", FEISHU, "text")
    assert "sign" not in call("feishu", URL, None, "hello", NOW).body


def test_nothing_in_a_text_calls_everybody() -> None:
    assert text_of("slack", "<!channel> & <@U1>") == "&lt;!channel&gt; &amp; &lt;@U1&gt;"
    assert "<" not in text_of("feishu", '<at user_id="all"></at>')
    assert "](" not in text_of("dingtalk", "[win](http://evil.example) <b>")
    assert "mentioned_list" not in call("wecom", URL, None, "@all", NOW).body["text"]


def test_a_cut_leaves_no_half_of_an_escape() -> None:
    for n in range(8):
        said = text_of("slack", "x" * n + "&" * 5000)
        assert said.replace("&amp;", "").strip("x") == "…"


@pytest.mark.parametrize(
    ("kind", "status", "body", "expected"),
    [
        ("wecom", 200, {"errcode": 0, "errmsg": "ok"}, Verdict("ok")),
        ("wecom", 200, {"errcode": 45009}, Verdict("later", 45009)),
        ("wecom", 200, {"errcode": 93000}, Verdict("refused", 93000)),
        ("dingtalk", 200, {"errcode": 0}, Verdict("ok")),
        ("dingtalk", 200, {"errcode": 310000}, Verdict("refused", 310000)),
        ("feishu", 200, {"code": 0, "msg": "success"}, Verdict("ok")),
        ("feishu", 200, {"code": 19021}, Verdict("refused", 19021)),
        ("feishu", 200, {"code": 9499}, Verdict("refused", 9499)),
        ("feishu", 200, {"code": 11232}, Verdict("later", 11232)),
        ("feishu", 400, {"code": 0}, Verdict("refused", 0)),
        ("wecom", 503, {"errcode": 0}, Verdict("later", 503)),
    ],
)
def test_the_code_in_the_body_counts(
    kind: RobotKind, status: int, body: object, expected: Verdict
) -> None:
    assert verdict(kind, status, json.dumps(body).encode()) == expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"ok", Verdict("ok")),
        (200, b"<html>welcome</html>", Verdict("refused", 200)),
        (404, b"no_service", Verdict("refused", 404)),
        (429, b"rate_limited", Verdict("later", 429)),
    ],
)
def test_slack_answers_in_words(status: int, body: bytes, expected: Verdict) -> None:
    assert verdict("slack", status, body) == expected


@pytest.mark.parametrize(
    "body",
    [b"", b"ok", b"[]", b"{}", b'{"errcode": "0"}', b'{"errcode": true}', b"\xff", b"[" * 5000],
)
@pytest.mark.parametrize("kind", ["wecom", "dingtalk", "feishu"])
def test_an_answer_that_is_none_is_a_refusal(kind: RobotKind, body: bytes) -> None:
    assert verdict(kind, 200, body) == Verdict("refused", 200)
