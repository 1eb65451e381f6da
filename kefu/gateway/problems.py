"""Every failure of an HTTP call as the one shape clients know: success, code, detail, error."""

import logging
import math
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from kefu.bodies import failure_of
from kefu.errors import Problem
from kefu.storage.errors import StoreUnavailable
from protocol.codes import ErrorCode

log = logging.getLogger("kefu.gateway")

_BY_STATUS: Final = {
    401: ErrorCode.UNAUTHORIZED,
    403: ErrorCode.FORBIDDEN,
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.TOO_LARGE,
    429: ErrorCode.RATE_LIMITED,
    503: ErrorCode.OVERLOADED,
}


def body_of(problem: Problem) -> bytes:
    return msgspec.json.encode(failure_of(problem))


def headers_of(problem: Problem) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if problem.retry_after_s is not None:
        headers.append((b"retry-after", str(math.ceil(problem.retry_after_s)).encode()))
    if problem.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


def response_of(problem: Problem) -> Response:
    headers = {name.decode(): value.decode() for name, value in headers_of(problem)}
    return Response(body_of(problem), problem.status, headers)


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return response_of(error)


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _BY_STATUS.get(error.status_code, ErrorCode.INVALID_MESSAGE)
    response = response_of(Problem(code))
    response.headers.update(error.headers or {})  # which methods an address does take
    return response


async def _unavailable(_request: Request, _error: Exception) -> Response:
    return response_of(Problem(ErrorCode.OVERLOADED, retry_after_s=1.0))


async def _gone(_request: Request, _error: Exception) -> Response:
    """Nobody reads this: the client left in the middle of its own request."""
    return Response(status_code=400)


async def _bug(request: Request, error: Exception) -> Response:
    log.error("request_failed", exc_info=error, extra={"path": request.url.path})
    return response_of(Problem(ErrorCode.INTERNAL))


EXCEPTION_HANDLERS: Final[dict[int | type[Exception], ExceptionHandler]] = {
    Problem: _problem,
    HTTPException: _http,
    StoreUnavailable: _unavailable,
    ClientDisconnect: _gone,
    Exception: _bug,
}
