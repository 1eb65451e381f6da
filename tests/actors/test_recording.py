"""The recording context, and an actor tested with it."""

import pytest

from actors import Actor, ActorId, DeadlineExceeded, MailboxFull
from actors.testing import RecordingContext
from tests.actors.stage import Say


class Greeter(Actor[str]):
    """Uses everything a context offers."""

    async def receive(self, message: str) -> object:
        context = self.context
        friend = context.ref("friend", "one")
        match message:
            case "tell":
                return friend.tell("hello")
            case "send":
                await friend.send("hello", within=1)
            case "ask":
                return await friend.ask(Say("how are you"), within=1)
            case "remind":
                context.remind("later", 5, "reminded")
                context.remind("sooner", 3, "reminded sooner")
                context.remind("never", 3, "never")
                context.forget("never")
                context.forget("not set")
            case "spawn":
                return [context.spawn(self.work, within=1) for _ in range(5)]
            case "watch":
                context.watch(friend, "it ended")
            case "stop":
                context.me.tell(str(context.now()))
                context.stop()
        return context.deadline

    async def work(self) -> str | None:
        return "worked"


def greeter() -> tuple[Greeter, RecordingContext]:
    actor, context = Greeter(), RecordingContext()
    actor.context = context
    return actor, context


FRIEND = ActorId("friend", "one")


async def test_it_records_what_is_told_and_asked() -> None:
    actor, context = greeter()
    assert await actor.receive("tell") is True
    await actor.receive("send")
    assert context.told == [(FRIEND, "hello")] * 2
    with pytest.raises(DeadlineExceeded):
        await actor.receive("ask")
    context.answers[FRIEND] = lambda message: f"{message.text}? fine"
    assert await actor.receive("ask") == "how are you? fine"
    assert context.asked == [(FRIEND, Say("how are you"))] * 2


async def test_others_can_be_made_to_refuse() -> None:
    actor, context = greeter()
    context.refusing.add(FRIEND)
    assert await actor.receive("tell") is False
    with pytest.raises(MailboxFull):
        await actor.receive("send")
    assert context.told == []


async def test_its_clock_is_moved_by_hand() -> None:
    actor, context = greeter()
    await actor.receive("remind")
    assert context.advance(2) == []
    assert context.advance(4) == ["reminded sooner", "reminded"]
    assert context.reminders == {}


async def test_spawned_work_is_run_by_the_test() -> None:
    actor, context = greeter()
    assert await actor.receive("spawn") == [True] * 4 + [False]

    async def silent() -> None:
        return None

    context.spawned.pop()
    context.spawn(silent, within=1)
    assert await context.run_spawned() == ["worked"] * 3


async def test_stopping_and_watching_are_written_down() -> None:
    actor, context = greeter()
    context.clock = 7.0
    await actor.receive("watch")
    await actor.receive("stop")
    assert context.watched == {FRIEND: "it ended"}
    assert context.is_stopped
    assert context.told == [(context.id, "7.0")]
