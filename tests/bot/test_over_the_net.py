"""Whole turns with each provider over real sockets, as a customer would see them."""

from contextlib import aclosing

import anyio
import pytest

from kefu.bot.coze import Coze
from kefu.bot.dashscope import Dashscope
from kefu.bot.grounded import Grounded
from kefu.bot.openai import Openai
from kefu.bot.options import Limits
from kefu.bot.ports import Provider
from tests.bot.parts import RETURNS, Shelf, Stand, ask, question
from tests.fakes.upstream import transcripts
from tests.fakes.upstream.behaviour import PIECES, Behaviour, Call, Upstream, refused
from tests.fakes.upstream.providers import Providers

CROWD = 50
NAMES = ("coze", "dashscope", "openai")
CALLS: dict[str, Call] = {"coze": "chat", "dashscope": "dashscope", "openai": "openai"}
TRANSCRIPTS = {
    "coze": transcripts.coze,
    "dashscope": transcripts.dashscope,
    "openai": transcripts.openai,
}


@pytest.fixture
def all_providers(coze: Coze, dashscope: Dashscope, openai: Openai) -> dict[str, Provider]:
    limits = Limits()
    return {
        "coze": coze,
        "dashscope": Grounded(dashscope, limits),
        "openai": Grounded(openai, limits),
    }


@pytest.mark.parametrize("name", NAMES)
async def test_a_whole_turn(name: str, all_providers: dict[str, Provider]) -> None:
    heard = await ask(Stand(all_providers[name]).bot)
    assert heard.pieces == list(PIECES)
    assert heard.answer.outcome == "answered"


@pytest.mark.parametrize("name", NAMES)
async def test_the_first_piece_is_there_before_the_second_is_sent(
    name: str, all_providers: dict[str, Provider], upstream: Upstream
) -> None:
    stream = TRANSCRIPTS[name](("第一", "第二"))
    at = stream.index("第二".encode())
    upstream.always(CALLS[name], Behaviour(transcript=stream, hangs_at=at))
    heard, first = [], anyio.Event()

    def say(piece: str) -> None:
        heard.append(piece)
        first.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Stand(all_providers[name]).bot.answer, question(), say)
        await first.wait()
        tasks.cancel_scope.cancel()
    assert heard == ["第一"]
    await upstream.calls(CALLS[name])[0].was_left.wait()  # the provider stops working on it


@pytest.mark.parametrize("name", NAMES)
async def test_in_a_crowd_each_has_the_first_piece_before_the_second_is_sent(
    name: str, all_providers: dict[str, Provider], upstream: Upstream
) -> None:
    stream = TRANSCRIPTS[name](("第一", "第二"))
    at = stream.index("第二".encode())
    upstream.always(CALLS[name], Behaviour(transcript=stream, hangs_at=at))
    bot, heard, all_have = Stand(all_providers[name]).bot, [], anyio.Event()

    def say(piece: str) -> None:
        heard.append(piece)
        if len(heard) == CROWD:
            all_have.set()

    async with anyio.create_task_group() as tasks:
        for _ in range(CROWD):
            tasks.start_soon(bot.answer, question(), say)
        await all_have.wait()
        tasks.cancel_scope.cancel()
    assert heard == ["第一"] * CROWD


@pytest.mark.parametrize("name", NAMES)
async def test_a_connection_lost_in_the_middle_is_a_cut_answer(
    name: str, all_providers: dict[str, Provider], upstream: Upstream
) -> None:
    stream = TRANSCRIPTS[name](("第一", "第二"))
    at = stream.index("第二".encode())
    upstream.next(CALLS[name], Behaviour(transcript=stream, cut_at=at))
    heard = await ask(Stand(all_providers[name]).bot)
    assert (heard.answer.text, heard.answer.is_cut) == ("第一", True)
    assert len(upstream.calls(CALLS[name])) == 1


@pytest.mark.parametrize("name", NAMES)
async def test_a_connection_lost_before_the_first_piece_is_tried_again(
    name: str, all_providers: dict[str, Provider], upstream: Upstream
) -> None:
    upstream.next(CALLS[name], Behaviour(cut_at=20), refused(429, {}, retry_after="2"))
    scene = Stand(all_providers[name])
    heard = await ask(scene.bot)
    assert heard.answer.outcome == "answered"
    assert len(scene.naps.taken) == 2
    assert 2 <= scene.naps.taken[1] <= 2.5


@pytest.mark.parametrize("name", NAMES)
async def test_a_slow_first_byte_ends_with_the_turn(
    name: str, all_providers: dict[str, Provider], upstream: Upstream
) -> None:
    upstream.always(CALLS[name], Behaviour(waits_for=anyio.Event()))
    scene = Stand(all_providers[name], limits=Limits(turn_s=0.1))
    assert (await ask(scene.bot)).answer.outcome == "failed"


async def test_an_account_without_money_is_stood_in_for_at_once(
    all_providers: dict[str, Provider], upstream: Upstream
) -> None:
    upstream.next("chat", refused(200, {"code": 4011, "msg": "no tokens"}))
    scene = Stand(all_providers["coze"], shelf=Shelf("sure", RETURNS))
    assert (await ask(scene.bot)).answer.outcome == "stood_in"
    assert (await ask(scene.bot)).answer.outcome == "stood_in"
    assert len(upstream.calls("chat")) == 1


async def test_a_conversation_coze_has_lost_is_replaced(
    all_providers: dict[str, Provider], providers: Providers, upstream: Upstream
) -> None:
    scene = Stand(all_providers["coze"])
    await ask(scene.bot)
    providers.coze.lose_conversations()
    assert (await ask(scene.bot)).answer.outcome == "answered"
    assert len(upstream.calls("conversation")) == 2
    assert (await ask(scene.bot)).answer.outcome == "answered"
    assert len(upstream.calls("conversation")) == 2


async def test_twenty_customers_at_once_each_have_their_own_answer(
    coze: Coze, upstream: Upstream
) -> None:
    answers: list[str] = []
    scene = Stand(coze)

    async def turn(number: int) -> None:
        heard = await ask(scene.bot, session=f"customer-{number}")
        answers.append(heard.answer.text)

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(turn, number)
    assert answers == ["".join(PIECES)] * 20
    chats = upstream.calls("chat")
    assert len({seen.headers["authorization"] for seen in chats}) == 20
    assert len({seen.body["conversation_id"] for seen in chats}) == 20


async def test_the_upstream_paces_and_chops_as_it_is_told(
    openai: Openai, upstream: Upstream
) -> None:
    upstream.next("openai", Behaviour(tokens_per_s=1000.0, pieces=("a", "b")))
    async with aclosing(openai.write(())) as pieces:
        assert [piece async for piece in pieces] == ["a", "b"]
