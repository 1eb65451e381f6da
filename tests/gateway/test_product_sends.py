"""A product card on its way: only of what the shop has, and in its place among what is said."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from kefu.conversations import messages as conversations
from kefu.conversations.keys import Known
from kefu.storage.errors import StoreUnavailable
from tests.fakes.asgi_peer import AsgiPeer
from tests.fakes.products import TENT
from tests.gateway.office import ME, Office
from tests.gateway.stage import CHAT, Stage, passes, simulated

GONE = UUID(int=0xDEAD)
Story = Callable[[Stage, AsgiPeer], Awaitable[None]]


def by_both(story: Story) -> Callable[[str], None]:
    """The story with a customer's connection, and with an agent's."""

    async def told(role: str) -> None:
        stage = Stage() if role == "customer" else Office()
        if isinstance(stage, Office):
            peer = await stage.at_work("agent")
        else:
            peer = await stage.connected()
            stage.told.clear()
        await story(stage, peer)
        await peer.leave()

    def test(role: str) -> None:
        simulated(lambda: told(role))

    test.__name__, test.__doc__ = getattr(story, "__name__", "story"), story.__doc__
    return pytest.mark.parametrize("role", ["customer", "agent"])(test)


def send(peer: AsgiPeer, content: str, kind: str = "product", **more: Any) -> None:
    payload = {"content": content, "message_type": kind, "chat_id": str(CHAT), **more}
    peer.say("send_message", payload, id=content)


def sent(stage: Stage) -> list[tuple[str, str]]:
    messages = (m for m in stage.told if isinstance(m, conversations.SendMessage))
    return [(message.message_type, message.content) for message in messages]


@by_both
async def test_a_card_of_a_product_reaches_the_conversation(stage: Stage, peer: AsgiPeer) -> None:
    send(peer, f"{{{str(TENT.id).upper()}}}", client_message_id="k")
    await passes(1)
    assert sent(stage) == [("product", str(TENT.id))], "as kefu writes ids"
    (message,) = (m for m in stage.told if isinstance(m, conversations.SendMessage))
    assert (message.chat_id, message.client_message_id) == (CHAT, "k")
    assert message.origin.frame_id == f"{{{str(TENT.id).upper()}}}"


@by_both
async def test_what_is_said_around_a_card_keeps_its_place(stage: Stage, peer: AsgiPeer) -> None:
    send(peer, "一", "text")
    send(peer, str(TENT.id))
    send(peer, "二", "text")
    send(peer, str(GONE))
    send(peer, str(TENT.id))
    peer.say("mark_read", {"seq": 1, "chat_id": str(CHAT)})
    send(peer, "三", "text")
    await passes(1)
    card = ("product", str(TENT.id))
    assert sent(stage) == [("text", "一"), card, ("text", "二"), card, ("text", "三")]
    assert isinstance(stage.told[-2], conversations.MarkRead)


@by_both
async def test_what_the_shop_does_not_have_is_refused(stage: Stage, peer: AsgiPeer) -> None:
    for content in (str(GONE), "帐篷", "1", "https://shop.example/p/1"):
        send(peer, content)
        error = await peer.hear("error", len(peer.heard("error")) + 1)
        assert error["payload"]["code"] == "PRODUCT_NOT_FOUND"
        assert error["payload"]["message"] == "There is no such product."
        assert error["reply_to"] == content
    assert sent(stage) == []
    send(peer, "还在", "text")
    await passes(1)
    assert sent(stage) == [("text", "还在")]


@by_both
async def test_a_store_that_is_away_is_to_be_asked_again(stage: Stage, peer: AsgiPeer) -> None:
    stage.catalogue.error = StoreUnavailable("gone")
    send(peer, str(TENT.id))
    error = await peer.hear("error")
    assert (error["payload"]["code"], error["reply_to"]) == ("OVERLOADED", str(TENT.id))
    assert error["payload"]["retry_after_s"] > 0
    stage.catalogue.error = None
    send(peer, str(TENT.id))
    await passes(1)
    assert sent(stage) == [("product", str(TENT.id))]


@by_both
async def test_a_card_sent_again_gets_its_receipt_though_the_product_has_gone(
    stage: Stage, peer: AsgiPeer
) -> None:
    sender = ME.id if isinstance(stage, Office) else _customer(stage)
    known = Known(CHAT, UUID(int=1), 1, 0.0, 0)
    stage.chats.known = [(sender, "first", known), (UUID(int=99), "another's", known)]
    for key in ("first", "another's", "new"):
        send(peer, str(GONE), client_message_id=key)
    await passes(1)
    told = [m for m in stage.told if isinstance(m, conversations.SendMessage)]
    assert [m.client_message_id for m in told] == ["first"], "the conversation knows it"
    assert len(peer.heard("error")) == 2


def _customer(stage: Stage) -> UUID:
    (listener,) = stage.hub
    customer_id: UUID = listener.role.customer_id  # type: ignore[attr-defined]
    return customer_id


def test_an_agent_learns_nothing_of_a_chat_that_is_not_there() -> None:
    async def story() -> None:
        office = Office()
        peer = await office.at_work("agent")
        send(peer, str(TENT.id), chat_id=str(UUID(int=404)))
        error = await peer.hear("error")
        assert error["payload"]["code"] == "CHAT_NOT_FOUND"
        assert office.catalogue.found == []
        await peer.leave()

    simulated(story)


def test_cards_in_a_post_are_looked_up_in_their_turn() -> None:
    async def story() -> None:
        stage = Stage()
        token = stage.tokens.customer("c-1", ttl_s=6000)
        transport = httpx.ASGITransport(stage.http, raise_app_exceptions=False)
        frames = [
            {"type": "send_message", "id": id, "payload": {"content": content, **more}}
            for id, content, more in (
                ("1", "一", {}),
                ("2", str(TENT.id), {"message_type": "product"}),
                ("3", str(GONE), {"message_type": "product"}),
                ("4", "二", {}),
            )
        ]
        async with httpx.AsyncClient(transport=transport, base_url="http://kefu") as client:
            told = await client.post(
                "/api/chat/frames", json=frames, headers={"authorization": f"Bearer {token}"}
            )
        errors = {f["reply_to"]: f["payload"]["code"] for f in told.json()["data"]["frames"]}
        assert errors["3"] == "PRODUCT_NOT_FOUND"
        assert sent(stage) == [("text", "一"), ("product", str(TENT.id)), ("text", "二")]

    simulated(story)
