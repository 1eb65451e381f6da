"""A language model as a provider: it is told what the shop knows and what was said before."""

from collections.abc import AsyncGenerator

from kefu.bot import prompt
from kefu.bot.options import Limits
from kefu.bot.ports import Ask, Usage, Writer


class Grounded:
    """Implements `ports.Provider`. The model remembers nothing: each turn tells it all again."""

    def __init__(self, writer: Writer, limits: Limits) -> None:
        self._writer = writer
        self._limits = limits

    @property
    def usage(self) -> Usage:
        return self._writer.usage

    def stream(self, ask: Ask) -> AsyncGenerator[str, None]:
        """See `Provider.stream`."""
        turns, tokens = self._limits.context_turns, self._limits.context_tokens
        return self._writer.write(prompt.answer_lines(ask, max_turns=turns, max_tokens=tokens))
