"""Products on the facade: shown behind an answer, beside a chat, and named where one only reads."""

from typing import Any

import msgspec
import pytest

from kefu.gateway.facade.events import AgentEvents, CustomerEvents, SessionNames
from kefu.recommendations.messages import Recommended
from kefu.storage.errors import StoreUnavailable
from protocol.server import NewMessage
from tests.facade.house import House, Worker
from tests.facade.test_turns import CHAT, NOW, chat, outcome_of, said
from tests.fakes.products import LAMP, PACK, TENT
from tests.until import until

SHOWN = (TENT.id, PACK.id)
SHOWN_AS = [str(id) for id in SHOWN]
TENT_CARD = {
    "id": str(TENT.id),
    "name": TENT.name,
    "price": 1299,
    "currency": "CNY",
    "image_url": "/p/1.png",
}


@pytest.fixture
def showing(house: House) -> House:
    """Whose bot shows two products behind its words."""
    house.bot.products = SHOWN
    return house


async def taken(house: House, name: str = "s-1") -> tuple[Worker, str]:
    """An agent in charge of the session, and its chat."""
    ke = await house.worker("小可")
    chat_id = (await house.escalate(name))["chat_id"]
    await ke.take(name)
    return ke, chat_id


# --- behind an answer -----------------------------------------------------------------------------


async def test_an_answer_names_the_products_behind_it_and_is_words_alone(showing: House) -> None:
    answer = await showing.ask("s-1", "有没有帐篷")
    assert answer == {"success": True, "message": "您好，有什么可以帮您？", "products": SHOWN_AS}
    showing.bot.products = ()
    assert set(await showing.ask("s-1", "还有呢")) == {"success", "message"}


async def test_a_message_sent_again_is_answered_with_the_same_products(showing: House) -> None:
    first = await showing.ask("s-1", "有没有帐篷", client_message_id="m-1")
    showing.bot.products = ()
    await showing.ask("s-1", "还有呢")
    assert await showing.ask("s-1", "有没有帐篷", client_message_id="m-1") == first


async def test_a_stream_tells_of_them_before_it_is_done(showing: House) -> None:
    peer = await showing.answer_by_cue("s-1", "有没有帐篷")
    assert peer.types == ["message", "message", "message", "product", "product", "done"]
    assert [event["content"] for event in peer.heard("product")] == SHOWN_AS
    assert set(peer.heard("product")[0]) == {"type", "content"}


async def test_who_listens_hears_cards_as_events_of_their_own(showing: House) -> None:
    peer = showing.listen("s-1")
    await until(lambda: peer.status == 200)
    await showing.ask("s-1", "有没有帐篷")
    await peer.hear("product", 2)
    assert [event["content"] for event in peer.heard("message")] == ["您好，有什么可以帮您？"]
    cards = peer.heard("product")
    assert [card["content"] for card in cards] == SHOWN_AS
    assert all(card["message_id"] and card["timestamp"] for card in cards)
    await peer.leave()


async def test_an_agent_hears_of_which_session_a_card_is(house: House) -> None:
    await house.ask("s-1", "你好")
    chat_id = (await house.escalate("s-1"))["chat_id"]
    message = msgspec.structs.replace(
        said(2, "ai", SHOWN_AS[0]),
        message_type="product",
        chat_id=msgspec.convert(chat_id, type(CHAT)),
    )
    events = AgentEvents(SessionNames(house.sessions))
    (heard,) = events.of(NewMessage(message, NOW))
    told = msgspec.json.decode((await events.encode(heard)).removeprefix(b"data: "))
    assert (told["type"], told["session_name"], told["chat_id"]) == ("product", "s-1", chat_id)
    (heard,) = CustomerEvents().of(NewMessage(message, NOW))
    assert heard.is_message


def test_the_cards_of_another_answer_are_not_ours() -> None:
    first, second = ([f"{TENT.id}", f"{PACK.id}"], [f"{LAMP.id}"])
    messages = [
        said(4, "ai", "甲", 1),
        *(_card(5 + n, id, answers=1, number=n + 1) for n, id in enumerate(first)),
        said(7, "ai", "乙", 3),
        _card(8, second[0], answers=3, number=1),
    ]
    outcome = outcome_of(chat(answered_seq=3), 3, messages)
    assert outcome is not None
    assert (outcome.text, [str(id) for id in outcome.products]) == ("乙", second)
    outcome = outcome_of(chat(answered_seq=1), 1, messages)
    assert outcome is not None
    assert (outcome.text, [str(id) for id in outcome.products]) == ("甲", first)


