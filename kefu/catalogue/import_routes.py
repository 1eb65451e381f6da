"""The import of products over HTTP: one answer at the end or, with ?progress=true, one line of JSON
for each batch and the answer in the last line.

Whoever asked for lines has had 200 when something goes wrong: then the last line says so.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from kefu.audit.messages import By
from kefu.bodies import answer, failure_of, read_bytes, read_flag
from kefu.catalogue.imports import Imports
from kefu.catalogue.intake import read_file
from kefu.errors import Problem
from kefu.storage.errors import StoreUnavailable
from protocol.answers import Answer
from protocol.catalogue import IMPORT_BYTES
from protocol.codes import ErrorCode
from protocol.imports import ImportProgress, ImportResult

PATH: Final = "/api/admin/products/import"
Written = AsyncIterator[ImportProgress | ImportResult]


def import_routes(
    imports: Imports, require_writer: Callable[[Request], Awaitable[By]]
) -> list[Route]:
    async def take_in(request: Request) -> Response:
        by = await require_writer(request)
        is_dry = bool(read_flag(request, "dry_run"))
        has_progress = bool(read_flag(request, "progress"))
        file = await read_bytes(request, limit_bytes=IMPORT_BYTES)
        content_type = request.headers.get("content-type", "")
        intake = await anyio.to_thread.run_sync(read_file, file, content_type)
        written = imports.take_in(by, intake, is_dry=is_dry)
        if has_progress:
            headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
            return StreamingResponse(
                _lines(written), media_type="application/x-ndjson", headers=headers
            )
        return answer([each async for each in written][-1])

    return [Route(PATH, take_in, methods=["POST"])]


async def _lines(written: Written) -> AsyncIterator[bytes]:
    try:
        async for each in written:
            is_last = isinstance(each, ImportResult)
            yield msgspec.json.encode(Answer(each) if is_last else each) + b"\n"
    except StoreUnavailable:
        yield (
            msgspec.json.encode(failure_of(Problem(ErrorCode.OVERLOADED, retry_after_s=1.0)))
            + b"\n"
        )
