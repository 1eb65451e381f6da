"""A bot by chance: slow enough for a human to come between, now and then failing or lying.

Every instance asks it through the same port as a real one; it dies with the process that asks.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Final

from kefu.bot.messages import Answer, Outcome, Question

if TYPE_CHECKING:
    from tests.simulation.world import World

THINKS_UP_TO_S: Final = 0.7
OUTCOMES: Final[tuple[Outcome, ...]] = (*["answered"] * 7, "unknown", "stood_in", "failed")


class Bot:
    id = "bot"

    def __init__(self, world: "World") -> None:
        self.answer_count = 0
        self._world = world
        self._random = Random(f"{world.seed} bot")
        self._said = 0

    async def answer(self, question: Question, say: Callable[[str], None]) -> Answer:
        world, chance = self._world, self._random
        if question.read_earlier is not None:
            await question.read_earlier()
        self._said += 1
        world.count_message()
        world.note(self.id, "invoke", "answer", question.turn_id)
        words = [f"bot {self._said} ", f"~{question.session}~", *(["..."] * chance.randint(0, 3))]
        for word in words:
            await asyncio.sleep(chance.uniform(0.01, THINKS_UP_TO_S))
            say(word)
        outcome = chance.choice(OUTCOMES)
        self.answer_count += 1
        world.note(self.id, "ok", "answer", question.turn_id, outcome)
        return Answer("".join(words), outcome)
