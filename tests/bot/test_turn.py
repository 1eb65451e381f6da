"""One turn with a provider in every kind of trouble: retried, cut, stood in for, never raised."""

from collections.abc import AsyncGenerator

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from kefu.bot import texts
from kefu.bot.breaker import Breaker
from kefu.bot.messages import Said
from kefu.bot.options import Limits
from kefu.bot.ports import (
    Ask,
    BadCredentials,
    Context,
    Exhausted,
    LostConversation,
    Overlong,
    ProviderError,
    Refused,
    Rejected,
    Shortened,
    Transient,
)
from kefu.bot.told import Told
from kefu.storage.errors import StoreUnavailable
from tests.bot.parts import RETURNS, SHIPPING, Shelf, Stand, ask, question, said
from tests.bot.player import Move, Player, player, stand

FRIENDLY = texts.FAILED["zh-CN"]


# --- when all is well ---------------------------------------------------------------------------


async def test_every_piece_is_forwarded_as_it_comes() -> None:
    gate, heard = anyio.Event(), []

    class Slow(Player):
        async def stream(self, ask: Ask) -> AsyncGenerator[str, None]:
            yield "您"
            assert heard == ["您"]
            await gate.wait()
            yield "好"

    bot = Stand(Slow([])).bot
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bot.answer, question(), heard.append)
        await anyio.wait_all_tasks_blocked()
        assert heard == ["您"]
        gate.set()
    assert heard == ["您", "好"]


async def test_a_good_answer_is_one() -> None:
    scene = stand(["您", "好"])
    heard = await ask(scene.bot)
    assert heard.pieces == ["您", "好"]
    assert (heard.answer.text, heard.answer.outcome, heard.answer.is_cut) == (
        "您好",
        "answered",
        False,
    )
    assert scene.figures.answers == {"answered": 1}
    assert (player(scene).closed, scene.naps.taken) == (1, [])


async def test_the_provider_is_told_the_conversation_and_what_was_said_in_it() -> None:
    scene = stand(["好"])
    earlier = said("在吗", "在的")
    await ask(scene.bot, "怎么退货", earlier=earlier, locale="zh-TW")
    assert player(scene).asked == [
        Ask("customer-1", "customer-1/0", "怎么退货", earlier, (), "zh-TW")
    ]


async def test_what_was_said_is_read_while_the_conversation_is_looked_up() -> None:
    scene, is_looking = stand(["好"]), anyio.Event()
    find = scene.folder.current

    async def current(session: str, *, is_first: bool = False) -> Context:
        is_looking.set()
        return await find(session, is_first=is_first)

    async def read() -> tuple[Said, ...]:
        await is_looking.wait()
        return said("在吗")

    scene.folder.current = current  # type: ignore[method-assign]
    with anyio.fail_after(5):
        await scene.bot.answer(question(read_earlier=read), lambda _piece: None)
    assert player(scene).asked[0].earlier == said("在吗")


async def test_a_store_that_is_gone_leaves_no_reader_behind() -> None:
    scene, readers = stand(["好"]), []

    async def current(session: str, *, is_first: bool = False) -> Context:
        await checkpoint()
        raise StoreUnavailable("gone")

    async def read() -> tuple[Said, ...]:
        try:
            await anyio.sleep_forever()
        finally:
            readers.append("left")
        return ()

    scene.folder.current = current  # type: ignore[method-assign]
    answer = await scene.bot.answer(question(read_earlier=read), lambda _piece: None)
    await anyio.wait_all_tasks_blocked()
    assert (answer.text, readers) == (FRIENDLY, ["left"])


async def test_what_was_said_before_the_context_began_is_forgotten() -> None:
    scene = stand(["好"])
    context = await scene.folder.current("customer-1")
    scene.folder.known["customer-1"] = type(context)("c", 1_001.0)
    await ask(scene.bot, earlier=said("在吗", "在的", "好"))
    assert [each.content for each in player(scene).asked[0].earlier] == ["在的", "好"]


async def test_a_model_is_told_what_the_shop_knows_and_the_answer_names_it() -> None:
    scene = stand(["好"], shelf=Shelf("perhaps", RETURNS, SHIPPING), is_grounded=True)
    answer = (await ask(scene.bot)).answer
    assert player(scene).asked[0].hits == (RETURNS, SHIPPING)
    assert answer.sources == (RETURNS.source, SHIPPING.source)


async def test_what_does_not_fit_is_no_grounding() -> None:
    scene = stand(["好"], shelf=Shelf("none", SHIPPING), is_grounded=True)
    answer = (await ask(scene.bot)).answer
    assert (player(scene).asked[0].hits, answer.sources) == ((), ())


