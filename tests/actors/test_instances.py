"""Two routers in one process tell and ask each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from actors import (
    ActorCrashed,
    ActorId,
    ActorStopped,
    ActorUnavailable,
    DeadlineExceeded,
    MailboxFull,
    Network,
    NoRoute,
    Reason,
    Router,
)
from tests.actors.stage import Do, Gate, Player, Say, Script, blocked, elapse, open_stage


def place(id: ActorId) -> str:
    """Who owns it: keys say so, `a:anything` lives on a."""
    return id.key[0]


@asynccontextmanager
async def two_instances(mailbox_limit: int = 8) -> AsyncIterator[tuple[Router, Router, Script]]:
    network = Network(place)
    script = Script()
    near, far = network.join("a"), network.join("b")
    async with open_stage(Script(), transport=near, mailbox_limit=mailbox_limit) as a:
        async with open_stage(script, transport=far, mailbox_limit=mailbox_limit) as b:
            yield a, b, script


async def test_messages_reach_the_owner_in_order() -> None:
    async with two_instances(mailbox_limit=100) as (a, b, script):
        ref = a.ref("player", "b:one")
        texts = [str(number) for number in range(50)]
        assert all(ref.tell(text) for text in texts)
        await ref.send("sent", within=1)
        assert await ref.ask(Say("asked"), within=1) == "asked"
        assert script.said() == [*texts, "sent", "asked"]
        assert (a.tree().count, b.tree().count) == (0, 1)
        assert await b.ref("player", "b:one").ask(Say("local"), within=1) == "local"


async def test_errors_come_back_as_they_are() -> None:
    async with two_instances(mailbox_limit=1) as (a, b, _):
        ref = a.ref("player", "b:one")
        with pytest.raises(ActorCrashed):
            await ref.ask(Say("boom"), within=1)
        with pytest.raises(NoRoute):
            await a.ref("ghost", "b:one").ask(Say("x"), within=1)
        gate = await blocked(ref)
        with pytest.raises(DeadlineExceeded):
            await ref.ask(Say("x"), within=1)
        with pytest.raises(MailboxFull):
            await ref.ask(Say("x"), within=1)
        assert ref.tell("lost on the way")
        with pytest.raises(DeadlineExceeded):
            await ref.ask(Say("x"), within=0)
        await elapse(0.1)
        assert b.tree().dead_letters == {"overflow": 2, "poison": 1}
        gate.opened.set()


async def test_an_asker_that_went_away_hurts_nobody() -> None:
    async with two_instances() as (a, _, script):
        ref = a.ref("player", "b:one")
        gate = await blocked(ref)
        asking = [asyncio.create_task(ref.ask(Say(text), within=5)) for text in ("x", "boom")]
        await elapse(0.1)
        for each in asking:
            each.cancel()
        gate.opened.set()
        assert await ref.ask(Say("y"), within=1) == "y"
        assert sorted(script.said()) == ["x", "y"]


async def test_the_deadline_travels() -> None:
    seen: list[float | None] = []

    async def look(player: Player) -> None:
        seen.append(player.context.deadline)

    async with two_instances() as (a, _, _):

        async def ask_far(player: Player) -> None:
            await player.context.ref("player", "b:one").ask(Do(look), within=100)

        started = asyncio.get_running_loop().time()
        await a.ref("player", "a:one").ask(Do(ask_far), within=3)
    assert seen[0] == pytest.approx(started + 3)


async def test_an_instance_that_is_gone_is_stopped() -> None:
    async with two_instances() as (a, b, _):
        ref = a.ref("player", "b:one")
        await b.stop(within=1)
        with pytest.raises(ActorStopped):
            await ref.ask(Say("x"), within=1)
        assert ref.tell("lost")


async def test_an_instance_that_stops_refuses_what_comes_from_others() -> None:
    async with two_instances() as (a, b, script):
        gate = await blocked(b.ref("player", "b:one"))
        stopping = asyncio.create_task(b.stop(within=10))
        await elapse(0.1)
        for key in ("b:one", "b:new"):
            with pytest.raises(ActorStopped):
                await a.ref("player", key).ask(Say("x"), within=1)
        gate.opened.set()
        await stopping
    assert script.said() == []


async def test_an_answer_that_is_not_there_when_the_instance_ends_is_stopped() -> None:
    async with two_instances() as (a, b, _):
        gate = Gate()
        asking = asyncio.create_task(a.ref("player", "b:one").ask(Do(gate), within=100))
        await gate.entered.wait()
        await b.stop(within=1)
        with pytest.raises(ActorStopped):
            await asking


async def test_a_stray_kind_is_refused_on_arrival() -> None:
    async with two_instances() as (_, b, _):
        with pytest.raises(NoRoute):
            b.deliver(ActorId("ghost", "b:one"), "x", within=None)
        assert b.dead_letters[0].reason is Reason.NO_ROUTE


async def test_a_transport_that_cannot_send_is_unavailable() -> None:
    class Cut:
        def is_local(self, id: ActorId) -> bool:
            return False

        def attach(self, deliver: object) -> None:
            pass

        def detach(self) -> None:
            pass

        def tell(self, id: ActorId, message: object) -> bool:
            return False

        async def ask(self, id: ActorId, message: object, *, within: float) -> object:
            raise ActorUnavailable("cut")

    async with open_stage(Script(), transport=Cut()) as router:
        ref = router.ref("player", "one")
        assert not ref.tell("x")
        with pytest.raises(ActorUnavailable):
            await ref.send("x", within=1)
        with pytest.raises(ActorUnavailable):
            await ref.ask(Say("x"), within=1)
        assert router.tree().dead_letters == {"unavailable": 2}
