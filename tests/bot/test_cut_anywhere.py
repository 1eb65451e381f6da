"""Transcripts cut at every byte, damaged, and answers made of lies: there is always a sentence."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kefu.bot.breaker import Breaker
from kefu.bot.coze import Coze
from kefu.bot.coze_tokens import PATH, CozeTokens
from kefu.bot.dashscope import Dashscope
from kefu.bot.grounded import Grounded
from kefu.bot.http import Client
from kefu.bot.openai import Openai
from kefu.bot.options import Limits
from kefu.bot.ports import Provider
from tests.bot.canned import Canned, client_of
from tests.bot.parts import (
    Heard,
    Stand,
    ask,
    coze_options,
    dashscope_options,
    openai_options,
    question,
)
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy
from tests.fakes.upstream import transcripts
from tests.fakes.upstream.keys import private_key

PIECES = ("七天\u2028内", "可退 🙂")
WHOLE = "".join(PIECES)
STREAMS = {
    "coze": b"".join((*transcripts.coze_message("1", PIECES, "7"), *transcripts.coze_end("7"))),
    "dashscope": transcripts.dashscope(PIECES),
    "openai": transcripts.openai(PIECES),
}
ADDRESS = "http://upstream"
CHAT = ("/v1/workflows/chat", "/generation", "/chat/completions")


def provider(name: str, client: Client) -> Provider:
    clock, entropy, limits = HandClock(), SeededEntropy(), Limits()
    if name == "coze":
        options = coze_options(ADDRESS)
        return Coze(
            options, client, CozeTokens(options, private_key(), client, clock, entropy), clock
        )
    if name == "dashscope":
        return Grounded(Dashscope(dashscope_options(ADDRESS), client, clock), limits)
    return Grounded(Openai(openai_options(ADDRESS), client, clock), limits)


def preface(url: str) -> Canned:
    """What comes before a turn with Coze: a token and a conversation."""
    body: dict[str, object] = {"code": 0, "data": {"id": "7499"}}
    if url.endswith(PATH):
        body = {"access_token": "czs_1", "expires_in": 4_000_000_000}
    return Canned(msgspec.json.encode(body), headers={"Content-Type": "application/json"})


@asynccontextmanager
async def on_stage(
    name: str, answer: Callable[[], Canned], limits: Limits | None = None
) -> AsyncIterator[Stand]:
    def answering(url: str) -> Canned:
        return answer() if url.endswith(CHAT) else preface(url)

    breaker = Breaker(threshold=10**9)
    yield Stand(provider(name, client_of(answering)), breaker=breaker, limits=limits)


async def played(name: str, answer: Callable[[], Canned]) -> Heard:
    async with on_stage(name, answer) as scene:
        return await ask(scene.bot)


@pytest.mark.parametrize("name", STREAMS)
async def test_a_transcript_cut_at_any_byte_is_an_honest_answer(name: str) -> None:
    stream = STREAMS[name]
    ends: list[int] = []

    def canned() -> Canned:
        """Every second time the stream ends politely there, as if it were whole."""
        return Canned(stream[: ends[-1]], is_lost=ends[-1] % 2 == 0)

    async with on_stage(name, canned, Limits(attempts=1)) as scene:
        for end in range(len(stream) + 1):
            ends.append(end)
            heard = await ask(scene.bot)
            answer = heard.answer
            if answer.outcome == "failed":
                assert heard.pieces == []
            else:
                assert answer.text in ("".join(PIECES[:n]) for n in (1, 2))
                assert answer.is_cut or answer.text == WHOLE


@pytest.mark.parametrize("name", STREAMS)
async def test_a_transcript_in_single_bytes_is_the_same_answer(name: str) -> None:
    single = [bytes([byte]) for byte in STREAMS[name]]
    heard = await played(name, lambda: Canned(*single))
    assert (heard.answer.text, heard.answer.is_cut) == (WHOLE, False)
    assert heard.pieces == list(PIECES)


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=25, deadline=None)
@given(
    body=st.binary(max_size=400)
    | st.sampled_from([*STREAMS.values(), b"<html><body>Sign in</body></html>", b"{}", b"null"]),
    status=st.sampled_from([200, 200, 204, 302, 400, 401, 404, 429, 500, 503]),
    content_type=st.sampled_from(["text/event-stream", "text/html", "application/json", ""]),
    is_lost=st.booleans(),
)
async def test_a_provider_that_lies_is_answered_for(
    name: str, body: bytes, status: int, content_type: str, is_lost: bool
) -> None:
    headers = {"Content-Type": content_type}
    lie = partial(Canned, body, is_lost=is_lost, status=status, headers=headers)
    await played(name, lie)


MISTAKES = st.lists(
    st.tuples(st.integers(0, 10_000), st.sampled_from([b"", b"\0", b"}", b"\n\n", b"\xff", b'"'])),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("name", STREAMS)
@settings(max_examples=25, deadline=None)
@given(mistakes=MISTAKES)
async def test_a_transcript_with_damage_is_answered_for(
    name: str, mistakes: list[tuple[int, bytes]]
) -> None:
    stream = STREAMS[name]
    for place, damage in mistakes:
        at = place % len(stream)
        stream = stream[:at] + damage + stream[at + 1 :]
    await played(name, lambda: Canned(stream))


async def test_a_stream_that_is_given_up_is_closed() -> None:
    canned = Canned(*[bytes([byte]) for byte in STREAMS["coze"]])

    def say(_piece: str) -> None:
        scope.cancel()

    async with on_stage("coze", lambda: canned) as scene:
        with anyio.CancelScope() as scope:
            await scene.bot.answer(question(), say)
    assert scope.cancelled_caught
    assert canned.is_closed
