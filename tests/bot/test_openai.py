"""A turn with anything that speaks OpenAI's API, in all the ways they differ."""

from contextlib import aclosing
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from kefu.bot.http import Client
from kefu.bot.openai import Openai
from kefu.bot.options import OpenaiOptions
from kefu.bot.ports import (
    BadCredentials,
    Exhausted,
    Line,
    Overlong,
    ProviderError,
    Refused,
    Rejected,
    Shortened,
    Transient,
)
from tests.bot import parts
from tests.fakes.clock import HandClock
from tests.fakes.upstream import transcripts
from tests.fakes.upstream.behaviour import PIECES, Behaviour, Upstream, refused
from tests.fakes.upstream.providers import API_KEY

LINES = (Line("system", "rules"), Line("user", "怎么退货"))
HELLO = transcripts.openai_chunk([{"index": 0, "delta": {"content": "好"}}])
STOP = transcripts.openai_chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}])
DONE = b"data: [DONE]\n\n"


async def heard(openai: Openai) -> list[str]:
    async with aclosing(openai.write(LINES)) as pieces:
        return [piece async for piece in pieces]


def error(code: object = None, type: str | None = None) -> dict[str, Any]:
    return {"error": {"message": "unauthorized", "type": type, "param": None, "code": code}}


async def test_a_turn_is_asked_for_as_openai_documents_it(
    openai: Openai, upstream: Upstream
) -> None:
    await heard(openai)
    (seen,) = upstream.seen
    assert seen.headers["authorization"] == f"Bearer {API_KEY}"
    assert seen.body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "rules"},
            {"role": "user", "content": "怎么退货"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_a_server_in_the_house_may_want_no_key(
    address: str, client: Client, clock: HandClock, upstream: Upstream
) -> None:
    options = OpenaiOptions(base_url=f"{address}/v1/", model="m")
    with pytest.raises(BadCredentials):  # this one does want one
        await heard(Openai(options, client, clock))
    assert "authorization" not in upstream.seen[0].headers


@pytest.mark.parametrize("chunk_bytes", [None, 1, 17])
async def test_the_deltas_are_the_answer(
    openai: Openai, upstream: Upstream, chunk_bytes: int | None
) -> None:
    upstream.next("openai", Behaviour(chunk_bytes=chunk_bytes))
    assert await heard(openai) == list(PIECES)
    assert (openai.usage.input_tokens, openai.usage.output_tokens) == (9, 6)


@pytest.mark.parametrize(
    "stream",
    [
        transcripts.openai(("好",), is_done=False),
        HELLO + STOP,
        HELLO + DONE,
        b": keep-alive\n\n" + HELLO + b": keep-alive\n\n" + STOP + DONE,
        HELLO + STOP + transcripts.openai_chunk(None, {"prompt_tokens": 1}) + DONE,
        transcripts.openai_chunk([]) + HELLO + transcripts.openai_chunk(None) + DONE,
        transcripts.openai_chunk([{"delta": {"content": None, "reasoning": "x"}}]) + HELLO + STOP,
        transcripts.openai_chunk([{"delta": None}]) + HELLO + STOP,
        HELLO + STOP + b"data: nonsense\n\n",
    ],
)
async def test_what_servers_leave_out_or_add_changes_nothing(
    openai: Openai, upstream: Upstream, stream: bytes
) -> None:
    upstream.next("openai", Behaviour(transcript=stream))
    assert await heard(openai) == ["好"]


async def test_a_server_that_does_not_stream_is_heard_all_the_same(
    openai: Openai, upstream: Upstream
) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "您好"}}
    upstream.next("openai", refused(200, {"choices": [choice]}))
    assert await heard(openai) == ["您好"]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, error("rate_limit_exceeded"), Transient),
        (408, error(), Transient),
        (409, error(), Transient),
        (500, error(), Transient),
        (529, error(), Transient),
        (429, error("insufficient_quota"), Exhausted),
        (429, error(None, "insufficient_quota"), Exhausted),
        (402, error(), Exhausted),
        (401, error("invalid_api_key"), BadCredentials),
        (403, error(), Rejected),
        (404, error("model_not_found"), Rejected),
        (400, error("context_length_exceeded"), Overlong),
        (400, error("content_filter"), Refused),
        (400, error("data_inspection_failed"), Refused),
        (422, {"detail": [{"msg": "field required"}]}, Rejected),
        (400, {"error": "just a sentence"}, Rejected),
    ],
)
async def test_every_refusal_says_what_to_do(
    openai: Openai, upstream: Upstream, status: int, body: object, kind: type[ProviderError]
) -> None:
    upstream.next("openai", refused(status, body, x_request_id="req-1"))
    with pytest.raises(ProviderError) as caught:
        await heard(openai)
    assert type(caught.value) is kind
    assert caught.value.trace == "req-1"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (error("server_error"), Transient),
        (error(429), Transient),
        (error(400), Rejected),
        (error(401), BadCredentials),
        (error("insufficient_quota"), Exhausted),
        ({"error": "out of memory"}, Transient),
    ],
)
async def test_an_error_inside_the_stream_keeps_what_came_before(
    openai: Openai, upstream: Upstream, body: object, kind: type[ProviderError]
) -> None:
    broken = b"data: " + refused(200, body).body + b"\n\n"
    upstream.next("openai", Behaviour(transcript=HELLO + broken))
    got: list[str] = []
    with pytest.raises(ProviderError) as caught:
        await parts.collect(openai.write(LINES), got.append)
    assert type(caught.value) is kind
    assert got == ["好"]


