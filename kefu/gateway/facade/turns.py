"""A customer's message to the bot, and all that comes of it: one call's own ear on the session.

It hears what every connection of the customer hears. That only tells it when to look: what the
answer is, whether a human was called for or has come, it reads from the store, so that a frame that
got lost between instances costs a moment and nothing else.
"""

import asyncio
from collections.abc import Callable
from typing import Final
from uuid import UUID

from msgspec import Struct

from kefu.conversations import messages as conversations
from kefu.conversations.chat import Chat
from kefu.conversations.messages import answered_seq, is_card_of
from kefu.delivery import Origin
from kefu.errors import Problem
from kefu.gateway.facade.asking import ask, conversation_of
from kefu.gateway.facade.callers import Caller
from kefu.gateway.outbox import Outgoing
from kefu.gateway.ports import Backstage
from kefu.storage.errors import StoreUnavailable
from protocol.codes import CloseCode, ErrorCode
from protocol.facade import Ask, SessionStatus
from protocol.server import AiDelta, ChatStatus, Message, MessageAck, NewMessage, Receipt

ANSWER_WITHIN_S: Final = 150.0  # a turn under way and the next one, each of at most 60 s
LOOK_EVERY_S: Final = 5.0
LOOK_MESSAGES: Final = 50
EARLY_FRAMES: Final = 256
FRAME_ID: Final = "1"
NOT_ANSWERED: Final = "The assistant did not answer in time; please try again."


class Outcome(Struct, frozen=True):
    """What came of it: where the chat stands, the bot's answer, and what kefu said around that.

    `text` is all of it in its order, `products` the ids of the cards behind the answer.
    `is_failed`: the bot's provider failed, and the answer is kefu's own sentence.
    """

    phase: SessionStatus
    text: str = ""
    answer: str = ""
    notices: tuple[str, ...] = ()
    is_failed: bool = False
    products: tuple[UUID, ...] = ()


