"""Actors leave this instance for another; what waited for them follows."""

import asyncio
from typing import Any

import pytest

from actors import ActorId, ActorStopped, Letter
from tests.actors.stage import Gate, Say, Script, blocked, elapse, open_stage


class Elsewhere:
    """Writes down what was sent after the actors that left."""

    def __init__(self) -> None:
        self.sent: list[object] = []

    def __call__(
        self, id: ActorId, message: object, answer: "asyncio.Future[Any] | None", within: float
    ) -> None:
        self.sent.append(message)
        if answer is not None:
            answer.set_result(f"elsewhere within {within:.0f}")


def everybody(_id: ActorId) -> bool:
    return True


async def test_what_waits_follows_in_its_order_and_what_is_in_hand_is_finished() -> None:
    script, elsewhere = Script(), Elsewhere()
    async with open_stage(script) as router:
        ref = router.ref("player", "one")
        gate = await blocked(ref)
        ref.tell("first")
        asked = asyncio.ensure_future(ref.ask(Say("second"), within=5))
        await elapse(0.1)
        leaving = asyncio.ensure_future(router.evict(everybody, elsewhere, within=60))
        await elapse(0.1)
        assert elsewhere.sent == ["first", Say("second")]
        assert await asked == "elsewhere within 5"
        assert not leaving.done()
        gate.opened.set()
        await leaving
        assert script.log[-1] == "(passivated)"
        assert router.tree().count == 0


async def test_a_question_from_another_instance_goes_back_to_who_asked() -> None:
    elsewhere = Elsewhere()
    async with open_stage(Script()) as router:
        gate = await blocked(router.ref("player", "one"))
        asked = router.deliver(ActorId("player", "one"), Say("x"), within=5)
        leaving = asyncio.ensure_future(router.evict(everybody, elsewhere, within=1))
        await elapse(0.1)
        gate.opened.set()
        await leaving
        assert asked is not None
        with pytest.raises(ActorStopped):
            await asked
        assert elsewhere.sent == []


async def test_only_who_is_leaving_leaves_and_may_come_back() -> None:
    script = Script()
    async with open_stage(script) as router:
        one, two = router.ref("player", "one"), router.ref("player", "two")
        assert [await ref.ask(Say("x"), within=1) for ref in (one, two)] == ["x", "x"]
        await router.evict(lambda id: id.key == "one", Elsewhere(), within=1)
        assert router.tree().count == 1
        assert await one.ask(Say("back"), within=1) == "back"
        assert script.log.count("(activated)") == 3


async def test_reminders_stay_behind() -> None:
    script = Script()

    async def remind(player: Any) -> None:
        player.context.remind("later", 5.0, "remembered")

    script.activate = remind
    async with open_stage(script) as router:
        await router.ref("player", "one").ask(Say("x"), within=1)
        script.activate = None
        await router.evict(everybody, Elsewhere(), within=1)
        await elapse(10)
        assert "remembered" not in script.said()


async def test_leaving_takes_no_longer_than_allowed() -> None:
    async with open_stage(Script()) as router:
        gate: Gate = await blocked(router.ref("player", "one"))
        before = asyncio.get_running_loop().time()
        await router.evict(everybody, Elsewhere(), within=2)
        assert asyncio.get_running_loop().time() - before == pytest.approx(2)
        gate.opened.set()


def test_a_letter_knows_where_its_asker_waits() -> None:
    assert Letter("x").answer is None
