"""Pieces of work on the index never share a round of the event loop."""

import asyncio

import anyio

from kefu.recommendations.turns import Turns


async def test_between_two_pieces_the_loop_goes_round() -> None:
    turns, told, loop = Turns(), [], asyncio.get_running_loop()

    def go_round() -> None:
        told.append("round")
        rounds[0] = loop.call_soon(go_round)

    async def work(name: str) -> None:
        for _ in range(3):
            async with turns.answering() if name == "answer" else turns.working():
                told.append(name)

    rounds = [loop.call_soon(go_round)]
    async with anyio.create_task_group() as tasks:
        for name in ("views", "answer", "count"):
            tasks.start_soon(work, name)
    rounds[0].cancel()

    places = [place for place, each in enumerate(told) if each != "round"]
    assert sorted(told[place] for place in places) == ["answer"] * 3 + ["count"] * 3 + ["views"] * 3
    assert all(told[place + 1] == "round" for place in places)


async def test_an_answer_waits_for_one_piece_of_other_work_at_most() -> None:
    turns, told = Turns(), []

    async def work(number: int) -> None:
        async with turns.working():
            told.append(f"work {number}")

    async def answer(number: int) -> None:
        async with turns.answering():
            told.append(f"answer {number}")

    async with anyio.create_task_group() as tasks:
        for number in range(9):
            tasks.start_soon(work, number)
        for number in range(2):
            tasks.start_soon(answer, number)

    assert told[:3] == ["work 0", "answer 0", "answer 1"]
    assert told[3:] == [f"work {number}" for number in range(1, 9)]


async def test_who_is_cancelled_while_waiting_leaves_the_turn_to_the_next() -> None:
    turns, done = Turns(), []

    async def wait() -> None:
        async with turns.working():
            done.append("cancelled")

    async with turns.answering():
        waiting = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        waiting.cancel()
    async with turns.working():
        done.append("next")

    assert done == ["next"]
