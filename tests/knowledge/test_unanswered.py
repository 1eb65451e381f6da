"""Questions nobody could answer: collected without waiting, and made entries with one click."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.knowledge import unanswered as module
from kefu.knowledge.unanswered import WAITING, Unanswered
from kefu.storage.errors import StoreUnavailable
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy
from tests.knowledge.shop import Shop

PATH = "/api/knowledge/unanswered"


async def note(shop: Shop, *texts: str, locale: str | None = "zh-CN") -> None:
    for text in texts:
        shop.library.note_unanswered(text, locale)
    await shop.library._unanswered.flush()


async def listed(client: httpx.AsyncClient, query: str = "") -> list[dict[str, Any]]:
    questions: list[dict[str, Any]] = (await client.get(PATH + query)).json()["data"]["questions"]
    return questions


async def test_the_same_question_is_counted_however_it_is_typed(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    await note(shop, "能寄到火星吗？", "能寄到火星嗎", "卖睡袋吗")
    shop.clock.advance(60)
    await note(shop, "能寄到火星吗!!")
    mars, bags = await listed(client)
    assert (mars["text"], mars["asked_count"], mars["locale"]) == ("能寄到火星吗？", 3, "zh-CN")
    assert mars["last_at"] > mars["first_at"]
    assert bags["asked_count"] == 1
    assert await listed(client, "?offset=1") == [bags]


async def test_one_click_makes_an_entry_of_it(shop: Shop, client: httpx.AsyncClient) -> None:
    await note(shop, "卖睡袋吗", "有折叠椅吗")
    bags, chairs = sorted(await listed(client), key=lambda each: each["text"], reverse=True)
    assert bags["text"] == "有折叠椅吗"
    bags, chairs = chairs, bags
    made = await client.post(f"{PATH}/{bags['id']}/entry", json={"answer": "暂时不卖。"})
    assert made.status_code == 201
    entry = made.json()["data"]
    assert (entry["question"], entry["locale"], entry["answer"]) == (
        "卖睡袋吗",
        "zh-CN",
        "暂时不卖。",
    )
    act = await shop.last_act()
    assert act.action == "knowledge.created"
    assert "睡袋" not in str(act.after)

    better = {"answer": "没有。", "question": "有折叠椅或者桌子吗？", "phrasings": [chairs["text"]]}
    made = await client.post(f"{PATH}/{chairs['id']}/entry", json=better)
    assert made.json()["data"]["question"] == better["question"]
    assert await listed(client) == []
    again = await client.post(f"{PATH}/{bags['id']}/entry", json={"answer": "a"})
    assert (again.status_code, again.json()["code"]) == (404, "NOT_FOUND")


async def test_a_question_that_is_an_entry_already_stays_until_it_is_deleted(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    await shop.add("卖睡袋吗", locale="zh-CN")
    await note(shop, "卖睡袋吗")
    (question,) = await listed(client)
    refused = await client.post(f"{PATH}/{question['id']}/entry", json={"answer": "a"})
    assert refused.status_code == 422
    assert len(await listed(client)) == 1
    assert (await client.delete(f"{PATH}/{question['id']}")).status_code == 200
    act = await shop.last_act()
    assert (act.action, act.before, act.after) == ("knowledge.question_deleted", None, None)
    assert await listed(client) == []


async def test_those_asked_last_are_kept(
    shop: Shop, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    for text in ("first", "second", "third"):
        shop.clock.advance(1)
        await note(shop, text)
    assert {each["text"] for each in await listed(client)} == {"second", "third"}


async def test_what_is_no_question_is_not_kept_and_a_long_one_is_cut(
    shop: Shop, client: httpx.AsyncClient
) -> None:
    await note(shop, "", "?!", "🙂", "\0", "\ud800", "a" * 5000, locale=None)
    (question,) = await listed(client)
    assert question["text"] == "a" * 500


async def test_noting_never_waits_and_has_a_limit(shop: Shop, client: httpx.AsyncClient) -> None:
    await note(shop, *(f"question {number}" for number in range(WAITING + 100)))
    total = (await client.get(PATH)).json()["data"]["total"]
    assert total == WAITING


async def test_nothing_is_forgotten_while_the_store_is_away(
    shop: Shop, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(module.store, "note_unanswered", away)
        with pytest.raises(StoreUnavailable):
            await note(shop, "卖睡袋吗")
    await note(shop, "有折叠椅吗")
    assert len(await listed(client)) == 2


@given(st.text(alphabet=st.characters(), max_size=600), st.none() | st.text(max_size=40))
def test_any_text_can_be_noted(text: str, locale: str | None) -> None:
    clock = HandClock()
    unanswered = Unanswered(None, clock, SeededEntropy())  # type: ignore[arg-type]
    unanswered.note(text, locale)
    for normal, asked in unanswered._asked.items():
        assert 1 <= len(normal) <= 500
        assert 1 <= len(asked.text) <= 500
        asked.text.encode()
