"""The bytes of a whole answer in each provider's own words, as they are published."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

CHAT_ID = "7450000000000000001"


def event(name: str, data: object) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + _json(data) + b"\n\n"


def coze(pieces: Sequence[str], conversation_id: str = "7499") -> bytes:
    """One message, every event around it; the whole of it comes again when it is complete."""
    return b"".join(
        (
            *coze_beginning(conversation_id),
            *coze_message("7450000000000000101", pieces, conversation_id),
            *coze_end(conversation_id),
        )
    )


def coze_beginning(conversation_id: str) -> Iterable[bytes]:
    for status in ("created", "in_progress"):
        yield event(f"conversation.chat.{status}", _coze_chat(conversation_id, status))


def coze_message(id: str, pieces: Sequence[str], conversation_id: str) -> Iterable[bytes]:
    message = {
        "id": id,
        "conversation_id": conversation_id,
        "role": "assistant",
        "type": "answer",
        "content_type": "text",
        "chat_id": CHAT_ID,
        "section_id": conversation_id,
    }
    for piece in pieces:
        yield event("conversation.message.delta", {**message, "content": piece})
    whole = {**message, "content": "".join(pieces), "created_at": 1735115983}
    yield event("conversation.message.completed", whole)


def coze_end(conversation_id: str) -> Iterable[bytes]:
    finish = {"msg_type": "generate_answer_finish", "data": '{"finish_reason":0,"FinData":""}'}
    verbose = {
        "id": "7450000000000000103",
        "conversation_id": conversation_id,
        "role": "assistant",
        "type": "verbose",
        "content": msgspec.json.encode(finish).decode(),
        "content_type": "text",
        "chat_id": CHAT_ID,
    }
    yield event("conversation.message.completed", verbose)
    usage = {"token_count": 32, "output_count": 11, "input_count": 21}
    chat = {**_coze_chat(conversation_id, "completed"), "completed_at": 1735115983, "usage": usage}
    yield event("conversation.chat.completed", chat)
    yield event("done", {"debug_url": "https://www.coze.cn/work_flow?execute_id=743"})


def coze_failed(code: int | str, *, is_flat: bool) -> bytes:
    """A failed chat in one of the two shapes: flat with a code that is a text, or nested."""
    if is_flat:
        failure: dict[str, Any] = {"code": str(code), "msg": "会话名不存在"}
    else:
        last_error = {"code": code, "msg": "event interval error"}
        failure = {**_coze_chat("7499", "failed"), "last_error": last_error}
    return b"".join((*coze_beginning("7499"), event("conversation.chat.failed", failure)))


def dashscope(pieces: Sequence[str], finish: str = "stop") -> bytes:
    """No space behind the colons, the status in a comment, no last event."""
    contents = [*pieces, ""]
    parts = []
    for number, content in enumerate(contents, start=1):
        reason = finish if number == len(contents) else "null"
        message = {"content": content, "role": "assistant"}
        result = {
            "output": {"choices": [{"message": message, "finish_reason": reason}]},
            "usage": {"total_tokens": 10 + number, "input_tokens": 10, "output_tokens": number},
            "request_id": "req-1",
        }
        parts.append(dashscope_event(number, "result", 200, result))
    return b"".join(parts)


def dashscope_event(number: int, name: str, status: int, data: object) -> bytes:
    head = f"id:{number}\nevent:{name}\n:HTTP_STATUS/{status}\ndata:"
    return head.encode() + _json(data) + b"\n\n"


def dashscope_whole(pieces: Sequence[str], *, as_message: bool) -> bytes:
    text = "".join(pieces)
    message = {"role": "assistant", "content": text}
    output: dict[str, Any] = {"text": text, "finish_reason": "stop", "choices": None}
    if as_message:
        output = {"choices": [{"message": message, "finish_reason": "stop"}]}
    usage = {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14}
    return _json({"output": output, "usage": usage, "request_id": "req-1"})


def openai(pieces: Sequence[str], finish: str = "stop", *, is_done: bool = True) -> bytes:
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": piece}, None) for piece in pieces]
    deltas.append(({}, finish))
    chunks = [
        openai_chunk([{"index": 0, "delta": delta, "finish_reason": reason}])
        for delta, reason in deltas
    ]
    usage = {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15}
    end = b"data: [DONE]\n\n" if is_done else b""
    return b"".join((*chunks, openai_chunk([], usage), end))


def openai_chunk(choices: list[dict[str, Any]] | None, usage: object = None) -> bytes:
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": choices,
        "usage": usage,
    }
    return b"data: " + _json(chunk) + b"\n\n"


def _coze_chat(conversation_id: str, status: str) -> dict[str, Any]:
    return {
        "id": CHAT_ID,
        "conversation_id": conversation_id,
        "section_id": conversation_id,
        "bot_id": "7449",
        "created_at": 1735115982,
        "last_error": {"code": 0, "msg": ""},
        "status": status,
        "usage": {"token_count": 0, "output_count": 0, "input_count": 0},
    }


def _json(data: object) -> bytes:
    return msgspec.json.encode(data)
