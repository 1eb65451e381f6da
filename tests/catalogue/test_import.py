"""Files of products: read with their mistakes named, written in batches."""

from contextlib import suppress
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware

from kefu.audit.messages import Act
from kefu.catalogue.import_routes import PATH
from kefu.catalogue.intake import read_file
from kefu.errors import Problem
from kefu.gateway.body_limit import BodyLimit
from kefu.gateway.problems import EXCEPTION_HANDLERS
from kefu.storage.database import Connection
from kefu.storage.errors import StoreUnavailable
from protocol.catalogue import IMPORT_BYTES, IMPORT_ROWS
from protocol.codes import ErrorCode
from tests.catalogue.shop import NOBODY, Shop

CSV = "text/csv"
JSON = "application/json"
PRODUCTS = "/api/admin/products"
UNSET = msgspec.UNSET


def problem_of(body: bytes, content_type: str = CSV) -> Problem:
    with pytest.raises(Problem) as caught:
        read_file(body, content_type)
    return caught.value


def test_a_csv_file_is_read_with_its_mistakes_by_line() -> None:
    text = (
        "SKU,名称,价格,库存,上架,分类,图片\n"
        'a,帐篷,"¥1,299.00",3,是,lu-ying,/a.png\n'
        "\n"
        '"b","Two\nlines",9.5,,no,,\n'
        "c,,,0,,,\n"
        "d,bad price,cheap,,,,\n"
        "e,too exact,1.005,,,,\n"
        "f,below,-1,,,,\n"
        "g,half,1,1.5,,,\n"
        "h,truth,1,,maybe,,\n"
        "i,picture,1,,,,javascript:x\n"
        "a,again,1,,,,\n"
    )
    intake = read_file(text.encode(), CSV)
    tent, lines, stock = (row.product for row in intake.rows)
    assert (tent.key, tent.name, tent.price, tent.stock) == ("a", "帐篷", 1299, 3)
    assert (tent.is_active, tent.category, tent.image_url) == (True, "lu-ying", "/a.png")
    assert (lines.name, lines.price, lines.stock, lines.is_active) == (
        "Two\nlines",
        9.5,
        UNSET,
        False,
    )
    assert (stock.key, stock.name, stock.price, stock.stock) == ("c", UNSET, UNSET, 0)
    assert [row.line for row in intake.rows] == [2, 5, 6]
    assert [problem.line for problem in intake.problems] == [7, 8, 9, 10, 11, 12, 13]
    assert intake.problems[1].message == "Expected at most two decimals - at `$.price`"
    assert intake.problems[-1].message == "The same id or key as line 2."


def test_the_file_may_be_of_a_chinese_spreadsheet() -> None:
    text = "货号,名称,价格\nk,帐篷,1\n"
    for body, kind in (
        (text.encode("utf-8-sig"), CSV),
        (text.encode("gbk"), "text/csv; charset=GBK"),
        ("貨號,名稱,價格\nk,帐篷,1\n".encode("gb18030"), 'text/csv; charset="gb18030"'),
        ("貨號,名稱,價格\nk,背包,1\n".encode("big5"), "text/csv; charset=big5"),
    ):
        (row,) = read_file(body, kind).rows
        assert row.product.name in ("帐篷", "背包")


def test_what_cannot_be_read_as_a_whole_is_refused_with_a_reason() -> None:
    assert "charset" in problem_of("名称,价格\n".encode("gbk")).message
    assert "first line" in problem_of(b"name,cost\na,1\n").message
    assert "first line" in problem_of(b"sku,key\na,1\n").message
    assert "no line" in problem_of(b"\n").message
    assert "not CSV" in problem_of(b'name,price\n"a,1\n').message
    assert "JSON" in problem_of(b"{", JSON).message
    assert "list" in problem_of(b'{"items": []}', JSON).message
    assert "Send" in problem_of(b"", "text/plain").message


def test_an_import_takes_50000_rows() -> None:
    def file(count: int) -> bytes:
        return b"name,price\n" + b"a,1\n" * count

    assert len(read_file(file(IMPORT_ROWS), CSV).rows) == IMPORT_ROWS
    assert problem_of(file(IMPORT_ROWS + 1)).code is ErrorCode.TOO_LARGE
    assert problem_of(b"[" + b"1," * IMPORT_ROWS + b"1]", JSON).code is ErrorCode.TOO_LARGE


def test_blank_lines_do_not_keep_an_import_busy() -> None:
    """They count as a file's rows do, apart from these."""
    file = b"name,price\na,1\n" + b" , \n" * IMPORT_ROWS
    assert len(read_file(file, CSV).rows) == 1
    assert problem_of(file + b"\n").code is ErrorCode.TOO_LARGE


