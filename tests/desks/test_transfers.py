"""A chat is passed on: at once, or by an offer that is taken, declined, or runs out."""

from typing import Any, NamedTuple
from uuid import UUID

from kefu.agents import messages
from kefu.agents.actor import OFFER_LIMIT, OFFER_S
from kefu.conversations import messages as conversations
from kefu.storage.errors import StoreUnavailable
from protocol.codes import ErrorCode
from tests.fakes.shop import AgentOnStage, CustomerOnStage, Shop, on_stage, settled
from tests.fakes.storage import Fault


class Scene(NamedTuple):
    ke: AgentOnStage
    fu: AgentOnStage
    wang: CustomerOnStage
    chat_id: UUID

    async def pass_on(
        self,
        *,
        offer: bool = False,
        by: AgentOnStage | None = None,
        note: str | None = None,
        is_supervisor: bool = False,
        chat_id: UUID | None = None,
    ) -> ErrorCode | None:
        sender = by or self.ke
        receive = messages.Receive(
            origin=sender.line.origin("t"),
            chat_id=chat_id or self.chat_id,
            customer_id=self.wang.customer.id,
            from_agent_id=sender.id,
            from_agent_name=sender.name,
            is_supervisor=is_supervisor,
            wants_offer=offer,
            note=note,
        )
        refused: ErrorCode | None = (await self.fu.ref.ask(receive, within=30)).refused
        return refused

    async def answer(self, is_accepted: bool, request_id: UUID | None = None) -> ErrorCode | None:
        offered = self.fu.line.heard("transfer_request")
        answer = messages.AnswerOffer(
            self.fu.line.origin("a"), request_id or offered[-1].request_id, is_accepted
        )
        refused: ErrorCode | None = (await self.fu.ref.ask(answer, within=30)).refused
        return refused

    def outcomes(self) -> list[str]:
        return [result.outcome for result in self.ke.line.heard("transfer_result")]

    async def agent(self) -> Any:
        state = await self.wang.look()
        return state.agent.id if state.agent else None


async def arranged(shop: Shop, **desk: Any) -> Scene:
    """Ke talks to Wang; Fu is there."""
    ke, fu, wang = shop.agent(1), shop.agent(2, **desk), shop.customer()
    await ke.connect()
    await fu.connect()
    chat_id = await wang.start()
    assert await ke.accept(chat_id, wang) is None
    return Scene(ke, fu, wang, chat_id)


@on_stage
async def test_a_free_colleague_gets_the_chat_at_once(shop: Shop) -> None:
    scene = await arranged(shop)
    assert await scene.pass_on(note="要发票") is None
    await settled()
    assert await scene.agent() == scene.fu.id
    assert scene.outcomes() == ["transferred"]
    assert (scene.ke.presence().active_count, scene.fu.presence().active_count) == (0, 1)
    assert [row.kind for row in shop.storage.happened(scene.chat_id)][-2:] == [
        "Transferred",
        "NoteWritten",
    ]


@on_stage
async def test_an_offer_that_is_accepted_moves_the_chat(shop: Shop) -> None:
    scene = await arranged(shop)
    assert await scene.pass_on(offer=True) is None
    assert await scene.agent() == scene.ke.id
    assert await scene.answer(True) is None
    await settled(OFFER_S * 2)
    assert await scene.agent() == scene.fu.id
    assert scene.outcomes() == ["offered", "transferred"]


@on_stage
async def test_an_offer_that_is_declined_leaves_the_chat(shop: Shop) -> None:
    scene = await arranged(shop)
    await scene.pass_on(offer=True)
    assert await scene.answer(False) is None
    assert await scene.answer(True) is ErrorCode.CHAT_NOT_FOUND
    assert await scene.agent() == scene.ke.id
    assert scene.outcomes() == ["offered", "declined"]


@on_stage
async def test_an_offer_nobody_answers_runs_out(shop: Shop) -> None:
    scene = await arranged(shop)
    await scene.pass_on(offer=True)
    await settled(OFFER_S - 1)
    assert scene.outcomes() == ["offered"]
    await settled(2)
    assert scene.outcomes() == ["offered", "expired"]
    assert await scene.answer(True) is ErrorCode.CHAT_NOT_FOUND


