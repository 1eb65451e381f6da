"""Products over HTTP: kept by administrators, seen by everybody; every write audited."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.routing import Route

from tests.catalogue.shop import NOBODY, Shop
from tests.catalogue.test_categories import code_of, fields_of

PATH = "/api/admin/products"
SHOWN = "/api/products"


async def make(client: httpx.AsyncClient, name: str = "帐篷", **fields: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json={"name": name, "price": 1000, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


async def test_a_product_needs_a_name_and_a_price_alone(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    answer = await client.post(PATH, json={"name": "两人帐篷", "price": 1000})
    assert answer.status_code == 201
    assert '"price":1000,' in answer.text
    product = answer.json()["data"]
    times = {name: product.pop(name) for name in ("created_at", "updated_at")}
    assert product == {
        "id": str(UUID(product["id"])),
        "name": "两人帐篷",
        "price": 1000,
        "currency": "TWD",
        "image_url": None,
        "category_id": None,
        "stock": None,
        "is_active": True,
        "key": None,
    }
    assert (await client.get(f"{PATH}/{product['id']}")).json()["data"] == product | times
    del product["key"]
    assert (await client.get(f"{SHOWN}/{product['id']}")).json()["data"] == product


async def test_everything_about_a_product_can_be_said(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    category = await shop.category("露营")
    whole = {
        "id": str(UUID(int=7)),
        "name": "Tent",
        "price": 1299.95,
        "currency": "USD",
        "image_url": "https://shop.example/tent.jpg",
        "category_id": str(category.id),
        "stock": 3,
        "is_active": False,
        "key": "TENT/2 P",
    }
    made = await make(client, **whole)
    assert whole.items() <= made.items()
    assert (await make(client, image_url="/files/a.png"))["image_url"] == "/files/a.png"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a" * 201}, "name"),
        ({"price": -1}, "price"),
        ({"price": "1000"}, "price"),
        ({"price": 1.005}, "price"),
        ({"price": 10**10}, "price"),
        ({"price": None}, "price"),
        ({"currency": "cny"}, "currency"),
        ({"currency": "CNY\n"}, "currency"),
        ({"image_url": "javascript:alert(1)"}, "image_url"),
        ({"image_url": "//evil.example/a.png"}, "image_url"),
        ({"image_url": "/\\evil.example"}, "image_url"),
        ({"image_url": "ftp://a/b"}, "image_url"),
        ({"category_id": "7"}, "category_id"),
        ({"stock": -1}, "stock"),
        ({"stock": 1.5}, "stock"),
        ({"stock": 2**31}, "stock"),
        ({"is_active": "yes"}, "is_active"),
        ({"key": " "}, "key"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_wrong_product_is_refused_by_its_field(
    client: httpx.AsyncClient, wrong: dict[str, Any], field: str
) -> None:
    whole = {"name": "a", "price": 1, **wrong}
    answers = [await client.post(PATH, json=whole)]
    product = await make(client)
    address = f"{PATH}/{product['id']}"
    answers += [await client.put(address, json=whole), await client.patch(address, json=wrong)]
    for answer in answers:
        assert code_of(answer) == (400, "INVALID_MESSAGE")
        assert fields_of(answer) == [field]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'"a"'])
async def test_a_body_that_is_no_product_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(PATH, content=body)
    assert code_of(answer) == (400, "INVALID_MESSAGE")
    assert "errors" not in answer.json()


async def test_what_others_have_and_what_is_not_there_is_refused(
    client: httpx.AsyncClient,
) -> None:
    made = await make(client, key="a")
    other = await make(client, "other")
    for wrong, status, code in (
        ({"key": "a"}, 409, "ALREADY_EXISTS"),
        ({"id": made["id"]}, 409, "ALREADY_EXISTS"),
        ({"category_id": str(NOBODY)}, 422, "UNPROCESSABLE"),
    ):
        whole = {"name": "n", "price": 1, **wrong}
        answers = [await client.post(PATH, json=whole)]
        if "id" not in wrong:
            address = f"{PATH}/{other['id']}"
            answers += [await client.put(address, json=whole)]
            answers += [await client.patch(address, json=wrong)]
        for answer in answers:
            assert code_of(answer) == (status, code)
            assert fields_of(answer) == list(wrong)


async def test_a_patch_changes_what_is_given_and_a_put_all(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    made = await make(client, stock=5, key="k", currency="USD")
    address = f"{PATH}/{made['id']}"
    shop.clock.advance(60)
    patched = (await client.patch(address, json={"stock": 0, "price": 9.5})).json()["data"]
    expected = made | {"stock": 0, "price": 9.5, "updated_at": patched["updated_at"]}
    assert patched == expected
    assert patched["updated_at"] > made["updated_at"]
    assert (await client.patch(address, json={"stock": None})).json()["data"]["stock"] is None

    put = (await client.put(address, json={"name": "new", "price": 7})).json()["data"]
    assert (put["name"], put["price"], put["currency"], put["key"]) == ("new", 7, "TWD", None)
    assert put["created_at"] == made["created_at"]
    assert code_of(await client.patch(address, json={})) == (400, "NO_FIELDS_TO_UPDATE")


async def test_a_deleted_product_is_nowhere_and_its_key_is_free_again(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    category = await shop.category("a")
    made = await make(client, key="k", category_id=str(category.id))
    address = f"{PATH}/{made['id']}"
    gone = await client.delete(address)
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (
        await client.get(address),
        await client.get(f"{SHOWN}/{made['id']}"),
        await client.put(address, json={"name": "a", "price": 1}),
        await client.patch(address, json={"price": 1}),
        await client.delete(address),
    ):
        assert code_of(answer) == (404, "PRODUCT_NOT_FOUND")
    for path in (PATH, SHOWN):
        assert (await client.get(path)).json()["data"]["products"] == []
    await make(client, key="k")
    again = await client.post(PATH, json={"name": "a", "price": 1, "id": made["id"]})
    assert code_of(again) == (409, "ALREADY_EXISTS")


async def test_what_is_delisted_only_its_keepers_see(client: httpx.AsyncClient) -> None:
    hidden = await make(client, "hidden", is_active=False)
    sold_out = await make(client, "sold out", stock=0)
    assert code_of(await client.get(f"{SHOWN}/{hidden['id']}")) == (404, "PRODUCT_NOT_FOUND")
    shown = (await client.get(SHOWN)).json()["data"]
    assert [(each["name"], each["stock"]) for each in shown["products"]] == [("sold out", 0)]
    kept = (await client.get(PATH)).json()["data"]
    assert [each["id"] for each in kept["products"]] == [sold_out["id"], hidden["id"]]
    for flag, name in (("true", "sold out"), ("false", "hidden")):
        page = (await client.get(PATH, params={"is_active": flag})).json()["data"]
        assert ([each["name"] for each in page["products"]], page["total"]) == ([name], 1)


async def test_products_are_listed_by_category_with_those_below_it(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    top = await shop.category("top")
    middle = await shop.category("middle", top.id)
    leaf = await shop.category("leaf", middle.id)
    other = await shop.category("other")
    for each in (top, middle, leaf, other):
        await shop.product(each.name, category_id=each.id)

    async def names(category_id: UUID, path: str = PATH) -> list[str]:
        page = (await client.get(path, params={"category_id": str(category_id)})).json()["data"]
        return [each["name"] for each in page["products"]]

    assert await names(top.id) == ["leaf", "middle", "top"]
    assert await names(top.id, SHOWN) == ["leaf", "middle", "top"]
    assert await names(middle.id) == ["leaf", "middle"]
    assert await names(leaf.id) == ["leaf"]
    assert await names(NOBODY) == []


async def test_pages_say_how_many_there_are_or_whether_there_are_more(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    for number in range(5):
        await shop.product(f"p{number}")

    async def page(path: str, **place: int) -> tuple[list[str], int]:
        found = (await client.get(path, params=place)).json()["data"]
        names = [each["name"] for each in found["products"]]
        return names, found.get("total", found.get("has_more"))

    assert await page(PATH, offset=1, limit=2) == (["p3", "p2"], 5)
    assert await page(PATH, offset=9) == ([], 5)
    assert await page(SHOWN, limit=4) == (["p4", "p3", "p2", "p1"], True)
    assert await page(SHOWN, offset=1, limit=4) == (["p3", "p2", "p1", "p0"], False)


@pytest.mark.parametrize("path", [PATH, SHOWN])
@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "offset=-1", "category_id=7", f"q={'a' * 201}", "q=%00"]
)
async def test_a_wrong_page_is_refused(client: httpx.AsyncClient, path: str, query: str) -> None:
    answer = await client.get(f"{path}?{query}")
    assert code_of(answer) == (400, "INVALID_MESSAGE")
    assert fields_of(answer) == [query.partition("=")[0]]


async def test_every_write_is_audited_with_what_changed(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    made = await make(client, price=12.5, key="k")
    address = f"{PATH}/{made['id']}"
    await client.patch(address, json={"price": 13, "key": "k"})
    await client.patch(address, json={"price": 13})
    await client.delete(address)
    deleted, changed, created = await shop.acts()
    assert (created.action, created.by_name, created.subject_id) == (
        "product.created",
        "Boss",
        made["id"],
    )
    assert created.before is None
    assert created.after is not None
    assert (created.after["price"], created.after["key"]) == (12.5, "k")
    assert (changed.action, changed.before, changed.after) == (
        "product.changed",
        {"price": 12.5},
        {"price": 13},
    )
    assert (deleted.action, deleted.after) == ("product.deleted", None)
    assert await shop.audit.verify() is None


# --- stock ----------------------------------------------------------------------------------------


async def test_stocks_are_set_together_or_not_at_all(shop: Shop, client: httpx.AsyncClient) -> None:
    first, second = [await make(client, name, stock=1) for name in "ab"]

    async def restock(*items: tuple[str, int | None]) -> httpx.Response:
        levels = [{"id": id, "stock": stock} for id, stock in items]
        return await client.patch(f"{PATH}/stock", json={"items": levels})

    async def stocks() -> list[int | None]:
        found = [await client.get(f"{PATH}/{each['id']}") for each in (first, second)]
        return [each.json()["data"]["stock"] for each in found]

    done = await restock((first["id"], 0), (second["id"], None))
    assert done.json()["data"] == [
        {"id": first["id"], "stock": 0},
        {"id": second["id"], "stock": None},
    ]
    assert await stocks() == [0, None]
    act = (await shop.acts())[0]
    assert (act.action, act.after) == ("products.restocked", {"count": 2})

    unknown = await restock((first["id"], 5), (str(NOBODY), 5))
    assert code_of(unknown) == (422, "UNPROCESSABLE")
    assert fields_of(unknown) == ["items[1].id"]
    twice = await restock((first["id"], 5), (second["id"], 5), (first["id"], 6))
    assert code_of(twice) == (422, "UNPROCESSABLE")
    assert fields_of(twice) == ["items[2].id"]
    await client.delete(f"{PATH}/{second['id']}")
    assert code_of(await restock((second["id"], 1)))[0] == 422
    wrong = await client.patch(f"{PATH}/stock", json={"items": [{"id": first["id"], "stock": -1}]})
    assert fields_of(wrong) == ["items[0].stock"]
    assert (await client.get(f"{PATH}/{first['id']}")).json()["data"]["stock"] == 0


async def test_a_thousand_stocks_are_set_at_once_and_no_more(client: httpx.AsyncClient) -> None:
    levels = [{"id": str(UUID(int=number)), "stock": 2**31 - 1} for number in range(1001)]
    over = await client.patch(f"{PATH}/stock", json={"items": levels})
    assert code_of(over)[0] == 400
    full = await client.patch(f"{PATH}/stock", json={"items": levels[:1000]})
    assert code_of(full) == (422, "UNPROCESSABLE")


# --- who may --------------------------------------------------------------------------------------

OPEN = {("GET", SHOWN), ("GET", f"{SHOWN}/{{id:uuid}}"), ("GET", "/api/categories")}


async def test_all_but_three_routes_are_for_keepers_alone(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    shop.is_open = False
    routes = {
        (method, route.path)
        for route in shop.routes()
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert len(routes) == 16
    assert routes >= OPEN
    for method, path in routes:
        answer = await client.request(method, path.replace("{id:uuid}", str(NOBODY)))
        assert (answer.status_code == 403) is ((method, path) not in OPEN), (method, path)
