"""A turn with a Coze workflow: what is asked, what is taken of the answer, what failures mean."""

from collections.abc import Sequence
from contextlib import aclosing

import pytest
from aiohttp import ClientSession

from kefu.bot.coze import Coze
from kefu.bot.coze_tokens import CozeTokens
from kefu.bot.http import Client
from kefu.bot.ports import (
    Ask,
    BadCredentials,
    Exhausted,
    LostConversation,
    Overlong,
    ProviderError,
    Refused,
    Rejected,
    Transient,
)
from tests.bot import parts
from tests.fakes.clock import HandClock
from tests.fakes.upstream import transcripts
from tests.fakes.upstream.behaviour import PIECES, Behaviour, Upstream, refused
from tests.fakes.upstream.providers import APP_ID, WORKFLOW_ID, Providers

BEGINNING = b"".join(transcripts.coze_beginning("7499"))
END = b"".join(transcripts.coze_end("7499"))
VERBOSE, *_ = transcripts.coze_end("7499")


async def begun(coze: Coze, session: str = "customer-1", text: str = "怎么退货") -> Ask:
    return Ask(session, await coze.new_conversation(session), text)


async def heard(coze: Coze, ask: Ask | None = None) -> list[str]:
    ask = ask or await begun(coze)
    async with aclosing(coze.stream(ask)) as pieces:
        return [piece async for piece in pieces]


async def heard_of(coze: Coze, upstream: Upstream, *parts_of_it: bytes) -> list[str]:
    upstream.next("chat", Behaviour(transcript=b"".join(parts_of_it)))
    return await heard(coze)


def message(id: str, *pieces: str) -> bytes:
    return b"".join(transcripts.coze_message(id, pieces, "7499"))


async def test_a_turn_is_asked_for_as_coze_documents_it(coze: Coze, upstream: Upstream) -> None:
    ask = await begun(coze)
    await heard(coze, ask)
    (created,), (seen,) = upstream.calls("conversation"), upstream.calls("chat")
    assert created.body == {}
    assert seen.headers["authorization"] == created.headers["authorization"]
    question = {"role": "user", "type": "question", "content": "怎么退货", "content_type": "text"}
    assert seen.body == {
        "workflow_id": WORKFLOW_ID,
        "app_id": APP_ID,
        "conversation_id": ask.conversation_id,
        "additional_messages": [question],
        "parameters": {"USER_INPUT": "怎么退货"},
        "session_name": "customer-1",
    }


async def test_the_session_name_can_be_left_out_of_the_body(
    address: str, client: Client, tokens: CozeTokens, clock: HandClock, upstream: Upstream
) -> None:
    options = parts.coze_options(f"{address}/", session_name_in_body=False)
    await heard(Coze(options, client, tokens, clock))
    (seen,) = upstream.calls("chat")
    assert "session_name" not in seen.body


async def test_two_sessions_share_neither_token_nor_conversation(
    coze: Coze, upstream: Upstream
) -> None:
    first, second = await begun(coze, "a"), await begun(coze, "b")
    await heard(coze, first)
    await heard(coze, second)
    one, other = upstream.calls("chat")
    assert one.headers["authorization"] != other.headers["authorization"]
    assert one.body["conversation_id"] != other.body["conversation_id"]
    with pytest.raises(LostConversation):
        await heard(coze, Ask("b", first.conversation_id, "?"))


@pytest.mark.parametrize("chunk_bytes", [None, 1, 7, 100])
async def test_deltas_are_the_answer_and_the_whole_of_it_is_not_added_again(
    coze: Coze, upstream: Upstream, chunk_bytes: int | None
) -> None:
    upstream.next("chat", Behaviour(chunk_bytes=chunk_bytes))
    assert await heard(coze) == list(PIECES)
    assert (coze.usage.input_tokens, coze.usage.output_tokens) == (21, 11)


async def test_a_message_that_comes_without_deltas_is_taken_whole(
    coze: Coze, upstream: Upstream
) -> None:
    whole = message("1", "全部在这里").split(b"\n\n")[-2] + b"\n\n"
    assert await heard_of(coze, upstream, BEGINNING, whole, END) == ["全部在这里"]


async def test_what_the_deltas_left_out_at_the_end_is_added(coze: Coze, upstream: Upstream) -> None:
    delta = transcripts.event(
        "conversation.message.delta", {"id": "1", "type": "answer", "content": "前"}
    )
    whole = message("1", "前后").split(b"\n\n")[-2] + b"\n\n"
    assert await heard_of(coze, upstream, delta, whole, END) == ["前", "后"]
    other = message("1", "另一段").split(b"\n\n")[-2] + b"\n\n"
    assert await heard_of(coze, upstream, delta, other, END) == ["前"]