@on_stage
async def test_who_connects_again_hears_what_is_still_offered_to_them(shop: Shop) -> None:
    scene = await arranged(shop)
    await scene.pass_on(offer=True, note="要发票")
    (first,) = scene.fu.line.heard("transfer_request")
    await settled(OFFER_S - 1)
    again, other = shop.listen(), shop.listen()
    scene.fu.ref.tell(messages.ShowOffers(again.origin()))
    scene.ke.ref.tell(messages.ShowOffers(other.origin()))
    await settled(0.5)
    assert again.heard("transfer_request") == [first]
    assert other.frames == []
    await scene.answer(True)
    scene.fu.ref.tell(messages.ShowOffers(again.origin()))
    await settled()
    assert again.heard("transfer_request") == [first], "it is answered"


@on_stage
async def test_a_colleague_who_is_not_there_gets_nothing(shop: Shop) -> None:
    scene = await arranged(shop)
    scene.fu.disconnect()
    await settled(20)
    assert await scene.pass_on() is ErrorCode.AGENT_OFFLINE
    assert scene.ke.line.codes() == ["AGENT_OFFLINE"]
    assert await scene.agent() == scene.ke.id


@on_stage
async def test_a_busy_colleague_is_asked_first(shop: Shop) -> None:
    scene = await arranged(shop, chosen="busy")
    await scene.pass_on()
    assert scene.outcomes() == ["offered"]


@on_stage
async def test_a_full_desk_can_only_accept_once_there_is_a_place(shop: Shop) -> None:
    scene = await arranged(shop, max_sessions=1)
    li = shop.customer(2)
    await scene.fu.accept(await li.start(), li)
    await scene.pass_on()
    assert scene.outcomes() == ["offered"]
    assert await scene.answer(True) is ErrorCode.AGENT_AT_CAPACITY
    await li.end()
    await settled()
    assert await scene.answer(True) is None
    assert await scene.agent() == scene.fu.id


@on_stage
async def test_only_who_is_in_charge_passes_a_chat_on(shop: Shop) -> None:
    scene = await arranged(shop)
    stranger = shop.agent(3)
    await stranger.connect()
    assert await scene.pass_on(by=stranger) is ErrorCode.CHAT_NOT_FOUND
    assert await scene.pass_on(by=stranger, offer=True) is ErrorCode.CHAT_NOT_FOUND
    assert await scene.pass_on(by=stranger, is_supervisor=True) is None
    assert await scene.agent() == scene.fu.id


@on_stage
async def test_an_offer_of_a_chat_that_ended_is_told_to_both(shop: Shop) -> None:
    scene = await arranged(shop)
    await scene.pass_on(offer=True)
    await scene.wang.end()
    assert await scene.answer(True) is ErrorCode.CHAT_ENDED
    assert scene.outcomes() == ["offered", "expired"]


@on_stage
async def test_an_offer_stands_when_the_store_fails_over_its_answer(shop: Shop) -> None:
    scene = await arranged(shop)
    await scene.pass_on(offer=True)
    shop.storage.faults.append(Fault(StoreUnavailable("PostgreSQL does not answer.")))
    assert await scene.answer(True) is ErrorCode.OVERLOADED
    assert scene.outcomes() == ["offered"]
    assert await scene.answer(True) is None
    assert scene.outcomes() == ["offered", "transferred"]


@on_stage
async def test_offers_to_one_agent_are_limited(shop: Shop) -> None:
    scene = await arranged(shop)
    refused = [await scene.pass_on(offer=True) for _ in range(OFFER_LIMIT + 1)]
    assert refused == [None] * OFFER_LIMIT + [ErrorCode.AGENT_AT_CAPACITY]


@on_stage
async def test_a_note_of_a_transfer_never_reaches_the_customer(shop: Shop) -> None:
    scene = await arranged(shop)
    await scene.pass_on(note="秘密")
    note = conversations.AddNote(scene.fu.line.origin(), scene.fu.party, scene.chat_id, "秘密")
    await scene.wang.ref.ask(note, within=30)
    await settled()
    assert "秘密" not in str(scene.wang.line.frames)
    assert [note.content for note in scene.fu.line.heard("note_added")] == ["秘密"] * 2
