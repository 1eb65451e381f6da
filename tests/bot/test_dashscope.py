"""A turn with DashScope's own API: what is asked, what is taken, what failures mean."""

from contextlib import aclosing

import pytest

from kefu.bot.dashscope import Dashscope
from kefu.bot.http import Client
from kefu.bot.options import DashscopeOptions
from kefu.bot.ports import (
    BadCredentials,
    Exhausted,
    Line,
    ProviderError,
    Refused,
    Rejected,
    Shortened,
    Transient,
)
from kefu.secret import Secret
from tests.bot import parts
from tests.fakes.clock import HandClock
from tests.fakes.upstream import transcripts
from tests.fakes.upstream.behaviour import PIECES, Behaviour, Upstream, refused
from tests.fakes.upstream.providers import API_KEY

LINES = (Line("system", "rules"), Line("user", "怎么退货"))
WHOLE = transcripts.dashscope_whole


async def heard(dashscope: Dashscope) -> list[str]:
    async with aclosing(dashscope.write(LINES)) as pieces:
        return [piece async for piece in pieces]


def failed(status: int, code: str) -> bytes:
    body = {"code": code, "message": "unauthorized, try later", "request_id": "req-9"}
    return transcripts.dashscope_event(3, "error", status, body)


async def test_a_turn_is_asked_for_as_dashscope_documents_it(
    dashscope: Dashscope, upstream: Upstream
) -> None:
    await heard(dashscope)
    (seen,) = upstream.seen
    assert seen.headers["authorization"] == f"Bearer {API_KEY}"
    assert seen.headers["x-dashscope-sse"] == "enable"
    assert seen.body == {
        "model": "qwen-turbo",
        "input": {
            "messages": [
                {"role": "system", "content": "rules"},
                {"role": "user", "content": "怎么退货"},
            ]
        },
        "parameters": {
            "result_format": "message",
            "incremental_output": True,
            "enable_thinking": False,
        },
    }


async def test_the_address_may_be_written_as_their_own_client_wants_it(
    address: str, client: Client, clock: HandClock
) -> None:
    options = DashscopeOptions(api_base=f"{address}/api/v1/", api_key=Secret(API_KEY))
    assert await heard(Dashscope(options, client, clock)) == list(PIECES)


@pytest.mark.parametrize("chunk_bytes", [None, 1, 13])
async def test_the_pieces_are_the_answer_and_the_last_usage_counts(
    dashscope: Dashscope, upstream: Upstream, chunk_bytes: int | None
) -> None:
    upstream.next("dashscope", Behaviour(chunk_bytes=chunk_bytes))
    assert await heard(dashscope) == list(PIECES)
    assert (dashscope.usage.input_tokens, dashscope.usage.output_tokens) == (10, 7)


@pytest.mark.parametrize("as_message", [True, False])
async def test_a_model_that_does_not_stream_is_heard_all_the_same(
    dashscope: Dashscope, upstream: Upstream, as_message: bool
) -> None:
    upstream.next("dashscope", Behaviour(body=WHOLE(("您", "好"), as_message=as_message)))
    assert await heard(dashscope) == ["您好"]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "Throttling.RateQuota", Transient),
        (429, "Throttling", Transient),
        (429, "Throttling.BurstRate", Transient),
        (408, "RequestTimeOut", Transient),
        (500, "InternalError.Algo", Transient),
        (503, "ModelUnavailable", Transient),
        (429, "Throttling.AllocationQuota", Exhausted),
        (400, "Arrearage", Exhausted),
        (400, "InvalidParameter", Rejected),
        (403, "AccessDenied.Unpurchased", Rejected),
        (401, "InvalidApiKey", BadCredentials),
        (400, "DataInspectionFailed", Refused),
        (400, "data_inspection_failed", Refused),
    ],
)
async def test_a_failure_means_the_same_before_and_inside_the_stream(
    dashscope: Dashscope, upstream: Upstream, status: int, code: str, kind: type[ProviderError]
) -> None:
    body = {"code": code, "message": "unauthorized", "request_id": "req-9"}
    for behaviour in (
        refused(status, body),
        Behaviour(transcript=failed(status, code)),
        Behaviour(status=status, transcript=failed(status, code)),
    ):
        upstream.always("dashscope", behaviour)
        with pytest.raises(ProviderError) as caught:
            await heard(dashscope)
        assert type(caught.value) is kind
        assert (caught.value.code, caught.value.trace) == (code, "req-9")


async def test_a_throttle_in_the_middle_keeps_what_came_before(
    dashscope: Dashscope, upstream: Upstream
) -> None:
    begun = transcripts.dashscope(("您", "好")).split(b"id:3")[0]
    upstream.next("dashscope", Behaviour(transcript=begun + failed(429, "Throttling")))
    got: list[str] = []
    with pytest.raises(Transient):
        await parts.collect(dashscope.write(LINES), got.append)
    assert got == ["您", "好"]


@pytest.mark.parametrize(
    ("behaviour", "kind", "code"),
    [
        (Behaviour(transcript=b""), Transient, "broken_off"),
        (Behaviour(transcript=transcripts.dashscope((), finish="null")), Transient, "broken_off"),
        (Behaviour(transcript=transcripts.dashscope(("好",), "length")), Shortened, "length"),
        (Behaviour(transcript=b"event:error\ndata:{}\n\n"), Rejected, "http_400"),
        (Behaviour(transcript=b"data:nonsense\n\n"), Rejected, "garbage"),
        (Behaviour(body=b"<html>", content_type="text/html"), Rejected, "not_a_stream"),
        (Behaviour(status=502, body=b"<html>", content_type="text/html"), Transient, "http_502"),
        (refused(429, {}, retry_after="3"), Transient, "http_429"),
    ],
)
async def test_what_is_no_whole_answer_says_what_to_do(
    dashscope: Dashscope,
    upstream: Upstream,
    behaviour: Behaviour,
    kind: type[ProviderError],
    code: str,
) -> None:
    upstream.next("dashscope", behaviour)
    with pytest.raises(ProviderError) as caught:
        await heard(dashscope)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert caught.value.retry_after_s == (3.0 if code == "http_429" else None)


async def test_an_answer_that_is_whole_does_not_wait_for_the_end(
    dashscope: Dashscope, upstream: Upstream
) -> None:
    whole = transcripts.dashscope(("好",))
    upstream.next("dashscope", Behaviour(transcript=whole, hangs_at=len(whole)))
    assert await heard(dashscope) == ["好"]