async def test_knowledge_in_trouble_does_not_cost_the_answer() -> None:
    shelf = Shelf()
    shelf.failure = StoreUnavailable("gone")
    assert (await ask(stand(["好"], shelf=shelf, is_grounded=True).bot)).answer.text == "好"


async def test_a_provider_with_knowledge_of_its_own_is_told_none() -> None:
    scene = stand(["好"], shelf=Shelf("sure", RETURNS))
    await ask(scene.bot)
    assert scene.shelf.asked == []


# --- behind the first piece ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [
        Transient("broken_off"),
        Rejected("garbage"),
        Exhausted("4011"),
        Refused("filter"),
        Shortened("length"),
        LostConversation("4002"),
        KeyError("a bug"),
    ],
)
async def test_what_was_told_stays_and_nothing_is_tried_again(failure: Exception) -> None:
    scene = stand(["您", "好", failure], ["again"])
    heard = await ask(scene.bot)
    assert (heard.answer.text, heard.answer.outcome, heard.answer.is_cut) == (
        "您好",
        "answered",
        True,
    )
    assert len(player(scene).asked) == 1
    assert scene.figures.cut_count == 1


async def test_a_turn_has_an_end_even_in_the_middle_of_an_answer() -> None:
    scene = stand(["您", None], limits=Limits(turn_s=0.02))
    answer = (await ask(scene.bot)).answer
    assert (answer.text, answer.is_cut) == ("您", True)
    assert player(scene).closed == 1


async def test_a_turn_has_an_end_even_when_nothing_comes() -> None:
    breaker = Breaker(threshold=1)
    scene = stand([None], limits=Limits(turn_s=0.02), breaker=breaker)
    heard = await ask(scene.bot)
    assert (heard.answer.outcome, heard.answer.text) == ("failed", FRIENDLY)
    assert scene.phase == "open", "silence is a failure of the provider"


async def test_an_endless_answer_is_cut_at_its_limit() -> None:
    scene = stand(["12345"] * 10, limits=Limits(answer_chars=12))
    heard = await ask(scene.bot)
    assert heard.pieces == ["12345", "12345", "12"]
    assert (heard.answer.text, heard.answer.is_cut) == ("123451234512", True)
    assert (player(scene).closed, scene.phase) == (1, "closed")


async def test_an_answer_that_fits_exactly_is_not_cut() -> None:
    answer = (await ask(stand(["12345", "67"], limits=Limits(answer_chars=7)).bot)).answer
    assert not answer.is_cut


@pytest.mark.parametrize("nothing", [[], [""], ["  ", "\n\n"], ["\0\x01"]])
async def test_an_answer_without_a_word_is_none(nothing: list[Move]) -> None:
    heard = await ask(stand(nothing).bot)
    assert (heard.pieces, heard.answer.outcome) == ([], "failed")


@given(st.lists(st.text(st.characters(), max_size=8), max_size=20), st.integers(1, 60))
def test_what_is_told_is_what_can_be_shown_and_kept(pieces: list[str], limit: int) -> None:
    heard: list[str] = []
    told = Told(heard.append, limit)
    for piece in pieces:
        told.add(piece)
    assert "".join(heard) == told.text
    assert len(told.text) <= limit
    assert not told.text[:1].isspace()
    assert "\0" not in told.text
    told.text.encode()


# --- refused and cut off ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "said"), [(Refused("4014"), texts.REFUSED), (Overlong("4010"), texts.OVERLONG)]
)
async def test_a_question_it_will_not_answer_is_answered_politely(
    failure: Exception, said: texts.Texts
) -> None:
    scene = stand([failure], breaker=Breaker(threshold=1))
    heard = await ask(scene.bot, locale="zh-TW")
    assert "".join(heard.pieces) == heard.answer.text == said["zh-TW"]
    assert heard.answer.outcome == "unknown"
    assert scene.phase == "closed", "it is no sign of illness"


async def test_open_the_shops_knowledge_answers_at_once() -> None:
    scene = stand([Exhausted("4011")], shelf=Shelf("sure", RETURNS))
    for _ in range(2):
        heard = await ask(scene.bot)
        assert heard.answer.text == RETURNS.answer == "".join(heard.pieces)
        assert (heard.answer.outcome, heard.answer.sources) == ("stood_in", (RETURNS.source,))
    assert len(player(scene).asked) == 1
    assert scene.naps.taken == []
    assert scene.figures.answers == {"stood_in": 2}


