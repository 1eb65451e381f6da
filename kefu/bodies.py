"""Bodies of HTTP calls: JSON in, within a size and a time; JSON out, never cached."""

import re
from collections.abc import Callable
from contextlib import aclosing
from typing import Final, TypeAlias, TypeVar

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from kefu.errors import Problem
from protocol.answers import Answer, Failure, FieldError
from protocol.codes import ErrorCode

BODY_BYTES: Final = 16 * 1024
BODY_TIMEOUT_S: Final = 10.0
FILE_TIMEOUT_S: Final = 60.0
WORDS_CHARS: Final = 200
WRONG_CHARS: Final = 300
PLACE_CHARS: Final = 100
_PLACE: Final = re.compile(
    r"(?: (?:required|unknown) field `(?P<name>[^`]*)`)?(?: - at `\$\.?(?P<path>[^`]*)`)?$"
)

B = TypeVar("B")
Read: TypeAlias = Callable[[bytes], B]


async def read_body(request: Request, read: Read[B], *, limit_bytes: int = BODY_BYTES) -> B:
    """What `read`, a decoder's method, makes of the body.

    Raises `Problem`: TOO_LARGE, or INVALID_MESSAGE naming the place and the rule.
    """
    raw = await read_bytes(request, limit_bytes=limit_bytes, within_s=BODY_TIMEOUT_S)
    try:
        return read(raw)
    except msgspec.ValidationError as error:
        wrong = str(error)[:WRONG_CHARS]
        raise Problem(ErrorCode.INVALID_MESSAGE, wrong, fields=_wrong_field(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(ErrorCode.INVALID_MESSAGE, "The body is not valid JSON.") from None


async def read_bytes(
    request: Request, *, limit_bytes: int, within_s: float = FILE_TIMEOUT_S
) -> bytes:
    """The whole body, whatever it is. Raises `Problem`: TOO_LARGE, INVALID_MESSAGE when late."""
    raw = bytearray()
    try:
        with anyio.fail_after(within_s):
            async with aclosing(request.stream()) as chunks:
                async for chunk in chunks:
                    raw += chunk
                    if len(raw) > limit_bytes:
                        raise Problem(ErrorCode.TOO_LARGE)
    except TimeoutError:
        raise Problem(ErrorCode.INVALID_MESSAGE, "The body took too long to arrive.") from None
    return bytes(raw)


def _wrong_field(error: msgspec.ValidationError) -> dict[str, str]:
    """msgspec tells the place in its sentence alone. Empty where the body itself is wrong."""
    text = str(error)
    found = _PLACE.search(text)
    place = ".".join(filter(None, (found["path"], found["name"]))) if found else ""
    return {place[:PLACE_CHARS]: text[:WRONG_CHARS]} if place else {}


def read_number(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    """A whole number of the query. Raises `Problem(INVALID_MESSAGE)` outside its bounds."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most:
        return int(text)
    wrong = f"{name} is a whole number from {least} to {most}."
    raise Problem(ErrorCode.INVALID_MESSAGE, wrong, fields={name: wrong})


def read_flag(request: Request, name: str) -> bool | None:
    """true or false of the query; None where it says neither. Raises `Problem(INVALID_MESSAGE)`."""
    text = request.query_params.get(name)
    if text not in (None, "true", "false"):
        wrong = f"{name} is true or false."
        raise Problem(ErrorCode.INVALID_MESSAGE, wrong, fields={name: wrong})
    return None if text is None else text == "true"


def read_words(request: Request) -> str | None:
    """What is looked for: `q` of the query. Raises `Problem(INVALID_MESSAGE)`."""
    text = request.query_params.get("q", "").strip()
    if len(text) > WORDS_CHARS or "\0" in text:
        wrong = f"q has at most {WORDS_CHARS} characters."
        raise Problem(ErrorCode.INVALID_MESSAGE, wrong, fields={"q": wrong})
    return text or None


def answer(data: object, status: int = 200) -> Response:
    """`{"success": true, "data": data}`."""
    return flat_answer(Answer(data), status)


def failure_of(problem: Problem) -> Failure:
    """The problem as it is answered."""
    is_fact = problem.code is ErrorCode.ALREADY_TAKEN  # its fields say who has the chat since when
    return Failure(
        success=False,
        code=problem.code,
        detail=problem.code,
        error=problem.message,
        retry_after_s=problem.retry_after_s,
        fields=dict(problem.fields),
        errors=()
        if is_fact
        else tuple(FieldError(name, problem.code, wrong) for name, wrong in problem.fields.items()),
    )


def flat_answer(body: msgspec.Struct, status: int = 200) -> Response:
    """The body as it is."""
    return Response(
        msgspec.json.encode(body),
        status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
