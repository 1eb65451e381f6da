"""A bot by script: what it says, how fast, and what comes of it. It notes what it was asked."""

import asyncio
from collections.abc import Callable
from uuid import UUID

from kefu.bot.messages import Answer, Outcome, Question, Said
from kefu.knowledge.messages import Source


class ScriptedBot:
    """Says the pieces `gap_s` apart, or each on its cue where there are `cues`. `error` is raised
    in place of the end, which no bot may do."""

    def __init__(self) -> None:
        self.pieces: tuple[str, ...] = ("您好，", "有什么", "可以帮您？")
        self.outcome: Outcome = "answered"
        self.sources: tuple[Source, ...] = ()
        self.products: tuple[UUID, ...] = ()
        self.gap_s = 0.1
        self.cues: asyncio.Semaphore | None = None
        self.error: Exception | None = None
        self.wants_earlier = True
        self.asked: list[Question] = []
        self.earlier: list[tuple[Said, ...]] = []
        """What was said before each question."""
        self.said: list[str] = []
        self.cancelled_count = 0

    async def answer(self, question: Question, say: Callable[[str], None]) -> Answer:
        self.asked.append(question)
        read = question.read_earlier if self.wants_earlier else None
        self.earlier.append(await read() if read is not None else ())
        try:
            for piece in self.pieces:
                await self._cue()
                self.said.append(piece)
                say(piece)
            await self._cue()
        except asyncio.CancelledError:
            self.cancelled_count += 1
            raise
        if self.error is not None:
            raise self.error
        text = "".join(self.pieces)
        return Answer(text, self.outcome, self.sources, products=self.products)

    async def _cue(self) -> None:
        if self.cues is None:
            await asyncio.sleep(self.gap_s)
        else:
            await self.cues.acquire()