async def test_several_answers_are_parted_by_a_newline(coze: Coze, upstream: Upstream) -> None:
    answers = [message("1", "第一", "段"), message("2", "第二段")]
    assert "".join(await heard_of(coze, upstream, *answers, END)) == "第一段\n第二段"


@pytest.mark.parametrize(
    "other",
    [
        {"type": "follow_up", "content": "还想问什么"},
        {"type": "function_call", "content": "{}"},
        {"type": "tool_output", "content": "secret"},
        {"type": "question", "content": "怎么退货", "role": "user"},
        {"type": "answer", "content": '[{"type":"image"}]', "content_type": "object_string"},
        {"type": "answer", "content": None, "reasoning_content": "let me think"},
        {"type": "verbose", "content": '{"msg_type":"empty result"}'},
        {},
    ],
)
@pytest.mark.parametrize("name", ["delta", "completed"])
async def test_only_text_that_answers_is_taken(
    coze: Coze, upstream: Upstream, other: dict[str, str], name: str
) -> None:
    event = transcripts.event(f"conversation.message.{name}", {"id": "9", **other})
    assert await heard_of(coze, upstream, event, message("1", "好"), END) == ["好"]


@pytest.mark.parametrize(
    "end",
    [
        END,
        VERBOSE,
        transcripts.event("conversation.chat.completed", {}),
        transcripts.event("done", "[DONE]"),
        b"event: done\ndata: [DONE]\n\n",
        b"event:done\ndata:[DONE]\n",
        transcripts.event("conversation.chat.requires_action", {"id": "1"}),
    ],
)
async def test_every_end_is_an_end(coze: Coze, upstream: Upstream, end: bytes) -> None:
    strange = b"event: PING\ndata: pong\n\nevent: later.invention\ndata: {}\n\n"
    assert await heard_of(coze, upstream, strange, message("1", "好"), end) == ["好"]


async def test_an_answer_that_is_whole_does_not_wait_for_the_connection(
    coze: Coze, upstream: Upstream
) -> None:
    whole = transcripts.coze(("好",))
    upstream.next("chat", Behaviour(transcript=whole, hangs_at=len(whole)))
    assert await heard(coze) == ["好"]


async def test_a_stream_without_an_end_is_broken_off(coze: Coze, upstream: Upstream) -> None:
    with pytest.raises(Transient, match="broken_off"):
        await heard_of(coze, upstream, BEGINNING, message("1", "好"))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((code, Transient) for code in (4009, 4013, 4020, 5000, 720701013, 4016)),
        *((code, Exhausted) for code in (4008, 4011, 4019, 4022, 4101, 4102)),
        *((code, Refused) for code in (4014, 4105)),
        *((code, Rejected) for code in (4000, 4003, 4006, 4012, 4015, 4200, 720702204, 99)),
        (4010, Overlong),
        (4002, LostConversation),
        (4100, BadCredentials),
        (700012006, BadCredentials),
    ],
)
async def test_every_code_means_the_same_in_every_shape(
    coze: Coze, upstream: Upstream, code: int, kind: type[ProviderError]
) -> None:
    shapes: Sequence[Behaviour] = (
        refused(200, {"code": code, "msg": "no", "detail": {"logid": "1"}}),
        refused(400, {"code": code, "msg": "no", "error": {"logid": "1", "help_doc": ""}}),
        Behaviour(transcript=transcripts.coze_failed(code, is_flat=True)),
        Behaviour(transcript=transcripts.coze_failed(code, is_flat=False)),
        Behaviour(transcript=transcripts.event("error", {"code": code, "msg": "no"})),
        Behaviour(transcript=b'data: {"code":%d,"msg":"no"}\n\n' % code),
    )
    ask = await begun(coze)
    for shape in shapes:
        upstream.always("chat", shape)
        with pytest.raises(ProviderError) as caught:
            await heard(coze, ask)
        assert type(caught.value) is kind, shape
        assert caught.value.code == str(code)


async def test_a_conversation_that_is_busy_is_asked_again_after_a_second(
    coze: Coze, upstream: Upstream
) -> None:
    upstream.next("chat", refused(200, {"code": 4016}, x_tt_logid="log-1"))
    with pytest.raises(Transient) as caught:
        await heard(coze)
    assert caught.value.retry_after_s == 1.0
    assert caught.value.trace == "log-1"