def _card(seq: int, content: str, *, answers: int, number: int) -> Any:
    return msgspec.structs.replace(
        said(seq, "ai", content),
        message_type="product",
        client_message_id=f"answers-{answers}-card-{number}",
    )


async def test_a_session_shows_its_cards_as_what_they_are(showing: House) -> None:
    await showing.ask("s-1", "有没有帐篷")
    session = await showing.session("s-1")
    assert [entry["message_type"] for entry in session["history"]] == [
        "text",
        "text",
        "product",
        "product",
    ]
    assert session["last_message"] == "[product]"


# --- beside a chat --------------------------------------------------------------------------------


async def test_an_agent_sees_what_was_viewed_and_what_may_please(house: House) -> None:
    house.recommender.seen = (TENT, LAMP)
    house.recommender.items = (Recommended(PACK, 0.25, TENT), Recommended(LAMP, 0.0))
    await house.ask("s-1", "你好")
    chat_id = (await house.escalate("s-1"))["chat_id"]
    fu = await house.worker()
    told = (await fu.get(f"/api/chats/{chat_id}/products")).json()
    assert told["success"] is True
    assert [each["name"] for each in told["data"]["viewed"]] == [TENT.name, LAMP.name]
    assert told["data"]["viewed"][0] == TENT_CARD
    first, second = told["data"]["recommended"]
    assert (first["name"], first["score"]) == (PACK.name, 0.25)
    assert first["because"] == {"id": str(TENT.id), "name": TENT.name}
    assert (second["score"], "because" in second) == (0.0, False)
    session = await house.session("s-1")
    assert {str(id) for id in house.recommender.asked} == {session["user_profile"]["id"]}


async def test_there_are_at_most_ten_viewed_and_six_recommended(house: House) -> None:
    house.recommender.seen = (TENT,) * 20
    house.recommender.items = (Recommended(PACK, 0.5),) * 20
    ke, chat_id = await taken(house)
    data = (await ke.get(f"/api/chats/{chat_id}/products")).json()["data"]
    assert (len(data["viewed"]), len(data["recommended"])) == (10, 6)


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), KeyError("a bug"), None])
async def test_in_trouble_there_are_none_and_the_page_works_on(
    house: House, error: Exception | None
) -> None:
    house.recommender.seen = (TENT,)
    ke, chat_id = await taken(house)
    for each in (house.recommender, house.catalogue):
        each.error, each.hangs = error, error is None
    told = await ke.get(f"/api/chats/{chat_id}/products")
    assert told.json()["data"] == {"viewed": [], "recommended": []}
    help = (await ke.get(f"/api/chats/{chat_id}/copilot")).json()["data"]
    assert (help["products"], help["summary"]) == ([], "问退款")


async def test_a_chat_that_is_not_there_has_no_products(house: House) -> None:
    ke = await house.worker()
    for chat_id in ("x", str(CHAT)):
        told = await ke.get(f"/api/chats/{chat_id}/products")
        assert (told.status_code, told.json()["code"]) == (404, "CHAT_NOT_FOUND")


async def test_the_copilot_says_what_to_show_and_why(house: House) -> None:
    house.recommender.items = (Recommended(PACK, 0.25, TENT), Recommended(LAMP, 0.0))
    ke, chat_id = await taken(house)
    path = f"/api/chats/{chat_id}/copilot"

    async def shown() -> Any:
        return (await ke.get(path)).json()["data"]["products"]

    first, second = await shown()
    assert (first["name"], first["reason"]) == (PACK.name, "views")
    assert first["because"] == {"id": str(TENT.id), "name": TENT.name}
    assert (second["name"], second["reason"]) == (LAMP.name, "popular")
    await house.post("/api/manual/messages", session_name="s-1", role="user", content="有帐篷吗")
    assert await shown() == [{**TENT_CARD, "reason": "words"}]


async def test_the_copilot_reads_cards_as_names(showing: House) -> None:
    await showing.ask("s-1", "有没有帐篷")
    ke, chat_id = await taken(showing)
    await showing.post("/api/manual/messages", session_name="s-1", role="user", content="嗯")
    await ke.get(f"/api/chats/{chat_id}/copilot")
    earlier = {question: said for question, said, _locale in showing.copilot.asked}
    assert earlier["嗯"][-2:] == [TENT.name, PACK.name]
