"""The owner of a shard: many letters, few calls, and no answer before Redis has it."""

import asyncio

import pytest
from redis.asyncio import Redis

from actors import ActorUnavailable, Letter
from actors.testing import RecordingContext
from kefu.cluster.codec import Codec
from kefu.membership import KINDS
from kefu.recommendations.actor import TICK_S, TRIM_EVERY_TICKS, ShardActor, World
from kefu.recommendations.messages import KIND, Join, Record, Recorded, ShardMessage, Tick, View
from kefu.recommendations.ports import LogUnavailable
from tests.recommendations.town import PREFIX, Town, viewer

ANNA = viewer("anna")


class Paper:
    """A log that remembers its calls, and tears at the `torn`-th of them."""

    def __init__(self, torn: int | None = None) -> None:
        self.calls: list[int] = []
        self.trimmed = 0
        self.torn = torn

    async def record(self, shard: int, views: list[View]) -> list[Recorded]:
        if len(self.calls) == self.torn:
            raise LogUnavailable
        self.calls.append(len(views))
        return ["recorded" if view.product % 2 else "seen_today" for view in views]

    async def join(self, shard: int, join: Join) -> bool:
        if self.torn == 0:
            raise LogUnavailable
        return True

    async def trim(self, shard: int) -> int:
        self.trimmed += 1
        if self.torn is not None:
            raise LogUnavailable
        return 0


def record(*numbers: int) -> Record:
    return Record(tuple(View(ANNA, number, 0) for number in numbers))


def asked(message: ShardMessage) -> Letter[ShardMessage]:
    return Letter(message, future=asyncio.get_running_loop().create_future())


async def actor_on(paper: Paper, published: list[int] | None = None) -> ShardActor:
    async def publish(shard: int) -> None:
        if published is not None:
            published.append(shard)

    actor = ShardActor(3, World(paper, publish))  # type: ignore[arg-type]
    actor.context = RecordingContext()
    await actor.on_activate()
    return actor


async def test_letters_that_wait_together_are_one_call() -> None:
    paper = Paper()
    actor = await actor_on(paper)
    letters = [asked(record(1, 2)), asked(record()), asked(record(4, 3, 5))]
    await actor.receive_batch(letters)
    assert paper.calls == [5]
    assert [letter.answer.result() for letter in letters if letter.answer] == [
        ("recorded", "seen_today"),
        (),
        ("seen_today", "recorded", "recorded"),
    ]


async def test_a_call_has_at_most_two_hundred_and_fifty_views() -> None:
    paper = Paper()
    letters = [asked(record(*range(300))) for _ in range(4)]
    await (await actor_on(paper)).receive_batch(letters)
    assert paper.calls == [250, 250, 250, 250, 200]
    assert [len(letter.answer.result()) for letter in letters if letter.answer] == [300] * 4


async def test_who_was_not_written_down_whole_is_told_to_come_back() -> None:
    paper = Paper(torn=2)
    letters = [asked(record(*range(300))) for _ in range(3)]
    await (await actor_on(paper)).receive_batch(letters)
    first, *others = (letter.answer for letter in letters)
    assert first is not None
    assert len(first.result()) == 300
    for answer in others:
        assert answer is not None
        with pytest.raises(ActorUnavailable):
            answer.result()


async def test_a_join_that_was_not_written_down_is_not_answered() -> None:
    letter = asked(Join(ANNA, viewer("ben")))
    await (await actor_on(Paper(torn=0))).receive_batch([letter])
    assert letter.answer is not None
    assert isinstance(letter.answer.exception(), ActorUnavailable)


async def test_it_publishes_each_second_and_trims_each_minute_beside_its_letters() -> None:
    paper, published = Paper(torn=9), list[int]()
    actor = await actor_on(paper, published)
    context = actor.context
    assert isinstance(context, RecordingContext)
    for _ in range(2 * TRIM_EVERY_TICKS):
        (tick,) = context.advance(TICK_S)
        await actor.receive_batch([Letter(tick)])
        assert len(context.spawned) == 1
        await context.run_spawned()
    assert (len(published), set(published)) == (2 * TRIM_EVERY_TICKS, {3})
    assert paper.trimmed == 2


async def test_work_that_takes_longer_than_a_second_is_not_begun_twice() -> None:
    actor = await actor_on(Paper())
    context = actor.context
    assert isinstance(context, RecordingContext)
    for _ in range(3):
        await actor.receive_batch([Letter(message) for message in context.advance(TICK_S)])
    assert len(context.spawned) == 1


async def test_a_shard_that_leaves_does_not_wake_itself_again() -> None:
    actor = await actor_on(Paper())
    context = actor.context
    assert isinstance(context, RecordingContext)
    context.is_draining = True
    await actor.receive_batch([Letter(message) for message in context.advance(TICK_S)])
    assert (context.reminders, context.spawned) == ({}, [])


async def test_views_of_many_askers_are_all_in_the_log_when_they_are_answered(
    town: Town, redis: Redis
) -> None:
    ref = town.router.ref(KIND, "3")
    answers = await asyncio.gather(
        *(ref.ask(Record((View(viewer(str(n)), 7, n),)), within=10) for n in range(500))
    )
    assert answers == [("recorded",)] * 500
    entries = await redis.xrange(f"{PREFIX}views:3")
    assert sum(len(fields[b"views"]) for _, fields in entries) == 500 * 24
    assert len(entries) < 100  # what queued during one call went with the next


async def test_messages_and_answers_cross_instances() -> None:
    codec = Codec(KINDS)
    view = View(ANNA, 7, 1_800_000_000)
    for message in (Record((view, view)), Join(ANNA, viewer("ben")), Tick()):
        name, body = codec.message(message)
        assert codec.read_message(KIND, name, body) == message
    answer: tuple[Recorded, ...] = ("recorded", "too_many")
    assert codec.read_answer(Record(()), *codec.answer(answer)) == answer
    assert codec.read_answer(Join(ANNA, ANNA), *codec.answer(True)) is True
