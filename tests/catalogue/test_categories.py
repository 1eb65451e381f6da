"""Categories over HTTP: every example and every code of the contract."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from kefu.catalogue import store
from kefu.storage.database import connected
from tests.catalogue.shop import NOBODY, Shop

PATH = "/api/admin/categories"


async def make(client: httpx.AsyncClient, name: str, **fields: Any) -> dict[str, Any]:
    answer = await client.post(PATH, json={"name": name, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["data"]
    return made


async def tree(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    grown: list[dict[str, Any]] = (await client.get(PATH)).json()["data"]
    return grown


def code_of(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["success"] is False
    assert body["code"] == body["detail"]
    assert body["error"]
    return answer.status_code, body["code"]


def fields_of(answer: httpx.Response) -> list[str]:
    """The names of the wrong fields."""
    body = answer.json()
    assert {each["code"] for each in body["errors"]} == {body["code"]}
    assert {each["field"]: each["message"] for each in body["errors"]} == body["fields"]
    return [each["field"] for each in body["errors"]]


async def test_categories_make_a_tree(client: httpx.AsyncClient) -> None:
    top = await make(client, "測試分類")
    assert top == {
        "id": top["id"],
        "name": "測試分類",
        "slug": "ce-shi-fen-lei",
        "parent_id": None,
        "sort_order": 0,
        "depth": 0,
        "children": [],
    }
    middle = await make(client, "Tents", parent_id=top["id"], slug="tents-1")
    leaf = await make(client, "四季", parent_id=middle["id"])
    assert (middle["slug"], middle["depth"], leaf["depth"]) == ("tents-1", 1, 2)
    middle["children"], top["children"] = [leaf], [middle]
    assert await tree(client) == [top]
    assert (await client.get("/api/categories")).json()["data"] == [top]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"name": "a\0"}, "name"),
        ({"name": 7}, "name"),
        ({}, "name"),
        ({"name": "a", "slug": "A"}, "slug"),
        ({"name": "a", "slug": "a_b"}, "slug"),
        ({"name": "a", "slug": ""}, "slug"),
        ({"name": "a", "slug": "a\n"}, "slug"),
        ({"name": "a", "slug": "a" * 101}, "slug"),
        ({"name": "a", "parent_id": "x"}, "parent_id"),
        ({"name": "a", "depth": 1}, "depth"),
    ],
)
async def test_a_wrong_category_is_refused_by_its_field(
    client: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await client.post(PATH, json=body)
    assert code_of(answer) == (400, "INVALID_MESSAGE")
    assert fields_of(answer) == [field]


async def test_a_name_and_a_slug_of_100_characters_are_taken(client: httpx.AsyncClient) -> None:
    assert (await make(client, "字" * 100, slug="a" * 100))["slug"] == "a" * 100


async def test_a_slug_is_given_once_and_a_made_one_gets_a_number(
    client: httpx.AsyncClient,
) -> None:
    assert (await make(client, "帐篷"))["slug"] == "zhang-peng"
    assert (await make(client, "帐篷"))["slug"] == "zhang-peng-2"
    taken = await client.post(PATH, json={"name": "x", "slug": "zhang-peng"})
    assert code_of(taken) == (409, "ALREADY_EXISTS")
    assert fields_of(taken) == ["slug"]
    long = [(await make(client, "长" * 100))["slug"] for _ in range(2)]
    assert [len(slug) for slug in long] == [100, 100]
    assert long[1].endswith("-2")
    assert [(await make(client, "🏕️"))["slug"] for _ in range(2)] == ["category", "category-2"]


async def test_a_parent_must_be_there_and_have_a_level_left(client: httpx.AsyncClient) -> None:
    unknown = await client.post(PATH, json={"name": "a", "parent_id": str(NOBODY)})
    assert code_of(unknown) == (422, "UNPROCESSABLE")
    assert fields_of(unknown) == ["parent_id"]
    id = None
    for name in "abc":
        id = (await make(client, name, parent_id=id))["id"]
    assert code_of(await client.post(PATH, json={"name": "d", "parent_id": id})) == (
        422,
        "UNPROCESSABLE",
    )


async def test_what_is_left_out_stays_and_null_takes_to_the_top(client: httpx.AsyncClient) -> None:
    top = await make(client, "top")
    middle = await make(client, "middle", parent_id=top["id"])
    leaf = await make(client, "leaf", parent_id=middle["id"])
    renamed = await client.put(f"{PATH}/{middle['id']}", json={"name": "Middle"})
    assert renamed.status_code == 200
    said = renamed.json()["data"]
    assert (said["name"], said["slug"], said["parent_id"]) == ("Middle", "middle", top["id"])

    raised = await client.put(f"{PATH}/{middle['id']}", json={"parent_id": None})
    leaf["depth"] = 1
    assert raised.json()["data"] == {**said, "parent_id": None, "depth": 0, "children": [leaf]}
    assert [each["slug"] for each in await tree(client)] == ["top", "middle"]
    under = await client.put(f"{PATH}/{middle['id']}", json={"parent_id": top["id"], "slug": "m"})
    assert (under.json()["data"]["depth"], under.json()["data"]["slug"]) == (1, "m")


async def test_a_change_is_refused_as_a_new_one_is(client: httpx.AsyncClient) -> None:
    top = await make(client, "top")
    middle = await make(client, "middle", parent_id=top["id"])
    other = await make(client, "other")
    address = f"{PATH}/{top['id']}"
    for body, expected in (
        ({"name": ""}, (400, "INVALID_MESSAGE")),
        ({"slug": None}, (400, "INVALID_MESSAGE")),
        ({}, (400, "NO_FIELDS_TO_UPDATE")),
        ({"slug": "middle"}, (409, "ALREADY_EXISTS")),
        ({"parent_id": str(NOBODY)}, (422, "UNPROCESSABLE")),
        ({"parent_id": top["id"]}, (422, "UNPROCESSABLE")),
        ({"parent_id": middle["id"]}, (422, "UNPROCESSABLE")),
    ):
        assert code_of(await client.put(address, json=body)) == expected
    assert code_of(await client.put(f"{PATH}/{NOBODY}", json={"name": "a"})) == (
        404,
        "CATEGORY_NOT_FOUND",
    )
    await make(client, "leaf", parent_id=middle["id"])
    moved = await client.put(address, json={"parent_id": other["id"]})
    assert code_of(moved) == (422, "UNPROCESSABLE")
    same = await client.put(address, json={"slug": "top", "name": "top"})
    assert same.status_code == 200


async def test_a_category_is_deleted_once_nothing_needs_it(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    top = await make(client, "top")
    leaf = await make(client, "leaf", parent_id=top["id"])
    product = await shop.product("Tent", category_id=UUID(leaf["id"]))
    for each in (top, leaf):
        assert code_of(await client.delete(f"{PATH}/{each['id']}")) == (409, "IN_USE")
    await client.delete(f"/api/admin/products/{product.id}")
    for each in (leaf, top):
        gone = await client.delete(f"{PATH}/{each['id']}")
        assert (gone.status_code, gone.content) == (204, b"")
    assert code_of(await client.delete(f"{PATH}/{top['id']}")) == (404, "CATEGORY_NOT_FOUND")
    assert await tree(client) == []


async def test_siblings_are_put_in_order_all_or_none(client: httpx.AsyncClient) -> None:
    made = [await make(client, name) for name in "abc"]
    first, second, third = (each["id"] for each in made)

    async def reorder(*items: tuple[str, int]) -> httpx.Response:
        places = [{"id": id, "sort_order": place} for id, place in items]
        return await client.put(f"{PATH}/reorder", json={"items": places})

    done = await reorder((third, 1), (second, 2), (first, 3))
    assert done.status_code == 200
    said = [(each["id"], each["sort_order"]) for each in done.json()["data"]]
    assert said == [(third, 1), (second, 2), (first, 3)]
    assert [each["name"] for each in await tree(client)] == ["c", "b", "a"]

    unknown = await reorder((first, 0), (str(NOBODY), 5))
    assert code_of(unknown) == (422, "UNPROCESSABLE")
    assert fields_of(unknown) == ["items[1].id"]
    assert fields_of(await reorder((first, 0), (second, 1), (first, 5))) == ["items[2].id"]
    assert [each["name"] for each in await tree(client)] == ["c", "b", "a"]
    wrong = await client.put(f"{PATH}/reorder", json={"items": [{"id": first}]})
    assert code_of(wrong) == (400, "INVALID_MESSAGE")
    assert fields_of(wrong) == ["items[0].sort_order"]


async def test_every_write_is_audited_with_what_changed(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    top = await make(client, "top")
    other = await make(client, "other")
    await client.put(f"{PATH}/{other['id']}", json={"name": "Other", "parent_id": top["id"]})
    await client.put(f"{PATH}/reorder", json={"items": [{"id": top["id"], "sort_order": 4}]})
    await client.delete(f"{PATH}/{other['id']}")
    said = [(act.action, act.subject_id, act.before, act.after) for act in await shop.acts()]
    whole = {"name": "Other", "slug": "other", "parent_id": top["id"], "sort_order": 0, "depth": 1}
    assert said[:3] == [
        ("category.deleted", other["id"], whole, None),
        ("categories.reordered", "several", {top["id"]: 0}, {top["id"]: 4}),
        (
            "category.changed",
            other["id"],
            {"name": "other", "parent_id": None, "depth": 0},
            {"name": "Other", "parent_id": top["id"], "depth": 1},
        ),
    ]
    assert [each[0] for each in said[3:]] == ["category.created"] * 2
    assert await shop.audit.verify() is None


async def test_what_changes_nothing_is_not_written(shop: Shop, client: httpx.AsyncClient) -> None:
    made = await make(client, "top")
    await client.put(f"{PATH}/{made['id']}", json={"name": "top", "parent_id": None})
    assert len(await shop.acts()) == 1


async def test_500_categories_are_read_by_one_query(shop: Shop, client: httpx.AsyncClient) -> None:
    async with connected(shop.pool) as connection:
        await connection.execute(
            "INSERT INTO categories (id, name, slug, depth, created_at, updated_at)"
            " SELECT gen_random_uuid(), 'c' || n, 'c' || n, 0, now(), now()"
            " FROM generate_series(1, 500) AS n"
        )
        asked: list[object] = []
        with connection.query_logger(asked.append):
            known = await store.all_categories(connection)
    assert (len(known), len(asked)) == (500, 1)
    assert len(await tree(client)) == 500


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PATH),
        ("POST", PATH),
        ("PUT", f"{PATH}/reorder"),
        ("PUT", f"{PATH}/{NOBODY}"),
        ("DELETE", f"{PATH}/{NOBODY}"),
    ],
)
async def test_strangers_may_not(
    shop: Shop, client: httpx.AsyncClient, method: str, path: str
) -> None:
    shop.is_open = False
    assert code_of(await client.request(method, path, json={})) == (403, "FORBIDDEN")
