"""Collects the questions nobody could answer, for the administrator.

Noting one never waits: it is counted in memory and written a moment later. What does not fit is
dropped, and a crash loses what came in the last seconds: it is a list of wishes, no record.
"""

import logging
from typing import Final

import anyio
from msgspec.structs import replace

from kefu.clock import Clock
from kefu.entropy import Entropy
from kefu.knowledge import store
from kefu.knowledge.grams import question_key, readable
from kefu.knowledge.state import language
from kefu.knowledge.store import Asked
from kefu.storage.database import DatabasePool, transaction
from kefu.storage.errors import StoreUnavailable
from protocol.knowledge import QUESTION_CHARS

WRITE_EVERY_S: Final = 1.0
WAITING: Final = 500
KEPT: Final = 5000
log = logging.getLogger("kefu.knowledge")


class Unanswered:
    """Start `run()` in a task of its own."""

    def __init__(self, pool: DatabasePool, clock: Clock, entropy: Entropy) -> None:
        self._pool = pool
        self._clock = clock
        self._entropy = entropy
        self._asked: dict[str, Asked] = {}

    def note(self, text: str, locale: str | None) -> None:
        """Never waits. A text without letters and digits is no question."""
        text = readable(text.strip(), QUESTION_CHARS)
        normal = question_key(text)[:QUESTION_CHARS]
        now = self._clock.now()
        known = self._asked.get(normal)
        if known is not None:
            self._asked[normal] = replace(known, count=known.count + 1, at=now)
        elif normal and len(self._asked) < WAITING:
            spoken = language(text, locale)
            self._asked[normal] = Asked(self._entropy.uuid(), text, spoken, 1, now)

    async def run(self) -> None:
        """Write what was noted, again and again, for ever."""
        while True:
            await anyio.sleep(WRITE_EVERY_S)
            try:
                await self.flush()
            except StoreUnavailable:
                log.warning("unanswered_unwritten", extra={"count": len(self._asked)})
            except Exception:
                log.exception("unanswered_lost")

    async def flush(self) -> None:
        """Write what was noted. Raises StoreUnavailable, and then nothing of it is forgotten."""
        if not self._asked:
            return
        asked, self._asked = self._asked, {}
        try:
            async with transaction(self._pool) as connection:
                await store.note_unanswered(connection, asked)
                await store.trim_unanswered(connection, KEPT)
        except StoreUnavailable:
            self._asked = asked | self._asked
            raise
