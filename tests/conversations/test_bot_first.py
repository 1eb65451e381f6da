"""The bot's turn on the stage: asked once, heard in order, and silent from the takeover on."""

from collections.abc import Callable
from uuid import UUID

import pytest

from kefu.bot.messages import Answer, Question, Said
from kefu.cluster.slots import NotOwned
from kefu.conversations import messages
from kefu.delivery import watch_topic
from kefu.knowledge.messages import Source
from kefu.storage.errors import StoreUnavailable
from kefu.storage.journal import Fenced
from protocol.server import AiDelta
from tests.fakes.shop import SEEDS, Shop, on_stage, play, settled
from tests.fakes.storage import Fault

PIECES = ("一", "二", "三", "四", "五")


def heard(shop: Shop, number: int = 1) -> list[str]:
    """What the customer's page shows in the order it came: pieces, messages, statuses."""
    told = []
    for frame in shop.listeners[f"c{number}"].frames:
        tag = frame.__struct_config__.tag
        if tag == "ai_delta":
            told.append(f"piece {frame.payload.content}")
        elif tag == "new_message":
            told.append(f"{frame.payload.sender_type} {frame.payload.content}")
        elif tag == "chat_status":
            told.append(frame.payload.status)
    return told


@on_stage
async def test_the_bot_answers_in_pieces_and_then_as_one_message(shop: Shop) -> None:
    shop.is_bot_ready = True
    wang = shop.customer()
    wang.say("有货吗")
    await settled(2)

    assert heard(shop) == [
        "bot",
        *(f"piece {p}" for p in shop.bot.pieces),
        "ai 您好，有什么可以帮您？",
    ]
    turns = {piece.turn_id for piece in wang.line.heard("ai_delta")}
    (answer,) = wang.line.heard("new_message")
    assert turns == {answer.message_id}
    assert messages.answered_seq(answer.client_message_id) == 1
    (question,) = shop.bot.asked
    assert (question.text, question.session, question.read_earlier) == ("有货吗", "c-1", None)


@on_stage
async def test_what_was_said_before_is_read_only_for_a_bot_that_wants_it(shop: Shop) -> None:
    shop.is_bot_ready = True
    shop.bot.wants_earlier = False
    wang = shop.customer()
    for text in ("有货吗", "红色的", "大号"):
        wang.say(text)
        await settled(3)
    assert [question.text for question in shop.bot.asked] == ["有货吗", "红色的", "大号"]
    assert shop.storage.read_count == 0
    wang.say("还有吗")
    await settled(0.15)
    wang.say("谢谢")
    await settled(3)
    assert shop.bot.asked[-1].text == "谢谢"
    assert shop.storage.read_count == 1, "the last was asked while another was being answered"


@on_stage
async def test_what_is_said_during_a_turn_is_the_next_question_whole(shop: Shop) -> None:
    shop.is_bot_ready = True
    wang = shop.customer()
    wang.say("有货吗")
    await settled(0.15)
    wang.say("红色的")
    wang.say("大号")
    await settled(3)

    assert [question.text for question in shop.bot.asked] == ["有货吗", "红色的\n大号"]
    chat_id = (await wang.look()).chat_id
    answered = [messages.answered_seq(row.client_message_id) for row in shop.storage.said(chat_id)]
    assert answered == [None, None, None, 1, 3]
    earlier = shop.bot.earlier[1]
    assert [said.content for said in earlier] == ["有货吗", "您好，有什么可以帮您？"]
    wang.say("谢谢")
    await settled(3)
    last = shop.bot.earlier[2][-1]
    assert isinstance(last, Said)
    assert (last.by, last.content) == ("bot", "您好，有什么可以帮您？")


def test_a_question_is_on_its_way_to_the_store_before_the_bot_thinks_about_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene(shop: Shop) -> None:
        shop.is_bot_ready = True
        answer, written = shop.bot.answer, []

        async def noting(question: Question, say: Callable[[str], None]) -> Answer:
            written.append(len(shop.storage.messages_by_place))
            return await answer(question, say)

        monkeypatch.setattr(shop.bot, "answer", noting)
        shop.customer().say("有货吗")
        await settled(3)
        assert written == [1]

    assert play(scene, None).crashes == []