class Turn:
    """A `Listener` of the hub, for as long as `with` takes."""

    def __init__(
        self, caller: Caller, backstage: Backstage, key: str, *, is_new: bool = False
    ) -> None:
        """`is_new`: nobody can have sent a message with that key before."""
        self.id = backstage.connection_id()
        self.topics = (caller.topic,)
        self._caller = caller
        self._backstage = backstage
        self._key = key
        self._is_new = is_new
        self._chat_id: UUID | None = None
        self._seq = 0
        self._early: list[Outgoing] = []
        """What came before the receipt, which alone says what concerns us."""
        self._news = asyncio.Event()
        self._on_piece: Callable[[str], None] = lambda _text: None
        self._on_cut: Callable[[], None] = lambda: None
        self._turn_id: UUID | None = None
        self._is_answered = False
        self._is_cut = False
        self.told = ""
        """The pieces so far, as they were passed on."""

    @property
    def locale(self) -> str | None:
        return self._caller.identity.locale

    def __enter__(self) -> "Turn":
        self._backstage.hub.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._backstage.hub.remove(self)

    # --- sending ----------------------------------------------------------------------------------

    async def send(self, asked: Ask) -> None:
        """Return when the message is durable. Raises Problem, MANUAL_IN_PROGRESS among others."""
        message = conversations.SendMessage(
            origin=Origin(self.id, FRAME_ID),
            sender=self._caller.party,
            content=asked.message,
            client_message_id=self._key,
            customer=self._caller.customer,
            only_to_bot=True,
        )
        await ask(conversation_of(self._backstage, self._caller.id), message)
        if self._chat_id is None:  # a receipt that got lost: sent again it is given again
            raise Problem(ErrorCode.OVERLOADED, retry_after_s=1.0)

    # --- hearing ----------------------------------------------------------------------------------

    def deliver(self, outgoing: Outgoing) -> None:
        frame = outgoing.frame
        if isinstance(frame, MessageAck) and frame.reply_to == FRAME_ID:
            self._take_receipt(frame.payload)
        elif self._chat_id is not None:
            self._hear(outgoing)
        elif len(self._early) < EARLY_FRAMES:
            self._early.append(outgoing)

    def close(self, code: CloseCode) -> None:
        """Nobody sends single calls away."""

    def _take_receipt(self, receipt: Receipt) -> None:
        self._chat_id, self._seq = receipt.chat_id, receipt.seq
        early, self._early = self._early, []
        for outgoing in early:
            self._hear(outgoing)

    def _hear(self, outgoing: Outgoing) -> None:
        match outgoing.frame:
            case AiDelta(payload=piece) if piece.chat_id == self._chat_id:
                if piece.answers_seq >= self._seq and self._turn_id in (None, piece.turn_id):
                    self._turn_id = piece.turn_id
                    self._pass_on(piece.content)
            case NewMessage(payload=message) if message.chat_id == self._chat_id:
                if message.sender_type in ("ai", "system") and message.seq > self._seq:
                    self._is_answered = self._is_answered or _answers(message) >= self._seq
                    self._news.set()
            case ChatStatus(payload=state) if state.chat_id == self._chat_id:
                if state.status != "bot":
                    self._cut()
            case _:
                pass

    def _cut(self) -> None:
        """A human is called for, or there: nothing more of an answer that is not whole."""
        if not self._is_cut and not self._is_answered:
            self._on_cut()
        self._is_cut = True
        self._news.set()

    def _pass_on(self, text: str) -> None:
        """At once; nothing of the bot once a human is called for or in charge."""
        if not self._is_cut and text:
            self.told += text
            self._on_piece(text)

    # --- what came of it --------------------------------------------------------------------------

    async def outcome(
        self,
        on_piece: Callable[[str], None] = lambda _text: None,
        on_cut: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Wait for it. Raises Problem(AI_UNAVAILABLE) when that takes too long.

        `on_piece` is given what the bot says, piece by piece as it comes; `on_cut` is called when
        a human comes in the middle of it.
        """
        self._on_piece, self._on_cut = on_piece, on_cut
        if self.told and not self._is_cut:  # it came with the receipt
            on_piece(self.told)
        if not self._is_new:  # everything may be there already
            self._news.set()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                while True:
                    await self._until_news()
                    outcome = await self._look()
                    if outcome is not None:
                        return outcome
        except TimeoutError:
            raise Problem(ErrorCode.AI_UNAVAILABLE, NOT_ANSWERED) from None
        finally:
            self._is_cut = True

    async def _until_news(self) -> None:
        """Or until it is time to look whether any got lost, or the bot with its instance: a
        conversation that is spoken to lives again, and its turn with it."""
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._news.wait()
        except TimeoutError:
            conversation = conversation_of(self._backstage, self._caller.id)
            conversation.tell(conversations.Describe(self._caller.party))
        self._news.clear()

    async def _look(self) -> Outcome | None:
        assert self._chat_id is not None
        chats, after = self._backstage.chats, self._seq
        try:
            stored = await chats.chat(self._chat_id)
            if stored is None or (stored.chat.seq <= after and not _is_over(stored.chat, after)):
                return None
            said = await chats.messages(
                self._chat_id, after=after, until=stored.chat.seq, limit=LOOK_MESSAGES
            )
        except StoreUnavailable:
            return None
        return outcome_of(stored.chat, after, said)


def _is_over(chat: Chat, seq: int) -> bool:
    return chat.phase != "bot_active" or chat.answered_seq >= seq


def outcome_of(chat: Chat, seq: int, said: list[Message]) -> Outcome | None:
    """What came of the message of that seq, by the chat and what was said after it; None while the
    bot owes an answer."""
    answer = _answer(said, seq)
    if answer is None and not _is_over(chat, seq):
        return None
    words = _words(said, seq)
    return Outcome(
        phase=chat.phase,
        text="\n\n".join(message.content for message in words),
        answer=answer.content if answer is not None else "",
        notices=tuple(message.content for message in words if message is not answer),
        is_failed=answer is not None and answer.sender_type == "system",
        products=_products(said, answer),
    )


def _answer(said: list[Message], seq: int) -> Message | None:
    """The bot's answer, or what kefu said in its place."""
    return next((message for message in said if _answers(message) >= seq), None)


def _products(said: list[Message], answer: Message | None) -> tuple[UUID, ...]:
    """What is shown behind that answer: durable with it, and so here when it is."""
    key = answer.client_message_id if answer is not None else None
    return tuple(UUID(m.content) for m in said if is_card_of(key, m.client_message_id))


def _words(said: list[Message], seq: int) -> list[Message]:
    """What the customer was told, but for cards: up to the first word of an agent, or the next
    answer but one."""
    words: list[Message] = []
    has_answer = False
    for message in said:
        if message.sender_type == "agent" or (has_answer and _answers(message) >= seq):
            break
        if message.message_type == "product":
            continue
        if message.sender_type in ("ai", "system") and not 0 <= _answers(message) < seq:
            words.append(message)
            has_answer = has_answer or _answers(message) >= seq
    return words


def _answers(message: Message) -> int:
    """Up to where it answers; -1 of what is no answer."""
    is_kefus = message.sender_type in ("ai", "system")
    found = answered_seq(message.client_message_id) if is_kefus else None
    return -1 if found is None else found
