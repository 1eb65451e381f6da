"""Bodies of HTTP calls: JSON in, within a size and a time; JSON out, never cached."""

from collections.abc import Callable
from contextlib import aclosing
from typing import Final, TypeAlias, TypeVar

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from kefu.errors import Problem
from protocol.answers import Answer
from protocol.codes import ErrorCode

BODY_BYTES: Final = 16 * 1024
BODY_TIMEOUT_S: Final = 10.0

B = TypeVar("B")
Read: TypeAlias = Callable[[bytes], B]


async def read_body(request: Request, read: Read[B], *, limit_bytes: int = BODY_BYTES) -> B:
    """What `read`, a decoder's method, makes of the body.

    Raises `Problem`: TOO_LARGE, or INVALID_MESSAGE naming the place and the rule.
    """
    raw = bytearray()
    try:
        with anyio.fail_after(BODY_TIMEOUT_S):
            async with aclosing(request.stream()) as chunks:
                async for chunk in chunks:
                    raw += chunk
                    if len(raw) > limit_bytes:
                        raise Problem(ErrorCode.TOO_LARGE)
        return read(bytes(raw))
    except TimeoutError:
        raise Problem(ErrorCode.INVALID_MESSAGE, "The body took too long to arrive.") from None
    except msgspec.ValidationError as error:
        raise Problem(ErrorCode.INVALID_MESSAGE, str(error)[:300]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(ErrorCode.INVALID_MESSAGE, "The body is not valid JSON.") from None


def read_number(request: Request, name: str, *, default: int, least: int, most: int) -> int:
    """A whole number of the query. Raises `Problem(INVALID_MESSAGE)` outside its bounds."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most:
        return int(text)
    wrong = f"{name} is a whole number from {least} to {most}."
    raise Problem(ErrorCode.INVALID_MESSAGE, wrong, fields={name: wrong})


def answer(data: object, status: int = 200) -> Response:
    """`{"success": true, "data": data}`."""
    return flat_answer(Answer(data), status)


def flat_answer(body: msgspec.Struct, status: int = 200) -> Response:
    """The body as it is."""
    return Response(
        msgspec.json.encode(body),
        status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
