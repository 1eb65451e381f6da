"""Beside the talk, on the real router: whispers, questions, ratings, and watching unseen."""

from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import replace

from kefu.agents import messages as agents
from kefu.conversations import messages
from kefu.conversations.messages import Refusal
from kefu.delivery import customer_topic, watch_topic
from kefu.storage.errors import StoreUnavailable
from protocol.codes import ErrorCode
from protocol.server import ToWorkbench
from tests.fakes.shop import AgentOnStage, CustomerOnStage, Listener, Shop, on_stage, play, settled
from tests.fakes.storage import Fault


class Scene(NamedTuple):
    """Ke serves Wang; Min, who may supervise, looks on over a line of her own."""

    ke: AgentOnStage
    min: AgentOnStage
    wang: CustomerOnStage
    chat_id: UUID
    watcher: Listener

    @property
    def supervisor(self) -> messages.Party:
        return replace(self.min.party, is_supervisor=True)

    async def ask(self, message: Any) -> Any:
        return await self.wang.ref.ask(message, within=30)

    async def whisper(self, content: str = "先道歉") -> Any:
        origin = self.min.line.origin("w")
        return await self.ask(messages.Whisper(origin, self.supervisor, self.chat_id, content))

    async def watch(self) -> Any:
        return await self.ask(messages.WatchChat(None, self.supervisor, self.chat_id))

    async def assist(self, by: AgentOnStage, to: AgentOnStage) -> ErrorCode | None:
        question = agents.Assist(
            origin=by.line.origin("q"),
            chat_id=self.chat_id,
            customer_id=self.wang.customer.id,
            from_agent_id=by.id,
            from_agent_name=by.name,
            is_supervisor=False,
            question="能退吗",
        )
        refused: ErrorCode | None = (await to.ref.ask(question, within=30)).refused
        return refused

    def forget(self) -> None:
        for line in (self.ke.line, self.min.line, self.wang.line, self.watcher):
            line.frames.clear()


async def arranged(shop: Shop, *, is_min_here: bool = True) -> Scene:
    ke, min, wang = shop.agent(1), shop.agent(2), shop.customer()
    await ke.connect()
    if is_min_here:
        await min.connect()
    chat_id = await wang.start()
    assert await ke.accept(chat_id, wang) is None
    await settled()
    scene = Scene(ke, min, wang, chat_id, shop.listen(watch_topic(chat_id)))
    scene.forget()
    return scene


# --- whispers -------------------------------------------------------------------------------------


@on_stage
async def test_a_whisper_reaches_the_agent_and_who_watches_and_answers_its_author(
    shop: Shop,
) -> None:
    scene = await arranged(shop)
    assert not isinstance(await scene.whisper(), Refusal)
    await settled()
    for line in (scene.ke.line, scene.watcher, scene.min.line):
        (heard,) = line.heard("whispered")
        assert (heard.content, heard.agent_name) == ("先道歉", "客服2")
    assert [frame.reply_to for frame in scene.min.line.frames] == ["w"]
    assert scene.wang.line.frames == []
    assert shop.storage.happened(scene.chat_id)[-1].kind == "Whispered"


@on_stage
async def test_a_whisper_is_told_to_nobody_before_it_is_durable(shop: Shop) -> None:
    scene = await arranged(shop)
    shop.storage.faults.append(Fault(StoreUnavailable("gone")))
    assert await scene.whisper() == Refusal(ErrorCode.OVERLOADED)
    await settled()
    assert scene.min.line.codes() == ["OVERLOADED"]
    assert scene.ke.line.frames == scene.watcher.frames == []


@on_stage
async def test_nothing_said_aside_is_ever_published_to_a_customer(shop: Shop) -> None:
    aside: list[ToWorkbench] = []
    publish = shop.publish

    def checked(topics: tuple[str, ...], frame: ToWorkbench, **more: Any) -> None:
        if any(topic.startswith("customer:") for topic in topics):
            aside.append(frame)
        publish(topics, frame, **more)

    shop.publish = checked  # type: ignore[method-assign]
    scene = await arranged(shop)
    aside.clear()
    await scene.whisper()
    await scene.watch()
    await scene.ask(messages.AddNote(None, scene.ke.party, scene.chat_id, "老客户"))
    await scene.assist(scene.ke, scene.min)
    await scene.ask(messages.UnwatchChat(None, scene.supervisor, scene.chat_id))
    await settled()
    assert aside == []
    assert len(shop.storage.happened(scene.chat_id)) == 3 + 5