@given(st.binary(max_size=300), st.sampled_from([CSV, JSON, "text/csv; charset=utf-16"]))
def test_any_bytes_are_read_or_refused(body: bytes, kind: str) -> None:
    with suppress(Problem):
        read_file(body, kind)


CELLS = st.sampled_from(["", "a", "-1", "1e999", "NaN", "0.001", "9" * 30, "¥", "1,2", "٣", "是"])


@given(st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), max_size=4))
def test_any_cells_make_rows_or_problems(rows: list[tuple[str, ...]]) -> None:
    lines = ["\t".join(f'"{cell}"' for cell in row).replace("\t", ",") for row in rows]
    text = "\n".join(["name,price,stock,上架", *lines])
    intake = read_file(text.encode(), CSV)
    filled = [row for row in rows if any(row)]
    assert len(intake.rows) + len(intake.problems) == len(filled)


# --- over HTTP ------------------------------------------------------------------------------------


async def send(client: httpx.AsyncClient, file: str | list[Any], query: str = "") -> dict[str, Any]:
    body = file.encode() if isinstance(file, str) else msgspec.json.encode(file)
    kind = CSV if isinstance(file, str) else JSON
    answer = await client.post(PATH + query, content=body, headers={"Content-Type": kind})
    assert answer.status_code == 200, answer.text
    result: dict[str, Any] = answer.json()["data"]
    return result


def counts(result: dict[str, Any]) -> tuple[int, int, int, int]:
    names = ("created", "changed", "unchanged", "problem_count")
    created, changed, unchanged, problems = (result[name] for name in names)
    assert result["rows"] == created + changed + unchanged + problems
    return created, changed, unchanged, problems


def wrong_lines(result: dict[str, Any]) -> dict[int, str]:
    return {each["line"]: each["message"] for each in result["problems"]}