@on_stage
async def test_the_bot_is_asked_while_the_question_is_written_and_heard_behind_it(
    shop: Shop,
) -> None:
    shop.is_bot_ready, shop.storage.commit_s = True, 5.0
    wang = shop.customer()
    wang.say("有货吗")
    await settled(4)
    assert [question.text for question in shop.bot.asked] == ["有货吗"]
    assert shop.bot.said == list(shop.bot.pieces)
    assert heard(shop) == [], "the whole answer is there, and nothing to answer yet"
    await settled(10)
    assert heard(shop)[0] == "bot"
    assert heard(shop)[-1] == "ai 您好，有什么可以帮您？"
    assert len(shop.bot.asked) == 1


@pytest.mark.parametrize(
    "commit_s",
    [0.03, 0.15, 5.0],
    ids=["before its first word", "in its words", "behind its last word"],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_of_a_question_that_was_not_written_the_answer_is_not_heard(
    commit_s: float, seed: int | None
) -> None:
    async def scene(shop: Shop) -> None:
        shop.is_bot_ready = True
        wang = shop.customer()
        wang.say("你好")
        await settled(3)
        before = heard(shop)
        shop.storage.commit_s = commit_s
        shop.storage.faults.append(Fault(StoreUnavailable("?")))
        wang.say("有货吗")
        await settled(commit_s + 0.01)
        assert wang.line.codes() == ["OVERLOADED"]
        assert heard(shop) == before
        wang.say("有红色的吗")
        await settled(30)
        asked = ["你好", "有货吗", "有红色的吗"]
        assert [question.text for question in shop.bot.asked] == asked
        chat_id = (await wang.look()).chat_id
        said = [row.sender_type for row in shop.storage.said(chat_id)]
        assert said == ["customer", "ai"] * 2

    assert play(scene, seed).crashes == []


@on_stage
async def test_a_question_that_was_fenced_once_is_answered_as_it_was_written(shop: Shop) -> None:
    shop.is_bot_ready, shop.storage.commit_s = True, 0.03
    wang = shop.customer()
    shop.storage.faults.append(Fault(Fenced()))
    wang.say("有货吗")
    await settled(3)
    assert [question.text for question in shop.bot.asked] == ["有货吗", "有货吗"]
    chat_id = (await wang.look()).chat_id
    assert [row.sender_type for row in shop.storage.said(chat_id)] == ["customer", "ai"]
    assert heard(shop).count("ai 您好，有什么可以帮您？") == 1


@on_stage
async def test_who_watches_the_next_chat_hears_its_pieces_and_not_who_watched_the_last(
    shop: Shop,
) -> None:
    shop.is_bot_ready = True
    wang, watchers = shop.customer(), []
    for _ in range(2):
        wang.say("有货吗")
        await settled(3)
        chat_id = (await wang.look()).chat_id
        watchers.append(shop.listen(watch_topic(chat_id)))
        wang.say("红色的")
        await settled(3)
        await wang.end()
    for watcher in watchers:
        pieces = [frame for frame in watcher.frames if isinstance(frame, AiDelta)]
        assert [piece.payload.content for piece in pieces] == list(shop.bot.pieces)


@pytest.mark.parametrize("piece_count", range(len(PIECES) + 2))
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_after_a_takeover_at_any_piece_the_bot_is_silent(
    seed: int | None, piece_count: int
) -> None:
    async def scene(shop: Shop) -> None:
        shop.is_bot_ready = True
        shop.bot.pieces = PIECES
        wang, ke = shop.customer(), shop.agent()
        await ke.connect()
        wang.say("有货吗")
        await settled(0.1 * piece_count + 0.05)
        chat_id = (await wang.look()).chat_id
        assert await ke.take_over(chat_id, wang) is None
        await settled(5)

        told = heard(shop)
        after = told[told.index("active") :]
        assert after == ["active"], told
        assert [p for p in told if p.startswith("piece")] == [
            f"piece {p}" for p in PIECES[:piece_count]
        ]
        is_answered = piece_count > len(PIECES)
        assert len([p for p in told if p.startswith("ai ")]) == is_answered
        assert shop.bot.cancelled_count == (not is_answered)

    assert play(scene, seed).crashes == []


def changing_hands(_slot: int) -> int:
    raise NotOwned("This chat is changing hands.")


@pytest.mark.parametrize("epoch_of", [lambda _slot: 2, changing_hands])
def test_once_the_chat_lives_elsewhere_no_piece_is_told_here(
    epoch_of: Callable[[int], int],
) -> None:
    async def scene(shop: Shop) -> None:
        shop.is_bot_ready = True
        shop.bot.pieces = PIECES
        shop.customer().say("有货吗")
        await settled(0.25)
        shop.epoch_of = epoch_of
        await settled(5)
        assert [p for p in heard(shop) if p.startswith("piece")] == ["piece 一", "piece 二"]

    assert play(scene, None).crashes == []


@on_stage
async def test_taken_and_given_back_at_once_the_old_answer_is_not_heard(shop: Shop) -> None:
    shop.is_bot_ready = True
    wang, ke = shop.customer(), shop.agent()
    await ke.connect()
    wang.say("有货吗")
    await settled(0.15)
    chat_id = (await wang.look()).chat_id
    assert await ke.take_over(chat_id, wang) is None
    await ke.release(chat_id, wang)
    await settled(3)

    assert heard(shop)[-1].startswith("system "), "the bot does not go on where it was"
    wang.say("还在吗")
    await settled(3)
    assert [question.text for question in shop.bot.asked] == ["有货吗", "还在吗"]
    assert heard(shop)[-1].startswith("ai ")


@on_stage
async def test_the_sources_of_an_answer_are_kept_for_agents(shop: Shop) -> None:
    shop.is_bot_ready = True
    shop.bot.sources = (Source(UUID(int=7), "怎么退货", 0.9),)
    wang = shop.customer()
    wang.say("退货")
    await settled(2)
    chat_id = (await wang.look()).chat_id
    event = shop.storage.happened(chat_id)[-1]
    assert event.kind == "BotAnswered"
    assert event.body is not None
    assert "怎么退货" in event.body


@on_stage
async def test_an_answer_whose_commit_failed_is_said_later_and_once(shop: Shop) -> None:
    shop.is_bot_ready = True
    wang = shop.customer()
    wang.say("有货吗")
    await settled(0.35)
    for is_written in (False, True):
        shop.storage.faults.append(Fault(StoreUnavailable("?"), is_written=is_written))
    await settled(10)

    chat_id = (await wang.look()).chat_id
    said = [(row.sender_type, row.content) for row in shop.storage.said(chat_id)]
    assert said == [("customer", "有货吗"), ("ai", "您好，有什么可以帮您？")]
    assert len(shop.bot.asked) == 1, "the model's work is not thrown away"


@on_stage
async def test_a_bot_that_raises_costs_the_customer_a_sentence(shop: Shop) -> None:
    shop.is_bot_ready = True
    shop.bot.error = RuntimeError("a bug")
    wang = shop.customer()
    wang.say("有货吗")
    await settled(2)
    assert heard(shop)[-1].startswith("system 抱歉")


@on_stage
async def test_a_conversation_that_comes_back_to_life_answers_what_is_open(shop: Shop) -> None:
    shop.is_bot_ready = True
    wang = shop.customer()
    wang.say("有货吗")
    await settled(0.15)
    await shop.router.evict(lambda id: id.kind == messages.KIND, lambda *_: None, within=1.0)
    assert heard(shop)[-1].startswith("piece")
    await wang.look()
    await settled(3)
    assert [question.text for question in shop.bot.asked] == ["有货吗", "有货吗"]
    chat_id = (await wang.look()).chat_id
    assert [row.sender_type for row in shop.storage.said(chat_id)] == ["customer", "ai"]


@on_stage
async def test_the_bot_is_asked_twenty_times_a_minute_and_not_once_more(shop: Shop) -> None:
    shop.is_bot_ready = True
    wang = shop.customer()
    for number in range(25):
        wang.say(f"问题{number}")
    await settled(1)
    assert wang.line.codes() == ["RATE_LIMITED"] * 5
    assert all(fault.retry_after_s > 50 for fault in wang.line.heard("error"))
    await settled(60)
    wang.say("再问")
    await settled(1)
    assert len(wang.line.codes()) == 5


@on_stage
async def test_what_is_meant_for_the_bot_alone_is_refused_while_a_human_is_called(
    shop: Shop,
) -> None:
    shop.is_bot_ready = True
    wang = shop.customer()
    await wang.start()
    sent = messages.SendMessage(
        wang.line.origin("x"), wang.party, "在吗", customer=wang.customer, only_to_bot=True
    )
    assert wang.ref.tell(sent)
    await settled(1)
    assert wang.line.codes() == ["MANUAL_IN_PROGRESS"]
    assert wang.line.heard("new_message") == []
