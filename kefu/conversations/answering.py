"""The bot's turn of one conversation: at most one at a time, run beside the mailbox.

The conversation says how its chat stands now, and the turn begins, goes on or ends with that. What
the bot says comes back through the mailbox, so that it has its place among all that happens: a
piece that arrives behind a takeover finds the chat taken and is dropped.

The provider need not wait until a question is durable: the turn begins while that is written. What
it says waits in the mailbox, behind the commit; where that fails the turn is ended unheard.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final
from uuid import UUID

import anyio

from actors import Context
from kefu.bot.messages import Answer, Bot, Question
from kefu.conversations import texts
from kefu.conversations.chat import Chat
from kefu.conversations.messages import BotAnswered, BotSpoke
from kefu.conversations.ports import World
from kefu.conversations.questions import question_of
from protocol.server import Message

TURN_WITHIN_S: Final = 90.0
"""Against a bot that keeps no deadline of its own: it has one of 60 s."""
log = logging.getLogger("kefu.conversations")


class _Turn:
    """`unsaid` is what came since the mailbox was told last: it holds one word of it at most."""

    __slots__ = (
        "answers_seq",
        "chat_id",
        "id",
        "is_asked",
        "is_told",
        "scope",
        "unsaid",
        "wanted_by",
    )

    def __init__(self, id: UUID, chat: Chat) -> None:
        self.id = id
        self.chat_id = chat.chat_id
        self.answers_seq = chat.asked_seq
        self.is_asked = anyio.Event()
        """The question is durable."""
        self.scope = anyio.CancelScope()
        self.unsaid: list[str] = []
        self.is_told = False
        self.wanted_by: Chat | None = None
        """The chat as it was when that was looked at last: it is asked for every piece."""

    def is_wanted(self, chat: Chat | None) -> bool:
        """Whether the chat, as it is now, still waits for this very answer."""
        if chat is None:
            return False
        if chat is not self.wanted_by:
            is_ours = chat.chat_id == self.chat_id and chat.awaits_bot
            self.wanted_by = chat if is_ours and chat.answered_seq < self.answers_seq else None
        return chat is self.wanted_by


class Answering:
    def __init__(self, world: World, context: Context[Any]) -> None:
        self._world = world
        self._context = context
        self._me = context.me
        self._turn: _Turn | None = None

    def follow(self, chat: Chat | None) -> None:
        """Begin, keep or end the turn, as the chat is now."""
        if self._turn is not None and not self._turn.is_wanted(chat):
            self.stop()
        self._begin(chat)
        if self._turn is not None:
            self._turn.is_asked.set()

    @contextmanager
    def ahead(
        self, before: Chat | None, chat: Chat | None, said: Callable[[], tuple[Message, ...]]
    ) -> Iterator[None]:
        """Inside, `chat` becomes durable: what was `said` now, and all that was there `before`.
        Begin already."""
        is_first = self._turn is None
        self._begin(chat, said, before)
        try:
            yield
        except BaseException:
            if is_first:
                self.stop()
            raise

    def stop(self) -> None:
        """Nobody wants the answer any more."""
        if self._turn is not None:
            self._turn.scope.cancel()
            self._turn = None

    def take(self, turn_id: UUID, chat: Chat | None) -> tuple[str, int] | None:
        """What the bot has said since the last time, and up to where it answers; None when that is
        of a turn nobody waits for."""
        turn = self._turn
        if turn is None or turn.id != turn_id or not turn.is_wanted(chat):
            return None
        text = "".join(turn.unsaid)
        turn.unsaid.clear()
        turn.is_told = False
        return (text, turn.answers_seq) if text else None

    def _begin(
        self,
        chat: Chat | None,
        said: Callable[[], tuple[Message, ...]] = tuple,
        before: Chat | None = None,
    ) -> None:
        """If there is a bot, a question and no turn."""
        bot = self._world.bot()
        if self._turn is not None or bot is None or chat is None or not chat.awaits_bot:
            return
        turn = _Turn(self._world.entropy.uuid(), chat)
        ask = partial(question_of, self._world, turn.id, chat, said(), before)
        run = partial(self._run, bot, turn, chat, ask)
        if self._context.spawn(run, within=TURN_WITHIN_S):
            self._turn = turn
        # else turns that were ended are still leaving: the next message begins it

    async def _run(
        self, bot: Bot, turn: _Turn, chat: Chat, ask: Callable[[], Awaitable[Question]]
    ) -> BotAnswered | None:
        """The result goes to the mailbox; None, of a turn that was ended, goes nowhere."""
        with turn.scope:
            # the question is about to be made durable: that is on its way before the bot thinks
            await asyncio.sleep(0)
            try:
                answer = await bot.answer(await ask(), partial(self._say, turn))
            except Exception:  # the bot promises never to raise: a bug must not cost the chat
                log.exception("bot_turn_failed")
                answer = Answer(texts.bot_broke(chat.customer.locale), "failed")
            await turn.is_asked.wait()
            return BotAnswered(turn.id, turn.chat_id, turn.answers_seq, answer)
        return None

    def _say(self, turn: _Turn, text: str) -> None:
        turn.unsaid.append(text)
        if not turn.is_told:
            turn.is_told = bool(self._me.tell(BotSpoke(turn.id)))
