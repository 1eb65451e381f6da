"""What the bot is asked: all that the customer said since the last answer is one question.

What was said before it is read for whoever wants it, and only then: a language model looks up other
things meanwhile, the shop's knowledge does without.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from kefu.bot.messages import Question, Said
from kefu.conversations.chat import Chat
from kefu.conversations.ports import World
from kefu.conversations.wording import Wording, wording_of
from kefu.storage.errors import StoreUnavailable
from protocol.server import Message, SenderType

EARLIER_MESSAGES: Final = 60
IN_ONE_QUESTION: Final = 4000
SPEAKERS: Final[dict[SenderType, str]] = {"customer": "customer", "ai": "bot", "agent": "bot"}


async def question_of(
    world: World, turn_id: UUID, chat: Chat, said: Sequence[Message], before: Chat | None
) -> Question:
    """`said` are the latest messages of the chat, which need not be durable yet; `before` is the
    chat without them, None where nobody knows whether all in it was answered."""
    past = _Past(world, chat, said)
    is_all = before is not None and before.asked_seq <= before.answered_seq
    found = said if is_all else await past.messages()
    asked = [m for m in found if m.seq > chat.answered_seq and m.sender_type == "customer"]
    wording = await wording_of(asked, world.find_product)
    past.leave_out(asked)
    return Question(
        turn_id=turn_id,
        session=chat.customer.sub,
        text="\n".join(map(wording.words, asked))[-IN_ONE_QUESTION:],
        read_earlier=past.read if chat.seq > len(asked) else None,
        locale=chat.customer.locale,
        viewer=chat.customer.id,
    )


class _Past:
    """The latest messages of a chat; those that were not `said` now are in the store."""

    def __init__(self, world: World, chat: Chat, said: Sequence[Message]) -> None:
        self._world = world
        self._chat = chat
        self._said = said
        self._found: list[Message] | None = None
        self._left_out: frozenset[int] = frozenset()

    def leave_out(self, asked: Sequence[Message]) -> None:
        """What is asked now was not said before."""
        self._left_out = frozenset(message.seq for message in asked)

    async def messages(self) -> list[Message]:
        """Where the store does not answer, what was said now."""
        if self._found is None:
            self._found = [*await self._stored(), *self._said]
        return self._found

    async def read(self) -> tuple[Said, ...]:
        """See `Question.read_earlier`."""
        found = await self.messages()
        before = [m for m in found if m.seq not in self._left_out and m.sender_type in SPEAKERS]
        wording = await wording_of(before, self._world.find_product)
        return tuple(_said(message, wording) for message in before)

    async def _stored(self) -> list[Message]:
        chat, until = self._chat, self._chat.seq - len(self._said)
        after = max(0, chat.seq - EARLIER_MESSAGES)
        if until <= after:
            return []
        try:
            return await self._world.chats.messages(
                chat.chat_id, after=after, until=until, limit=EARLIER_MESSAGES
            )
        except StoreUnavailable:
            return []


def _said(message: Message, wording: Wording) -> Said:
    by: Any = SPEAKERS[message.sender_type]
    return Said(by, wording.words(message), message.timestamp.timestamp())
