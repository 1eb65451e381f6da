"""A bot by script: what it says, how fast, and what comes of it. It notes what it was asked."""

import asyncio
from collections.abc import Callable
from uuid import UUID

from kefu.bot.messages import Answer, Outcome, Question
from kefu.knowledge.messages import Source


class ScriptedBot:
    """Says the pieces `gap_s` apart. `error` is raised in place of the end, which no bot may do."""

    def __init__(self) -> None:
        self.pieces: tuple[str, ...] = ("您好，", "有什么", "可以帮您？")
        self.outcome: Outcome = "answered"
        self.sources: tuple[Source, ...] = ()
        self.products: tuple[UUID, ...] = ()
        self.gap_s = 0.1
        self.error: Exception | None = None
        self.asked: list[Question] = []
        self.said: list[str] = []
        self.cancelled_count = 0

    async def answer(self, question: Question, say: Callable[[str], None]) -> Answer:
        self.asked.append(question)
        try:
            for piece in self.pieces:
                await asyncio.sleep(self.gap_s)
                self.said.append(piece)
                say(piece)
            await asyncio.sleep(self.gap_s)
        except asyncio.CancelledError:
            self.cancelled_count += 1
            raise
        if self.error is not None:
            raise self.error
        text = "".join(self.pieces)
        return Answer(text, self.outcome, self.sources, products=self.products)
