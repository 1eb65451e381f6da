"""The knowledge over HTTP: searched by agents, written by administrators."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias, TypeVar, get_args
from uuid import UUID

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kefu.audit.messages import By
from kefu.bodies import (
    Read,
    answer,
    read_body,
    read_bytes,
    read_flag,
    read_number,
    read_words,
)
from kefu.errors import Problem
from kefu.knowledge.entries import Entries
from kefu.knowledge.intake import read_file
from kefu.knowledge.library import Library
from protocol.codes import ErrorCode
from protocol.knowledge import (
    ENTRIES,
    IMPORT_BYTES,
    AnswerUnanswered,
    ChangeEntry,
    KnowledgeHit,
    KnowledgeSearch,
    Locale,
    NewEntry,
)

PAGE_LIMIT: Final = 200
SEARCH_LIMIT: Final = 10
ENTRY_BYTES: Final = 64 * 1024
B = TypeVar("B")
_LOCALES: Final[tuple[str, ...]] = get_args(Locale)
_read_new: Final = msgspec.json.Decoder(NewEntry).decode
_read_change: Final = msgspec.json.Decoder(ChangeEntry).decode
_read_answer: Final = msgspec.json.Decoder(AnswerUnanswered).decode

Require: TypeAlias = Callable[[Request], Awaitable[object]]
RequireWriter: TypeAlias = Callable[[Request], Awaitable[By]]


def routes(
    entries: Entries, library: Library, require_reader: Require, require_writer: RequireWriter
) -> list[Route]:
    """Both raise `Problem` for whoever may not; the writer is whom the audit log names."""
    return [
        Route("/api/knowledge/search", _search(library, require_reader), methods=["GET"]),
        *_unanswered_routes(entries, require_writer),
        *_entry_routes(entries, require_reader, require_writer),
    ]


def _search(library: Library, require_reader: Require) -> Callable[[Request], Awaitable[Response]]:
    async def search(request: Request) -> Response:
        await require_reader(request)
        text, locale = read_words(request), _locale(request)
        limit = read_number(request, "limit", default=5, least=1, most=SEARCH_LIMIT)
        if text is None:
            raise Problem(ErrorCode.INVALID_MESSAGE, "Say in q what is looked for.")
        found = await library.search(text, locale, limit=limit)
        hits = tuple(
            KnowledgeHit(hit.entry_id, hit.question, hit.answer, hit.score) for hit in found.hits
        )
        return answer(KnowledgeSearch(found.confidence, hits))

    return search


def _entry_routes(
    entries: Entries, require_reader: Require, require_writer: RequireWriter
) -> list[Route]:
    async def page(request: Request) -> Response:
        await require_reader(request)
        offset, limit = _place(request, ENTRIES)
        words, locale = read_words(request), _locale(request)
        return answer(await entries.page(words=words, locale=locale, offset=offset, limit=limit))

    async def create(request: Request) -> Response:
        by = await require_writer(request)
        return answer(await entries.create(by, await _entry_body(request, _read_new)), 201)

    async def read(request: Request) -> Response:
        await require_reader(request)
        return answer(await entries.read(_id(request)))

    async def change(request: Request) -> Response:
        by = await require_writer(request)
        asked = msgspec.structs.asdict(await _entry_body(request, _read_change))
        given = {name: value for name, value in asked.items() if value is not msgspec.UNSET}
        if not given:
            raise Problem(ErrorCode.NO_FIELDS_TO_UPDATE)
        return answer(await entries.change(by, _id(request), given))

    async def delete(request: Request) -> Response:
        by = await require_writer(request)
        await entries.delete(by, _id(request))
        return answer(None)

    async def take_in(request: Request) -> Response:
        by = await require_writer(request)
        is_dry = bool(read_flag(request, "dry_run"))
        file = await read_bytes(request, limit_bytes=IMPORT_BYTES)
        content_type = request.headers.get("content-type", "")
        intake = await anyio.to_thread.run_sync(read_file, file, content_type)
        return answer(await entries.take_in(by, intake, is_dry=is_dry))

    return [
        Route("/api/knowledge", page, methods=["GET"]),
        Route("/api/knowledge", create, methods=["POST"]),
        Route("/api/knowledge/import", take_in, methods=["POST"]),
        Route("/api/knowledge/{id:uuid}", read, methods=["GET"]),
        Route("/api/knowledge/{id:uuid}", change, methods=["PUT"]),
        Route("/api/knowledge/{id:uuid}", delete, methods=["DELETE"]),
    ]


async def _entry_body(request: Request, read: Read[B]) -> B:
    """An entry with all its phrasings is larger than other bodies. Raises `Problem`."""
    return await read_body(request, read, limit_bytes=ENTRY_BYTES)


def _unanswered_routes(entries: Entries, require_writer: RequireWriter) -> list[Route]:
    """For writers alone: these are customers' words."""

    async def page(request: Request) -> Response:
        await require_writer(request)
        offset, limit = _place(request, ENTRIES)
        return answer(await entries.unanswered(offset=offset, limit=limit))

    async def make_entry(request: Request) -> Response:
        by = await require_writer(request)
        said = await _entry_body(request, _read_answer)
        return answer(await entries.answer(by, _id(request), said), 201)

    async def delete(request: Request) -> Response:
        by = await require_writer(request)
        await entries.forget(by, _id(request))
        return answer(None)

    return [
        Route("/api/knowledge/unanswered", page, methods=["GET"]),
        Route("/api/knowledge/unanswered/{id:uuid}", delete, methods=["DELETE"]),
        Route("/api/knowledge/unanswered/{id:uuid}/entry", make_entry, methods=["POST"]),
    ]


def _id(request: Request) -> UUID:
    id: UUID = request.path_params["id"]
    return id


def _place(request: Request, most: int) -> tuple[int, int]:
    offset = read_number(request, "offset", default=0, least=0, most=most)
    return offset, read_number(request, "limit", default=50, least=1, most=PAGE_LIMIT)


def _locale(request: Request) -> str | None:
    locale = request.query_params.get("locale")
    if locale is not None and locale not in _LOCALES:
        raise Problem(ErrorCode.INVALID_MESSAGE, f"locale is one of {', '.join(_LOCALES)}.")
    return locale
