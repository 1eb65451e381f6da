"""Entries over HTTP: written by administrators, read and searched by agents, all of it audited."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.routing import Route

from kefu.knowledge.entries import FULL
from kefu.storage.database import connected
from tests.knowledge.shop import BOSS, Shop

PATH = "/api/knowledge"
FEE = {"question": "运费怎么算", "answer": "满 199 元包邮。", "locale": "zh-CN"}


def body(**fields: Any) -> dict[str, Any]:
    return {**FEE, **fields}


async def test_an_entry_is_written_read_changed_and_deleted(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    made = await client.post(PATH, json=body(phrasings=["包邮吗"], tags=["物流"], key="fee"))
    assert made.status_code == 201
    entry = made.json()["data"]
    address = f"{PATH}/{entry['id']}"
    assert (entry["phrasings"], entry["enabled"], entry["key"]) == (["包邮吗"], True, "fee")
    assert (await client.get(address)).json()["data"] == entry

    shop.clock.advance(60)
    changed = (await client.put(address, json={"answer": "全场包邮。"})).json()["data"]
    assert changed["answer"] == "全场包邮。"
    assert (changed["question"], changed["key"]) == (FEE["question"], "fee")
    assert changed["updated_at"] > changed["created_at"]

    assert (await client.delete(address)).status_code == 200
    for answer in (await client.get(address), await client.delete(address)):
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


async def test_every_write_is_audited_with_the_answer_and_without_customers_words(
    shop: Shop,
) -> None:
    entry = await shop.add(FEE["question"], FEE["answer"], phrasings=("我妈妈的包裹",))
    act = await shop.last_act()
    assert (act.action, act.by_name, act.subject_id) == ("knowledge.created", "Boss", str(entry.id))
    assert act.before is None
    assert act.after is not None
    assert (act.after["answer"], act.after["question"]) == (FEE["answer"], True)
    assert "我妈妈" not in str(act.after)

    await shop.entries.change(BOSS, entry.id, {"phrasings": (), "answer": "全场包邮。"})
    act = await shop.last_act()
    assert (act.action, act.before, act.after) == (
        "knowledge.changed",
        {"answer": FEE["answer"], "phrasings": True},
        {"answer": "全场包邮。", "phrasings": True},
    )
    await shop.entries.delete(BOSS, entry.id)
    act = await shop.last_act()
    assert (act.action, act.after) == ("knowledge.deleted", None)
    assert await shop.audit.verify() is None


async def test_a_question_and_a_key_are_taken_once_in_each_language(
    client: httpx.AsyncClient,
) -> None:
    await client.post(PATH, json=body(question="Fee?", key="fee", locale="en"))
    same = await client.post(PATH, json=body(question="FEE?", locale="en"))
    same_key = await client.post(PATH, json=body(question="Other?", key="fee", locale="en"))
    for answer in (same, same_key):
        assert (answer.status_code, answer.json()["code"]) == (422, "UNPROCESSABLE")
    other = await client.post(PATH, json=body(question="Fee?", key="fee", locale="zh-TW"))
    assert other.status_code == 201
    address = f"{PATH}/{other.json()['data']['id']}"
    assert (await client.put(address, json={"locale": "en"})).status_code == 422


async def test_entries_are_listed_by_words_language_and_place(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    for number in range(5):
        shop.clock.advance(1)
        await shop.add(f"question {number}", tags=("Odd",) if number % 2 else (), locale="en")
    await shop.add("运费 100%", phrasings=("包_邮",))

    async def listed(**asked: Any) -> tuple[list[str], int]:
        page = (await client.get(PATH, params=asked)).json()["data"]
        return [each["question"] for each in page["entries"]], page["total"]

    assert await listed(q="odd") == (["question 3", "question 1"], 2)
    assert await listed(locale="en", limit=2, offset=1) == (["question 3", "question 2"], 5)
    assert await listed(q="100%") == (["运费 100%"], 1)
    assert await listed(q="包_邮") == (["运费 100%"], 1)
    assert await listed(q="包%邮") == ([], 0)
    assert (await listed())[1] == 6


@pytest.mark.parametrize(
    "wrong",
    [
        {"question": ""},
        {"question": " "},
        {"question": "a" * 501},
        {"answer": "a\0b"},
        {"answer": "a" * 4001},
        {"phrasings": ["a"] * 21},
        {"phrasings": [""]},
        {"tags": "shipping"},
        {"locale": "fr"},
        {"key": "with space"},
        {"enabled": "yes"},
        {"id": "1"},
    ],
)
async def test_a_wrong_entry_is_refused(client: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    answer = await client.post(PATH, json=body(**wrong))
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_MESSAGE")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "offset=-1", "locale=fr", f"q={'a' * 201}", "q=%00"]
)
async def test_a_wrong_page_is_refused(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"{PATH}?{query}")).status_code == 400


async def test_nothing_to_change_is_said(shop: Shop, client: httpx.AsyncClient) -> None:
    entry = await shop.add("q")
    answer = await client.put(f"{PATH}/{entry.id}", json={})
    assert (answer.status_code, answer.json()["code"]) == (400, "NO_FIELDS_TO_UPDATE")


async def test_agents_search_and_see_the_nearest_in_any_case(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    await shop.add("怎么退货", "点退货。", phrasings=("我要退货",))
    await shop.add("运费怎么算", "包邮。")
    await shop.library.refresh()
    found = await client.get(f"{PATH}/search", params={"q": "我要退货", "limit": 1})
    data = found.json()["data"]
    assert data["confidence"] == "sure"
    assert [(hit["answer"], hit["score"]) for hit in data["hits"]] == [("点退货。", 1.0)]
    doubtful = (await client.get(f"{PATH}/search", params={"q": "退钱运营"})).json()["data"]
    assert (doubtful["confidence"], len(doubtful["hits"])) == ("none", 2)
    assert (await client.get(f"{PATH}/search")).status_code == 400


async def test_there_can_be_10000_entries(shop: Shop) -> None:
    async with connected(shop.pool) as connection:
        await connection.execute(
            "INSERT INTO knowledge_entries"
            " (id, question, answer, created_at, updated_at, version)"
            " SELECT gen_random_uuid(), 'q' || n, 'a', now(), now(), 1"
            " FROM generate_series(1, 9999) AS n"
        )
    await shop.add("the last one")
    with pytest.raises(Exception, match=FULL):
        await shop.add("one too many")


WRITES = [
    ("POST", PATH),
    ("POST", f"{PATH}/import"),
    ("PUT", f"{PATH}/{UUID(int=1)}"),
    ("DELETE", f"{PATH}/{UUID(int=1)}"),
    ("GET", f"{PATH}/unanswered"),
    ("DELETE", f"{PATH}/unanswered/{UUID(int=1)}"),
    ("POST", f"{PATH}/unanswered/{UUID(int=1)}/entry"),
]
READS = [("GET", PATH), ("GET", f"{PATH}/{UUID(int=1)}"), ("GET", f"{PATH}/search?q=a")]


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_readers_may_not_write_nor_see_customers_words(
    shop: Shop, client: httpx.AsyncClient, method: str, path: str
) -> None:
    shop.rights = {"read"}
    assert (await client.request(method, path, json={})).status_code == 403


@pytest.mark.parametrize(("method", "path"), READS)
async def test_strangers_may_not_read(
    shop: Shop, client: httpx.AsyncClient, method: str, path: str
) -> None:
    shop.rights = set()
    assert (await client.request(method, path)).status_code == 403


async def test_every_route_is_in_one_of_the_two_lists(shop: Shop) -> None:
    def pattern(path: str) -> str:
        return path.partition("?")[0].replace(str(UUID(int=1)), "{id:uuid}")

    routes = {
        (method, route.path)
        for route in shop.routes()
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert routes == {(method, pattern(path)) for method, path in WRITES + READS}