# --- questions to colleagues ----------------------------------------------------------------------


@on_stage
async def test_a_question_reaches_the_colleague_and_answers_who_asked(shop: Shop) -> None:
    scene = await arranged(shop)
    assert await scene.assist(scene.ke, scene.min) is None
    await settled()
    (asked,) = scene.min.line.heard("assist_request")
    assert (asked.chat_id, asked.from_agent.name, asked.question) == (
        scene.chat_id,
        "客服1",
        "能退吗",
    )
    assert [frame.reply_to for frame in scene.ke.line.frames] == ["q"]
    assert scene.wang.line.frames == scene.watcher.frames == []
    event = shop.storage.happened(scene.chat_id)[-1]
    assert event.kind == "AssistAsked"
    assert event.body is not None
    assert str(scene.min.id) in event.body


@on_stage
async def test_who_is_not_in_charge_cannot_ask_about_the_chat(shop: Shop) -> None:
    scene = await arranged(shop)
    assert await scene.assist(scene.min, scene.ke) is ErrorCode.CHAT_NOT_FOUND
    assert scene.min.line.codes() == ["CHAT_NOT_FOUND"]
    assert scene.ke.line.frames == []


@on_stage
async def test_a_colleague_who_is_not_there_is_not_asked(shop: Shop) -> None:
    scene = await arranged(shop, is_min_here=False)
    assert await scene.assist(scene.ke, scene.min) is ErrorCode.AGENT_OFFLINE
    del shop.storage.desks[scene.min.id]
    await settled(3600)
    assert await scene.assist(scene.ke, scene.min) is ErrorCode.AGENT_NOT_FOUND
    assert scene.ke.line.codes() == ["AGENT_OFFLINE", "AGENT_NOT_FOUND"]
    assert {row.kind for row in shop.storage.happened(scene.chat_id)} == {
        *("Opened", "HumanCalled", "Taken")
    }


@on_stage
async def test_a_question_that_could_not_be_kept_is_asked_of_nobody(shop: Shop) -> None:
    scene = await arranged(shop)
    shop.storage.faults.append(Fault(StoreUnavailable("gone")))
    assert await scene.assist(scene.ke, scene.min) is ErrorCode.OVERLOADED
    await settled()
    assert scene.ke.line.codes() == ["OVERLOADED"]
    assert scene.min.line.heard("assist_request") == []


# --- ratings, and who has the chat ----------------------------------------------------------------


@on_stage
async def test_a_rating_reaches_the_agent_who_served_and_who_watches(shop: Shop) -> None:
    scene = await arranged(shop)
    phone = shop.listen(customer_topic(scene.wang.customer.id))
    await scene.wang.end()
    await settled()
    scene.forget()
    phone.frames.clear()
    rate = messages.RateChat(scene.wang.line.origin("r"), scene.wang.party, 4, scene.chat_id)
    await scene.ask(rate)
    await settled()
    for line in (scene.ke.line, scene.watcher, scene.wang.line):
        assert [status.rating for status in line.heard("chat_status")] == [4]
    assert phone.frames == []


@on_stage
async def test_an_end_with_a_rating_is_one_status_with_both(shop: Shop) -> None:
    scene = await arranged(shop)
    await scene.wang.end(rating=5)
    await settled()
    (status,) = scene.ke.line.heard("chat_status")
    assert (status.status, status.rating) == ("ended", 5)


@on_stage
async def test_who_comes_too_late_is_told_by_whom_and_when(shop: Shop) -> None:
    scene = await arranged(shop)
    assert await scene.min.accept(scene.chat_id, scene.wang) is ErrorCode.ALREADY_TAKEN
    (fault,) = scene.min.line.heard("error")
    taken_at = shop.storage.chats[scene.chat_id].taken_at
    assert (fault.taken_by.id, fault.taken_by.name) == (scene.ke.id, "客服1")
    assert fault.taken_at == taken_at
    assert fault.message == "客服1 has taken this chat."