@pytest.mark.parametrize(
    ("behaviour", "kind", "code"),
    [
        (Behaviour(transcript=b""), Transient, "broken_off"),
        (Behaviour(transcript=HELLO), Transient, "broken_off"),
        (Behaviour(transcript=transcripts.openai(("好",), "length")), Shortened, "length"),
        (Behaviour(transcript=transcripts.openai((), "content_filter")), Refused, "content_filter"),
        (Behaviour(transcript=b"data: nonsense\n\n"), Rejected, "garbage"),
        (Behaviour(transcript=b'data: {"choices": 5}\n\n'), Rejected, "garbage"),
        (Behaviour(body=b"<html>", content_type="text/html"), Rejected, "not_a_stream"),
        (Behaviour(status=502, body=b"<html>", content_type="text/html"), Transient, "http_502"),
        (Behaviour(status=500, body=b"oops"), Transient, "http_500"),
    ],
)
async def test_what_is_no_whole_answer_says_what_to_do(
    openai: Openai, upstream: Upstream, behaviour: Behaviour, kind: type[ProviderError], code: str
) -> None:
    upstream.next("openai", behaviour)
    with pytest.raises(ProviderError) as caught:
        await heard(openai)
    assert (type(caught.value), caught.value.code) == (kind, code)


async def test_the_server_says_when_to_come_back_and_whether(
    openai: Openai, upstream: Upstream, clock: HandClock
) -> None:
    date = format_datetime(clock.now() + timedelta(seconds=30), usegmt=True)
    for headers, pause in (
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "4"}, 4.0),
        ({"retry_after": date}, 30.0),
        ({}, None),
    ):
        upstream.next("openai", refused(429, error(), **headers))
        with pytest.raises(Transient) as caught:
            await heard(openai)
        assert caught.value.retry_after_s == pause
    upstream.next("openai", refused(500, error(), x_should_retry="false"))
    with pytest.raises(Rejected):
        await heard(openai)
    upstream.next("openai", refused(400, error(), x_should_retry="true"))
    with pytest.raises(Transient):
        await heard(openai)


async def test_an_answer_that_is_whole_does_not_wait_for_the_end(
    openai: Openai, upstream: Upstream
) -> None:
    upstream.next("openai", Behaviour(transcript=HELLO + STOP, hangs_at=10_000))
    assert await heard(openai) == ["好"]
