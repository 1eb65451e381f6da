"""A chat goes back to the queue for a team: who may do it, what it becomes, what is kept of it."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from kefu.conversations import messages
from kefu.conversations.announce import waiting_of
from kefu.conversations.commands import Requeue
from kefu.conversations.parties import SYSTEM, Party
from kefu.conversations.rows import event_row
from kefu.conversations.state import NOT_FOUND
from protocol.codes import ErrorCode
from tests.conversations import cast
from tests.conversations.cast import FU, KE, SUPERVISOR
from tests.fakes.shop import AgentOnStage, CustomerOnStage, Shop, on_stage, settled

TEAM = UUID(int=51)
CALLED, TAKEN = cast.opening(wants_human=True), cast.accept(KE)


def to_team(by: Party) -> Requeue:
    return cast.requeue(by, TEAM)


@given(by=st.sampled_from(cast.EVERYBODY))
def test_only_who_is_in_charge_hands_a_chat_to_a_team(by: Party) -> None:
    chat = cast.after(CALLED, TAKEN)
    if by in (KE, SUPERVISOR, SYSTEM):
        (event,) = cast.events_of(chat, to_team(by))
        assert (event.from_phase, event.to_phase) == ("manual_live", "pending_manual")
    else:
        assert cast.refusal_of(chat, to_team(by)) == NOT_FOUND


def test_only_a_chat_with_an_agent_is_handed_to_a_team() -> None:
    for chat in (cast.after(cast.opening()), cast.after(CALLED)):
        assert cast.refusal_of(chat, to_team(SUPERVISOR)) == NOT_FOUND
    ended = cast.after(CALLED, cast.end())
    assert cast.refusal_of(ended, to_team(SUPERVISOR)).code is ErrorCode.CHAT_ENDED


def test_the_team_stays_with_whoever_takes_the_chat_until_it_is_handed_on() -> None:
    handed = (CALLED, TAKEN, to_team(KE))
    waits = cast.after(*handed)
    assert (waits.phase, waits.agent, waits.team_id) == ("pending_manual", None, TEAM)
    assert waiting_of(waits).team_id == TEAM
    taken = (*handed, cast.accept(FU))
    assert cast.after(*taken).team_id == TEAM
    assert cast.after(*taken, cast.transfer(FU, KE)).team_id is None
    assert cast.after(*taken, cast.requeue(FU)).team_id is None
    released = (*taken, cast.release(FU))
    assert cast.after(*released).team_id == TEAM
    assert cast.after(*released, cast.call_human()).team_id is None


def test_the_log_names_the_team() -> None:
    chat = cast.after(CALLED, TAKEN)
    (named,) = cast.events_of(chat, to_team(KE))
    (unnamed,) = cast.events_of(chat, cast.requeue(KE))
    assert event_row(chat.chat_id, named).body == f'{{"team_id":"{TEAM}"}}'
    assert event_row(chat.chat_id, unnamed).body is None


async def served(shop: Shop) -> tuple[AgentOnStage, CustomerOnStage, UUID]:
    """Ke talks to Wang, the second to come."""
    ke, wang, li = shop.agent(), shop.customer(1), shop.customer(2)
    await ke.connect()
    await li.start()
    chat_id = await wang.start()
    assert await ke.accept(chat_id, wang) is None
    await settled()
    return ke, wang, chat_id


async def hand_over(
    ke: AgentOnStage, wang: CustomerOnStage, chat_id: UUID, note: str | None = None
) -> messages.Outcome:
    message = messages.RequeueChat(ke.line.origin("t"), ke.party, chat_id, TEAM, "语言", note)
    outcome: messages.Outcome = await wang.ref.ask(message, within=30)
    await settled(0.1)
    return outcome


@on_stage
async def test_the_customer_waits_again_and_the_agent_is_free(shop: Shop) -> None:
    ke, wang, chat_id = await served(shop)
    wang.line.frames.clear()
    await hand_over(ke, wang, chat_id, note="只会粤语")
    (status,) = wang.line.heard("chat_status")
    assert (status.status, status.queue_position, status.agent) == ("waiting", 1, None)
    assert ke.presence().active_count == 0
    update = ke.line.heard("queue_update")[-1]
    assert (update.change, update.item.team_id, update.item.reason) == ("added", TEAM, "语言")
    assert shop.storage.chats[chat_id].team_id == TEAM
    (kinds,) = [[row.kind for row in entry.events] for entry in shop.storage.entries[-1:]]
    assert kinds == ["Requeued", "NoteWritten"], "the note is written in the same step"
    assert "只会粤语" not in str(wang.line.frames)


@on_stage
async def test_a_stranger_is_told_that_there_is_no_such_chat(shop: Shop) -> None:
    ke, wang, chat_id = await served(shop)
    stranger = shop.agent(2)
    await stranger.connect()
    assert await hand_over(stranger, wang, chat_id, "?") == NOT_FOUND
    assert stranger.line.codes() == ["CHAT_NOT_FOUND"]
    assert ke.presence().active_count == 1


@on_stage
async def test_a_customer_who_went_back_to_the_bot_asks_for_anybody(shop: Shop) -> None:
    shop.is_bot_ready = True
    ke, wang, chat_id = await served(shop)
    await hand_over(ke, wang, chat_id)
    await wang.ref.ask(messages.ReturnToBot(None, wang.party), within=30)
    await wang.ref.ask(messages.CallHuman(None, wang.party), within=30)
    await settled(0.1)
    assert ke.line.heard("queue_update")[-1].item.team_id is None
