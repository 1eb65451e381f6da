"""Bodies, queries and paths of the facade. A message of 4,000 characters may take 24 KB as its
sender escapes them, so that what holds one is allowed more than other bodies."""

from datetime import UTC, datetime
from typing import Final, TypeVar
from uuid import UUID

import anyio
import msgspec
from starlette.requests import Request

from kefu.bodies import BODY_TIMEOUT_S, Read
from kefu.errors import Problem
from protocol.codes import ErrorCode
from protocol.limits import FRAME_BYTES

LARGE_BODY_BYTES: Final = FRAME_BYTES
LATEST_S: Final = 253_402_300_799.0  # the year 9999
MILLISECONDS_FROM: Final = 100_000_000_000.0  # what is larger counts milliseconds
B = TypeVar("B")


async def read_large_body(request: Request, read: Read[B]) -> B:
    """As `bodies.read_body`, for a body that holds a message. Raises `Problem`."""
    try:
        with anyio.fail_after(BODY_TIMEOUT_S):
            body = await request.body()
    except TimeoutError:
        raise Problem(ErrorCode.INVALID_MESSAGE, "The body took too long to arrive.") from None
    if len(body) > LARGE_BODY_BYTES:
        raise Problem(ErrorCode.TOO_LARGE)
    try:
        return read(body)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(ErrorCode.INVALID_MESSAGE, "The body is not valid JSON.") from None


def _invalid(error: msgspec.ValidationError) -> Problem:
    """A message that is too long has a code of its own, as on a socket."""
    text = str(error)[:300]
    is_long = "length <= 4000" in text
    return Problem(ErrorCode.CONTENT_TOO_LONG if is_long else ErrorCode.INVALID_MESSAGE, text)


def read_choice(request: Request, name: str, choices: tuple[str, ...]) -> str | None:
    """One of the words; None where nothing is asked. Raises `Problem(INVALID_MESSAGE)`."""
    text = request.query_params.get(name)
    if not text or text in choices:
        return text or None
    raise wrong_field(name, f"{name} is one of {', '.join(choices)}.")


def read_text(request: Request, name: str, *, most: int) -> str | None:
    """A text without NUL. Raises `Problem(INVALID_MESSAGE)`."""
    text = request.query_params.get(name, "").strip()
    if len(text) > most or "\0" in text:
        raise wrong_field(name, f"{name} has at most {most} characters.")
    return text or None


def read_instant(request: Request, name: str) -> datetime | None:
    """Seconds or milliseconds since the epoch, or ISO 8601; without a zone UTC is meant.

    Raises `Problem(INVALID_MESSAGE)`.
    """
    text = request.query_params.get(name, "").strip()
    if not text:
        return None
    try:
        return _instant(text)
    except (ValueError, OverflowError):
        raise wrong_field(name, f"{name} is seconds since the epoch or ISO 8601.") from None


def _instant(text: str) -> datetime:
    if not text.isascii() or len(text) > 40:
        raise ValueError
    if text.replace(".", "", 1).isdigit():
        seconds = float(text)
        seconds = seconds / 1000 if seconds > MILLISECONDS_FROM else seconds
        if seconds > LATEST_S:
            raise ValueError
        return datetime.fromtimestamp(seconds, UTC)
    at = datetime.fromisoformat(text.replace(" ", "+"))  # a + of the zone that was not escaped
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def chat_id_of(request: Request) -> UUID:
    """Of the path. Raises `Problem(CHAT_NOT_FOUND)`."""
    try:
        return UUID(request.path_params["chat_id"])
    except ValueError:
        raise Problem(ErrorCode.CHAT_NOT_FOUND) from None


def wrong_field(name: str, sentence: str) -> Problem:
    return Problem(ErrorCode.INVALID_MESSAGE, sentence, fields={name: sentence})