async def listed(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    page = (await client.get(PRODUCTS)).json()["data"]
    return {each["name"]: each for each in page["products"]}


async def test_a_dry_run_says_what_would_happen_and_does_nothing(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    file = "key,name,price\n" + "".join(f"k{n},n{n},{n}\n" for n in range(7)) + "x,,1\n"
    dry = await send(client, file, "?dry_run=true")
    assert (counts(dry), dry["dry_run"]) == ((7, 0, 0, 1), True)
    assert await listed(client) == {}
    assert await shop.acts() == ()
    wet = await send(client, file)
    assert wet == {**dry, "dry_run": False}
    assert counts(await send(client, file, "?dry_run=true")) == (0, 0, 7, 1)
    assert (await client.post(f"{PATH}?dry_run=1", content=b"")).status_code == 400


async def test_a_file_sent_again_changes_what_it_names_and_keeps_the_rest(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    category = await shop.category("露营")
    first = "key,name,price,stock,category\na,tent,10,5,lu-ying\nb,bag,20,6,\n"
    assert counts(await send(client, first)) == (2, 0, 0, 0)
    act = (await shop.acts())[0]
    assert (act.action, act.after) == ("products.imported", {"created": 2, "changed": 0})
    assert counts(await send(client, first)) == (0, 0, 2, 0)
    assert (await shop.acts())[0].id == act.id

    assert counts(await send(client, "key,stock\na,0\nb,6\n")) == (0, 1, 1, 0)
    products = await listed(client)
    tent = products["tent"]
    assert (tent["stock"], tent["price"], tent["currency"]) == (0, 10, "TWD")
    assert tent["category_id"] == str(category.id)
    assert await shop.cards.numbers([UUID(each["id"]) for each in products.values()]) == {
        UUID(products["tent"]["id"]): 1,
        UUID(products["bag"]["id"]): 2,
    }
    renamed = [{"id": tent["id"], "key": "z", "name": "hut", "category": None, "stock": None}]
    assert counts(await send(client, renamed)) == (0, 1, 0, 0)
    hut = (await listed(client))["hut"]
    assert (hut["key"], hut["category_id"], hut["stock"]) == ("z", None, None)
    assert len(await shop.cards.search("hut", limit=5)) == 1


async def test_rows_without_key_or_id_are_new_each_time(client: httpx.AsyncClient) -> None:
    rows = [{"name": "a", "price": 1}, {"name": "a", "price": 1}]
    assert counts(await send(client, rows)) == (2, 0, 0, 0)
    assert counts(await send(client, rows)) == (2, 0, 0, 0)


async def test_an_id_of_the_shops_own_is_kept(client: httpx.AsyncClient) -> None:
    rows = [{"id": str(UUID(int=5)), "name": "a", "price": 1}]
    assert counts(await send(client, rows)) == (1, 0, 0, 0)
    assert (await listed(client))["a"]["id"] == str(UUID(int=5))


async def test_what_is_wrong_with_a_row_is_said_by_its_line(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    category = await shop.category("a")
    one, two = await shop.product("one", key="1"), await shop.product("two", key="2")
    gone = await shop.product("gone", key="gone")
    await client.delete(f"{PRODUCTS}/{gone.id}")
    rows: list[Any] = [
        {"key": "new", "name": "by id", "price": 1, "category": str(category.id)},
        {"key": "n1", "name": "no category", "price": 1, "category": "nowhere"},
        {"key": "n2", "name": "no category", "price": 1, "category_id": str(NOBODY)},
        {"key": "n3", "name": "no price"},
        {"id": str(one.id), "key": "2", "name": "two products"},
        {"id": str(gone.id), "name": "a deleted one", "price": 1},
        {"id": str(NOBODY), "key": "1", "name": "another's key", "price": 1},
        {"key": "gone", "name": "free again", "price": 1},
        {"key": "2", "name": "named before"},
        {"id": str(two.id), "category_id": str(category.id)},
        "no object",
        {"name": "a", "price": 1, "colour": "red"},
    ]
    result = await send(client, rows)
    assert counts(result) == (2, 1, 0, 9)
    assert wrong_lines(result) == {
        2: "There is no such category.",
        3: "There is no such category.",
        4: "A new product needs a name and a price.",
        5: "Another product has this key.",
        6: "Another product has this id, or had it.",
        7: "Another product has this key.",
        9: "The same id or key as line 5.",
        11: "Expected `object`, got `str`",
        12: "Object contains unknown field `colour`",
    }


async def test_one_product_is_changed_by_one_row(shop: Shop, client: httpx.AsyncClient) -> None:
    product = await shop.product("one", key="1")
    rows = [{"id": str(product.id), "stock": 1}, {"key": "1", "stock": 2}]
    result = await send(client, rows)
    assert wrong_lines(result) == {2: "The same product as line 1."}
    assert (await listed(client))["one"]["stock"] == 1


async def test_progress_is_told_line_by_line_and_the_result_at_the_end(
    client: httpx.AsyncClient,
) -> None:
    rows = [{"name": f"n{number}", "price": number} for number in range(7)]
    body = msgspec.json.encode([*rows, {}, 5])
    answer = await client.post(
        f"{PATH}?progress=true", content=body, headers={"Content-Type": JSON}
    )
    assert answer.headers["content-type"] == "application/x-ndjson"
    *steps, last = [msgspec.json.decode(line) for line in answer.text.splitlines()]
    assert steps == [{"done": done, "rows": 9} for done in (4, 7, 9)]
    assert last["success"] is True
    assert counts(last["data"]) == (7, 0, 0, 2)


async def test_a_batch_is_written_whole_or_not_at_all_and_the_last_line_says_why(
    shop: Shop, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, told = shop.audit.append, list[Act]()

    async def fails_twice(connection: Connection, act: Act) -> None:
        told.append(act)
        if len(told) in (2, 3):
            raise StoreUnavailable("the log cannot be written")
        await append(connection, act)

    monkeypatch.setattr(shop.audit, "append", fails_twice)
    file = "key,name,price\n" + "".join(f"k{n},n{n},{n}\n" for n in range(7))
    answer = await client.post(f"{PATH}?progress=true", content=file, headers={"Content-Type": CSV})
    step, last = [msgspec.json.decode(line) for line in answer.text.splitlines()]
    assert step == {"done": 3, "rows": 7}
    assert (last["success"], last["code"]) == (False, "OVERLOADED")
    assert sorted(await listed(client)) == ["n0", "n1", "n2"]
    plain = await client.post(PATH, content=file, headers={"Content-Type": CSV})
    assert (plain.status_code, plain.json()["code"]) == (503, "OVERLOADED")
    assert counts(await send(client, file)) == (4, 0, 3, 0)
    assert len(await listed(client)) == 7


async def test_the_import_alone_takes_20_mebibytes(shop: Shop) -> None:
    app = Starlette(
        routes=shop.routes(),
        exception_handlers=EXCEPTION_HANDLERS,
        middleware=[Middleware(BodyLimit, limit_bytes=1000, larger={PATH: IMPORT_BYTES})],
    )
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://kefu") as client:
        text = b"[]" + b" " * (IMPORT_BYTES - 2)
        kind = {"Content-Type": JSON}
        assert (await client.post(PATH, content=text, headers=kind)).status_code == 200
        answers = [
            await client.post(PATH, content=text + b" ", headers=kind),
            await client.post(PRODUCTS, content=b" " * 1001),
        ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (413, "TOO_LARGE")
