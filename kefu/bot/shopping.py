"""A bot that shows products, around any other that answers.

What the other answers is kept, and cards come behind it. Only where it has no answer but there are
products is theirs the answer: so its words of not knowing are held back until they are others.
"""

from collections.abc import Callable
from typing import Final

from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from kefu.bot import texts
from kefu.bot.knowledge import pieces
from kefu.bot.messages import Answer, Bot, Outcome, Question
from kefu.bot.showcase import Showcase, Shown
from kefu.bot.wishes import wish_of

INSTEAD_OF: Final[dict[Outcome, Outcome]] = {"unknown": "answered", "failed": "stood_in"}
NAME_CHARS: Final = 60


class ShoppingBot:
    """Implements `messages.Bot`."""

    def __init__(self, bot: Bot, showcase: Showcase) -> None:
        self._bot = bot
        self._showcase = showcase

    async def answer(self, question: Question, say: Callable[[str], None]) -> Answer:
        """See `messages.Bot.answer`."""
        wish = wish_of(question.text)
        shown = await self._showcase.fitting(wish, question.viewer) if wish else Shown()
        if not shown.cards:
            return await self._bot.answer(question, say)
        held = _Held(say)
        answer = await self._bot.answer(question, held.add)
        if answer.outcome in INSTEAD_OF and not held.is_told:
            answer = Answer(_sentence(shown, question.locale), INSTEAD_OF[answer.outcome])
            for piece in pieces(answer.text):
                say(piece)
                await checkpoint()
        elif answer.outcome == "failed":  # in the middle of its words
            return answer
        else:
            held.tell()
        return replace(answer, products=tuple(card.id for card in shown.cards))


class _Held:
    """Passes pieces on, but for those of an answer that may still be one of not knowing."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._text = ""
        self.is_told = False

    def add(self, piece: str) -> None:
        if self.is_told:
            return self._say(piece)
        self._text += piece
        if not any(sentence.startswith(self._text) for sentence in texts.WITHOUT_ANSWER):
            self.tell()
        return None

    def tell(self) -> None:
        """It is an answer, whatever follows."""
        if self._text and not self.is_told:
            self._say(self._text)
        self.is_told = True


def _sentence(shown: Shown, locale: str | None) -> str:
    """It names them, for whoever sees no cards."""
    names = (" ".join(card.name.split())[:NAME_CHARS] for card in shown.cards)
    said = texts.said(texts.FOUND if shown.is_named else texts.MAY_LIKE, locale)
    return said.format(names=texts.said(texts.BETWEEN, locale).join(names))