@pytest.mark.parametrize(
    ("behaviour", "kind", "code"),
    [
        (Behaviour(body=b"<html>", content_type="text/html"), Rejected, "not_a_stream"),
        (refused(200, {"code": 0}), Rejected, "not_a_stream"),
        (Behaviour(status=502, body=b"<html>", content_type="text/html"), Transient, "http_502"),
        (refused(429, {}, retry_after="7"), Transient, "http_429"),
        (refused(403, {}), Rejected, "http_403"),
        (refused(401, {}), BadCredentials, "http_401"),
        (Behaviour(status=503, transcript=b""), Transient, "http_503"),
        (Behaviour(transcript=b""), Transient, "broken_off"),
        (Behaviour(transcript=b"event: error\ndata: {}\n\n"), Transient, "error"),
        (
            Behaviour(transcript=b"event: conversation.message.delta\ndata: nonsense\n\n"),
            Rejected,
            "garbage",
        ),
        (
            Behaviour(transcript=b"event: conversation.message.delta\ndata: \xff\xfe\n\n"),
            Rejected,
            "garbage",
        ),
    ],
)
async def test_what_is_no_answer_at_all_says_what_to_do(
    coze: Coze, upstream: Upstream, behaviour: Behaviour, kind: type[ProviderError], code: str
) -> None:
    upstream.always("chat", behaviour)
    with pytest.raises(ProviderError) as caught:
        await heard(coze)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert caught.value.retry_after_s == (7.0 if code == "http_429" else None)


async def test_a_token_that_was_revoked_is_replaced_once(
    coze: Coze, providers: Providers, upstream: Upstream
) -> None:
    ask = await begun(coze)
    providers.coze.revoke_tokens()
    assert await heard(coze, ask) == list(PIECES)
    assert len(upstream.calls("token")) == 2
    providers.coze.revoke_tokens()
    assert await coze.new_conversation("customer-1")
    assert len(upstream.calls("token")) == 3


async def test_a_token_that_is_refused_twice_is_no_good(coze: Coze, upstream: Upstream) -> None:
    ask = await begun(coze)
    upstream.always("chat", refused(200, {"code": 4100}))
    with pytest.raises(BadCredentials):
        await heard(coze, ask)
    assert len(upstream.calls("chat")) == 2
    upstream.always("conversation", refused(200, {"code": 4100}))
    with pytest.raises(BadCredentials):
        await coze.new_conversation("customer-1")
    assert len(upstream.calls("conversation")) == 3


async def test_behind_the_first_piece_no_token_is_tried_again(
    coze: Coze, upstream: Upstream
) -> None:
    failed = transcripts.event("error", {"code": 4100})
    with pytest.raises(BadCredentials):
        await heard_of(coze, upstream, message("1", "好"), failed)
    assert len(upstream.calls("chat")) == 1


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (refused(200, {"code": 4009, "msg": "busy"}), Transient),
        (refused(200, {"code": 0, "data": {}}), Rejected),
        (refused(200, {"code": 0, "data": None}), Rejected),
        (refused(500, {}), Transient),
        (Behaviour(body=b"<html>"), Rejected),
    ],
)
async def test_a_conversation_is_never_made_up(
    coze: Coze, upstream: Upstream, behaviour: Behaviour, kind: type[ProviderError]
) -> None:
    upstream.next("conversation", behaviour)
    with pytest.raises(kind):
        await coze.new_conversation("customer-1")


async def test_a_new_conversation_for_a_lost_one_is_told_what_was_said(
    coze: Coze, upstream: Upstream
) -> None:
    earlier = parts.said("在吗", "在的")
    id = await coze.new_conversation("customer-1")
    await heard(coze, Ask("customer-1", id, "怎么退货", earlier))
    await heard(coze, Ask("customer-1", id, "怎么退货", earlier, is_new=True))
    first, second = (seen.body["additional_messages"] for seen in upstream.calls("chat"))
    assert [each["content"] for each in first] == ["怎么退货"]
    assert [(each["role"], each["type"], each["content"]) for each in second] == [
        ("user", "question", "在吗"),
        ("assistant", "answer", "在的"),
        ("user", "question", "怎么退货"),
    ]
    await heard(coze, Ask("customer-1", id, "?", parts.said(*["啊"] * 80), is_new=True))
    assert len(upstream.calls("chat")[-1].body["additional_messages"]) == 50


async def test_a_turn_that_is_given_up_closes_the_stream(coze: Coze, upstream: Upstream) -> None:
    upstream.next("chat", Behaviour(hangs_at=len(transcripts.coze(("好",))) - 50, pieces=("好",)))
    async with aclosing(coze.stream(await begun(coze))) as pieces:
        assert await anext(pieces) == "好"
    await upstream.calls("chat")[0].was_left.wait()


async def test_the_connection_is_used_again(coze: Coze, client: Client) -> None:
    ask = await begun(coze)
    for _ in range(3):
        await heard(coze, ask)
    assert isinstance(client, ClientSession)
    assert client.connector is not None
    (kept,) = client.connector._conns.values()
    assert len(kept) == 1
