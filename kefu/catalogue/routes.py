"""The catalogue over HTTP: kept by administrators, read by everybody."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kefu.audit.messages import By
from kefu.bodies import answer, read_body, read_flag, read_number, read_words
from kefu.catalogue.categories import Categories
from kefu.catalogue.products import Products
from kefu.errors import Problem
from protocol.catalogue import (
    CATEGORIES,
    PRODUCTS,
    STOCK_ITEMS,
    ChangeCategory,
    ChangeProduct,
    NewCategory,
    NewProduct,
    ReorderCategories,
    ReplaceProduct,
    SetStock,
)
from protocol.codes import ErrorCode

CATEGORIES_PATH: Final = "/api/admin/categories"
PRODUCTS_PATH: Final = "/api/admin/products"
PAGE_LIMIT: Final = 200
SHOWN_LIMIT: Final = 100
SHOWN_OFFSET: Final = 10_000
ITEM_BYTES: Final = 100  # of a list, written generously
NO_ID: Final = "category_id is the id of a category."
_read_category: Final = msgspec.json.Decoder(NewCategory).decode
_read_category_change: Final = msgspec.json.Decoder(ChangeCategory).decode
_read_order: Final = msgspec.json.Decoder(ReorderCategories).decode
_read_product: Final = msgspec.json.Decoder(NewProduct).decode
_read_replacement: Final = msgspec.json.Decoder(ReplaceProduct).decode
_read_product_change: Final = msgspec.json.Decoder(ChangeProduct).decode
_read_stock: Final = msgspec.json.Decoder(SetStock).decode

RequireWriter: TypeAlias = Callable[[Request], Awaitable[By]]


def routes(
    categories: Categories, products: Products, require_writer: RequireWriter
) -> list[Route]:
    """`require_writer` raises `Problem` for who may not, else says whom the audit log names."""
    return [
        *_category_routes(categories, require_writer),
        *_product_routes(products, require_writer),
        *_public_routes(categories, products),
    ]


def _category_routes(categories: Categories, require_writer: RequireWriter) -> list[Route]:
    async def tree(request: Request) -> Response:
        await require_writer(request)
        return answer(await categories.tree())

    async def create(request: Request) -> Response:
        by = await require_writer(request)
        return answer(await categories.create(by, await read_body(request, _read_category)), 201)

    async def change(request: Request) -> Response:
        by = await require_writer(request)
        given = _given(await read_body(request, _read_category_change))
        return answer(await categories.change(by, _id(request), given))

    async def delete(request: Request) -> Response:
        by = await require_writer(request)
        await categories.delete(by, _id(request))
        return _nothing()

    async def reorder(request: Request) -> Response:
        by = await require_writer(request)
        limit = CATEGORIES * ITEM_BYTES
        order = await read_body(request, _read_order, limit_bytes=limit)
        return answer(await categories.reorder(by, order.items))

    return [
        Route(CATEGORIES_PATH, tree, methods=["GET"]),
        Route(CATEGORIES_PATH, create, methods=["POST"]),
        Route(f"{CATEGORIES_PATH}/reorder", reorder, methods=["PUT"]),
        Route(f"{CATEGORIES_PATH}/{{id:uuid}}", change, methods=["PUT"]),
        Route(f"{CATEGORIES_PATH}/{{id:uuid}}", delete, methods=["DELETE"]),
    ]


def _product_routes(products: Products, require_writer: RequireWriter) -> list[Route]:
    async def page(request: Request) -> Response:
        await require_writer(request)
        offset, limit = _place(request, PRODUCTS, PAGE_LIMIT)
        found = await products.page(
            words=read_words(request),
            category_id=_category_id(request),
            is_active=read_flag(request, "is_active"),
            offset=offset,
            limit=limit,
        )
        return answer(found)

    async def create(request: Request) -> Response:
        by = await require_writer(request)
        return answer(await products.create(by, await read_body(request, _read_product)), 201)

    async def read(request: Request) -> Response:
        await require_writer(request)
        return answer(await products.read(_id(request)))

    async def replace(request: Request) -> Response:
        by = await require_writer(request)
        new = await read_body(request, _read_replacement)
        return answer(await products.replace(by, _id(request), new))

    async def change(request: Request) -> Response:
        by = await require_writer(request)
        given = _given(await read_body(request, _read_product_change))
        return answer(await products.change(by, _id(request), given))

    async def restock(request: Request) -> Response:
        by = await require_writer(request)
        levels = await read_body(request, _read_stock, limit_bytes=STOCK_ITEMS * ITEM_BYTES)
        return answer(await products.restock(by, levels.items))

    async def delete(request: Request) -> Response:
        by = await require_writer(request)
        await products.delete(by, _id(request))
        return _nothing()

    return [
        Route(PRODUCTS_PATH, page, methods=["GET"]),
        Route(PRODUCTS_PATH, create, methods=["POST"]),
        Route(f"{PRODUCTS_PATH}/stock", restock, methods=["PATCH"]),
        Route(f"{PRODUCTS_PATH}/{{id:uuid}}", read, methods=["GET"]),
        Route(f"{PRODUCTS_PATH}/{{id:uuid}}", replace, methods=["PUT"]),
        Route(f"{PRODUCTS_PATH}/{{id:uuid}}", change, methods=["PATCH"]),
        Route(f"{PRODUCTS_PATH}/{{id:uuid}}", delete, methods=["DELETE"]),
    ]


def _public_routes(categories: Categories, products: Products) -> list[Route]:
    async def tree(_request: Request) -> Response:
        return answer(await categories.tree())

    async def page(request: Request) -> Response:
        offset, limit = _place(request, SHOWN_OFFSET, SHOWN_LIMIT)
        words, category_id = read_words(request), _category_id(request)
        return answer(
            await products.shown(words=words, category_id=category_id, offset=offset, limit=limit)
        )

    async def read(request: Request) -> Response:
        return answer(await products.read_shown(_id(request)))

    return [
        Route("/api/categories", tree, methods=["GET"]),
        Route("/api/products", page, methods=["GET"]),
        Route("/api/products/{id:uuid}", read, methods=["GET"]),
    ]


def _given(change: msgspec.Struct) -> dict[str, Any]:
    """What is not left out. Raises `Problem(NO_FIELDS_TO_UPDATE)` when that is nothing."""
    asked = msgspec.structs.asdict(change)
    given = {name: value for name, value in asked.items() if value is not msgspec.UNSET}
    if not given:
        raise Problem(ErrorCode.NO_FIELDS_TO_UPDATE)
    return given


def _nothing() -> Response:
    return Response(status_code=204, headers={"Cache-Control": "no-store"})


def _id(request: Request) -> UUID:
    id: UUID = request.path_params["id"]
    return id


def _category_id(request: Request) -> UUID | None:
    text = request.query_params.get("category_id")
    try:
        return None if text is None else UUID(text)
    except ValueError:
        wrong = {"category_id": NO_ID}
        raise Problem(ErrorCode.INVALID_MESSAGE, NO_ID, fields=wrong) from None


def _place(request: Request, most: int, page: int) -> tuple[int, int]:
    offset = read_number(request, "offset", default=0, least=0, most=most)
    return offset, read_number(request, "limit", default=50, least=1, most=page)