async def test_open_and_unknown_to_the_shop_there_is_the_friendly_sentence() -> None:
    scene = stand([Exhausted("4011")])
    heard = await ask(scene.bot, "你们老板是谁")
    assert (heard.pieces, heard.answer.text, heard.answer.outcome) == ([], FRIENDLY, "failed")
    assert scene.shelf.unanswered == ["你们老板是谁"]
    assert (await ask(scene.bot, "谢谢")).answer.text == texts.THANKED["zh-CN"]


async def test_repeated_failure_opens_it_in_the_middle_of_a_turn() -> None:
    scene = stand([Transient("busy")], shelf=Shelf("sure", RETURNS), breaker=Breaker(threshold=2))
    assert (await ask(scene.bot)).answer.outcome == "stood_in"
    assert len(player(scene).asked) == 2


async def test_it_finds_out_when_the_provider_is_well_again() -> None:
    scene = stand([Exhausted("4011")], ["好"], breaker=Breaker(open_s=10))
    await ask(scene.bot)
    scene.clock.advance(9)
    assert (await ask(scene.bot)).answer.outcome == "failed"
    scene.clock.advance(1)
    assert (await ask(scene.bot)).answer.outcome == "answered"
    assert scene.phase == "closed"


async def test_while_one_probes_the_others_are_stood_in_for() -> None:
    scene = stand([Exhausted("x")], ["您", None], shelf=Shelf("sure", RETURNS))
    await ask(scene.bot)
    scene.clock.advance(15)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scene.bot.answer, question(), lambda _: None)
        await anyio.wait_all_tasks_blocked()
        assert (await ask(scene.bot)).answer.outcome == "stood_in"
        tasks.cancel_scope.cancel()
    assert scene.phase == "half_open"
    assert scene.breaker.admit(scene.clock.monotonic()) is not None, "the probe was given back"


# --- never raised, and cancelled ----------------------------------------------------------------


@pytest.mark.parametrize("bug", [KeyError("x"), RuntimeError("closed"), RecursionError()])
async def test_a_bug_is_an_answer_too(bug: Exception, caplog: pytest.LogCaptureFixture) -> None:
    scene = stand([bug])
    assert (await ask(scene.bot)).answer.outcome == "failed"
    assert [record.message for record in caplog.records] == ["bot_turn_failed"]


async def test_a_store_that_is_down_is_an_answer_and_no_fault_of_the_provider() -> None:
    scene = stand(["好"], breaker=Breaker(threshold=1))
    player(scene).broken = StoreUnavailable("gone")
    assert (await ask(scene.bot)).answer.outcome == "failed"
    assert scene.phase == "closed"


async def test_nobody_who_has_left_is_told_anything_more_and_the_stream_is_closed() -> None:
    scene = stand(["您", "好", "再", None])
    heard: list[str] = []

    def say(piece: str) -> None:
        heard.append(piece)
        if len(heard) == 2:
            scope.cancel()

    with anyio.CancelScope() as scope:
        await scene.bot.answer(question(), say)
    assert scope.cancelled_caught
    assert (heard, player(scene).closed) == (["您", "好"], 1)
    assert scene.figures.answers == {}


async def test_failures_are_logged_by_code_and_never_by_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = stand([Transient("4009", trace="log-1")], [Exhausted("4011")])
    await ask(scene.bot, "我的银行卡号是多少")
    first, second = caplog.records
    assert (first.message, first.levelname) == ("bot_provider_failed", "WARNING")
    assert (first.provider_code, first.trace_id) == ("4009", "log-1")
    assert (second.message, second.levelname) == ("bot_provider_needs_attention", "ERROR")
    for record in caplog.records:
        assert "银行卡" not in str(vars(record))
        assert "customer-1" not in str(vars(record))


FAILURES = st.sampled_from(
    [
        *(kind("x") for kind in (Transient, Rejected, BadCredentials, Exhausted, Refused)),
        *(kind("x") for kind in (Overlong, Shortened, LostConversation, ProviderError)),
        Transient("x", retry_after_s=3.0),
        StoreUnavailable("gone"),
        KeyError("bug"),
    ]
)


@given(
    st.lists(st.lists(st.text(max_size=4) | FAILURES, max_size=4), min_size=1, max_size=5),
    st.sampled_from([Shelf(), Shelf("sure", RETURNS), Shelf("perhaps", RETURNS, SHIPPING)]),
    st.booleans(),
)
async def test_whatever_a_provider_does_there_is_a_sentence(
    plays: list[list[Move]], shelf: Shelf, is_grounded: bool
) -> None:
    scene = stand(*plays, shelf=shelf, is_grounded=is_grounded, breaker=Breaker(threshold=2))
    for _ in range(3):
        heard = await ask(scene.bot)
        if heard.answer.is_cut:
            assert heard.pieces
    assert player(scene).closed == len(player(scene).asked)