# --- watching -------------------------------------------------------------------------------------


@on_stage
async def test_who_watches_hears_the_whole_chat(shop: Shop) -> None:
    scene = await arranged(shop)
    await scene.watch()
    scene.wang.say("在吗")
    await settled()
    scene.ke.say("您好", scene.wang)
    scene.wang.ref.tell(messages.ShowTyping(scene.wang.line.origin(), scene.wang.party, True))
    scene.wang.ref.tell(messages.MarkRead(scene.ke.line.origin(), scene.ke.party, 1))
    await settled()
    note = messages.AddNote(scene.ke.line.origin("n"), scene.ke.party, scene.chat_id, "老客户")
    await scene.ask(note)
    await scene.wang.end()
    await settled()
    tags = [*("new_message", "new_message", "typing", "read"), *("note_added", "chat_status")]
    assert scene.watcher.tags == tags
    (status,) = scene.watcher.heard("chat_status")
    assert status.customer is not None


@on_stage
async def test_a_watch_is_put_down_and_so_is_its_end(shop: Shop) -> None:
    scene = await arranged(shop)
    assert not isinstance(await scene.watch(), Refusal)
    await scene.wang.end()
    unwatch = messages.UnwatchChat(None, scene.supervisor, scene.chat_id)
    assert not isinstance(await scene.ask(unwatch), Refusal)
    unseen = [row for row in shop.storage.happened(scene.chat_id) if row.log_id < 0]
    assert [(row.log_id, row.kind, row.by_name) for row in unseen] == [
        (-2, "Unwatched", "客服2"),
        (-1, "Watched", "客服2"),
    ]


@on_stage
async def test_a_watch_is_counted_on_after_a_failure(shop: Shop) -> None:
    """The numbers are read anew with the chat."""
    scene = await arranged(shop)
    await scene.watch()
    shop.storage.faults.append(Fault(StoreUnavailable("gone")))
    assert await scene.watch() == Refusal(ErrorCode.OVERLOADED)
    assert not isinstance(await scene.watch(), Refusal)
    assert [row.log_id for row in shop.storage.happened(scene.chat_id)] == [-2, -1, 1, 2, 3]


async def a_chat(scene: Scene, *, is_watched: bool) -> None:
    """From now to its rating, with notes and all; what a watch adds takes no time."""
    parts: list[Any] = [
        messages.AddNote(scene.ke.line.origin("n1"), scene.ke.party, scene.chat_id, "一"),
        messages.ShowTyping(scene.ke.line.origin(), scene.ke.party, True, scene.chat_id),
        messages.AddNote(scene.ke.line.origin("n2"), scene.ke.party, scene.chat_id, "二"),
        messages.EndChat(scene.wang.line.origin("e"), scene.wang.party),
        messages.RateChat(scene.wang.line.origin("r"), scene.wang.party, 5, scene.chat_id),
    ]
    for number, part in enumerate(parts):
        if is_watched and number < 4:
            await scene.watch()
        scene.wang.ref.tell(part)
        await settled()
        scene.wang.say(str(number), chat_id=scene.chat_id)
        await settled()
        if is_watched:
            await scene.ask(messages.UnwatchChat(None, scene.supervisor, scene.chat_id))


def test_a_watch_leaves_nothing_on_anybodys_wire() -> None:
    """With one and without: the same frames, to the last number."""
    wires: list[list[ToWorkbench]] = []

    for is_watched in (False, True):

        async def scene(shop: Shop, is_watched: bool = is_watched) -> None:
            arranged_scene = await arranged(shop)
            await a_chat(arranged_scene, is_watched=is_watched)
            wires.append(arranged_scene.wang.line.frames + arranged_scene.ke.line.frames)

        shop = play(scene, None)
        kinds = {row.kind for row in shop.storage.events_by_place.values()}
        assert ("Watched" in kinds) == is_watched
    assert len(wires[0]) > 10
    assert wires[0] == wires[1]
