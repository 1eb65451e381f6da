"""One customer's conversation: rules meeting the world, always in the same steps.

decide on a scratch copy -> make durable -> take over the copy -> ack, push, tell the others.
What is queued is decided together and committed once. When the commit fails, the senders are told
to try again and the truth is read anew: if the commit did happen after all, people hear it then.
The bot answers beside all this (answering.py), as the chat's state asks it to.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from actors import Actor, Letter
from kefu.cluster.placement import slot_of
from kefu.conversations import messages
from kefu.conversations.announce import Announcer
from kefu.conversations.answering import Answering
from kefu.conversations.chat import Chat
from kefu.conversations.commands import Refusal
from kefu.conversations.deciding import Decider
from kefu.conversations.frames import refusal_frame
from kefu.conversations.keys import KeyWindow
from kefu.conversations.messages import ChatState, ConversationMessage
from kefu.conversations.ports import World
from kefu.conversations.reads import ReadMarks
from kefu.conversations.rows import chat_row
from kefu.conversations.turn import Step, Turn
from kefu.storage.errors import StoreUnavailable
from kefu.storage.journal import Collided, Fenced, JournalError, JournalFull
from kefu.storage.rows import Entry
from protocol.codes import ErrorCode

SAVE_READS_AFTER_S: Final = 2.0
LOOK_AGAIN_S: Final = 2.0
TRY_AGAIN: Final = Refusal(ErrorCode.OVERLOADED)
BROKEN: Final = Refusal(ErrorCode.INTERNAL)
Outcomes = list[tuple[Letter[ConversationMessage], Step | Refusal]]


class PerhapsOld(Exception):
    """Somebody is to be refused by what is remembered. A commit would find out whether that is the
    truth still or the chat is another instance's by now; a refusal has to look."""


def _rests_on_memory(outcome: Step | Refusal) -> bool:
    """How fast a customer asks is known here alone."""
    return isinstance(outcome, Refusal) and outcome.code is not ErrorCode.RATE_LIMITED


def _only_pieces(letters: Sequence[Letter[ConversationMessage]]) -> list[messages.BotSpoke]:
    """Nothing where there is anything else among them."""
    pieces: list[messages.BotSpoke] = []
    for letter in letters:
        if not isinstance(letter.message, messages.BotSpoke):
            return []
        pieces.append(letter.message)
    return pieces


class ConversationActor(Actor[ConversationMessage]):
    batch_limit = 64

    def __init__(self, customer_id: UUID, world: World) -> None:
        self._customer_id = customer_id
        self._slot = slot_of(str(customer_id))
        self._epoch = 0
        self._world = world
        self._chat: Chat | None = None
        self._reads = ReadMarks()
        self._has_unsaved_reads = False
        self._decider = Decider(customer_id, world)
        self._is_loaded = False
        self._was_loaded = False
        self._waits_since: float | None = None

    async def on_activate(self) -> None:
        self._announcer = Announcer(self._world, self.context)
        self._answering = Answering(self._world, self.context)

    async def on_passivate(self) -> None:
        self._answering.stop()
        await self._save_reads()

    def may_passivate(self) -> bool:
        return self._chat is None or self._chat.phase != "pending_manual"

    async def receive_batch(self, letters: Sequence[Letter[ConversationMessage]]) -> None:
        if self._is_loaded and (pieces := _only_pieces(letters)):
            for piece in pieces:  # most of what comes while the bot answers; nothing to decide
                self._pass_on(piece)
            return
        said = self._chat
        try:
            outcomes = await self._make_durable(letters)
        except (JournalError, StoreUnavailable):
            self._refuse_all(letters, TRY_AGAIN)
            self._look_later(None)
            return
        except Exception:
            if len(letters) == 1:  # of several, each is given to us again alone
                self._refuse_all(letters, BROKEN)
            self._come_back(said)
            raise
        try:
            for letter, outcome in outcomes:
                await self._finish(letter, outcome)
        except Exception:
            self._refuse_all(letters, BROKEN)  # what is durable must not be decided again
            self._come_back(said)
            raise
        self._go_on()

    def _come_back(self, said: Chat | None) -> None:
        """After a crash the next life begins where the truth is, even when nobody says a word. It
        cannot know what this one has said; and it may crash, too, before it has looked."""
        self._answering.stop()
        self._look_later(said)

    def _look_later(self, said: Chat | None) -> None:
        key = "look" if said is None else f"look {said.chat_id} {said.seq} {said.log_id}"
        self.context.remind(key, LOOK_AGAIN_S, messages.LookAgain(said))

    def _go_on(self) -> None:
        """What follows from the chat as it is now without anybody's word: the bot, and its return
        when nobody comes."""
        chat = self._chat
        self._answering.follow(chat)
        since = chat.waiting_since if chat is not None and chat.began_with_bot else None
        if since == self._waits_since:
            return
        self._waits_since = since
        if chat is None or since is None:
            self.context.forget("waited")
            return
        left_s = since + self._world.pending_timeout_s - self._now()
        waited = messages.WaitedTooLong(chat.chat_id, since)
        self.context.remind("waited", max(0.0, left_s), waited)

    async def _make_durable(self, letters: Sequence[Letter[ConversationMessage]]) -> Outcomes:
        try:
            return await self._take_turn(letters)
        except (Collided, Fenced, PerhapsOld):  # look closely, and decide once more
            if self.context.is_evicted:  # another life of it has gone on, here or elsewhere
                raise Fenced from None
            return await self._take_turn(letters, is_wary=True)

    async def _take_turn(
        self, letters: Sequence[Letter[ConversationMessage]], *, is_wary: bool = False
    ) -> Outcomes:
        is_remembered = self._is_loaded
        if not is_remembered:
            await self._load()
        self._is_loaded = False  # true again only when the turn came through
        turn = Turn(self._chat, is_wary=is_wary)
        outcomes = await self._decide(turn, letters)
        if is_remembered and any(_rests_on_memory(outcome) for _letter, outcome in outcomes):
            raise PerhapsOld
        entry = turn.entry(self._slot, self._epoch, self._reads)
        if entry is not None:
            with self._answering.ahead(self._chat, turn.chat, turn.said):
                await self._world.journal.append(entry)
            if turn.chat is not None:
                self._world.note_live(turn.chat)
        self._is_loaded = True
        self._chat = turn.chat
        self._reads = self._reads.moved_to(turn.chat)
        self._decider.note(turn)
        for sender_id, key, known in turn.new_keys:
            self._decider.keys.remember(sender_id, key, known)
        return outcomes

    async def _decide(self, turn: Turn, letters: Sequence[Letter[ConversationMessage]]) -> Outcomes:
        decide, overtaken = self._decider.decide, frozenset[int]()
        if len(letters) > 1:
            overtaken = self._decider.overtaken([letter.message for letter in letters])
        return [
            (letter, TRY_AGAIN if place in overtaken else await decide(turn, letter.message))
            for place, letter in enumerate(letters)
        ]

    async def _load(self) -> None:
        """Read the truth; where it is not what we last said, a commit of ours went unheard.

        The epoch is taken before: whatever is written under it stands on nothing older.
        """
        self._epoch = self._world.epoch_of(self._slot)
        stored = await self._world.chats.latest(self._customer_id)
        keys = await self._world.chats.keys(self._customer_id) if stored else []
        chat = stored.chat if stored else None
        news = await self._news(self._chat, chat) if self._was_loaded and chat else []
        self._decider.keys = KeyWindow()
        for sender_id, key, known in keys:
            self._decider.keys.remember(sender_id, key, known)
        self._chat = chat
        self._reads = ReadMarks.of(stored).at_least(self._reads)
        self._was_loaded = True
        for said, found in news:
            await self._announcer.tell_found(said, found)

    async def _news(self, said: Chat | None, latest: Chat) -> list[tuple[Chat | None, Chat]]:
        """What people are to be told, each with what was said of it: of the latest chat, and before
        that of one that was open then."""
        if said is None or said.chat_id == latest.chat_id:
            return [(said, latest)]
        earlier = await self._world.chats.chat(said.chat_id) if said.is_open else None
        return ([(said, earlier.chat)] if earlier else []) + [(None, latest)]

    # --- after the commit -------------------------------------------------------------------------

    async def _finish(self, letter: Letter[ConversationMessage], outcome: Step | Refusal) -> None:
        message = letter.message
        if isinstance(outcome, Refusal):
            if isinstance(message, messages.SendMessage):
                self._decider.note_refused(message, outcome)
            self._refuse(letter, outcome)
            return
        announcer, chat = self._announcer, outcome.chat
        answer: ChatState | None = None
        match message:
            case messages.LookAgain(said=said):
                if said is not None and chat is not None:
                    await self._tell_forgotten(said, chat)
            case messages.SaveReadMarks():
                await self._save_reads()
            case messages.QueueMoved():
                announcer.tell_position(chat, message)
            case messages.BotSpoke():
                self._pass_on(message)
            case messages.ShowTyping():
                announcer.tell_typing(chat, message)
            case messages.MarkRead():
                self._mark_read(chat, message)
            case messages.Describe():
                answer = announcer.describe(chat, message)
            case messages.SendMessage():
                await announcer.tell_step(outcome, message)
                if outcome.known is not None:
                    announcer.acknowledge(outcome.known, message)
            case _:
                await announcer.tell_step(outcome, message)
                answer = announcer.answer(outcome, message)
        letter.reply(answer)

    async def _tell_forgotten(self, said: Chat, chat: Chat) -> None:
        """What an earlier life of this conversation has written and did not come to say: up to
        `chat`, for what this one has written beyond it is told in its turn."""
        try:
            news = await self._news(said, chat)
        except StoreUnavailable:
            self._look_later(said)
            return
        for known, found in news:
            await self._announcer.tell_found(known, found)

    def _pass_on(self, message: messages.BotSpoke) -> None:
        """Pieces of the answer, while the chat is still the bot's and still ours."""
        said = self._answering.take(message.turn_id, self._chat)
        if said is None or self._chat is None:
            return
        try:
            is_ours = self._world.epoch_of(self._slot) == self._epoch
        except StoreUnavailable:  # nobody knows whose it is
            return
        if is_ours:
            self._announcer.tell_piece(self._chat, message.turn_id, *said)

    def _mark_read(self, chat: Chat | None, message: messages.MarkRead) -> None:
        if chat is None:
            return
        marked = self._reads.marked(message.by, min(message.seq, chat.seq), chat)
        if marked is self._reads:
            return
        self._reads, self._has_unsaved_reads = marked, True
        self._announcer.tell_read(chat, message)
        self.context.remind("reads", SAVE_READS_AFTER_S, messages.SaveReadMarks())

    async def _save_reads(self) -> None:
        """Later rather than never: nobody was promised anything."""
        if self._chat is None or not self._has_unsaved_reads:
            return
        row = chat_row(self._chat, *self._reads.of_chat(self._chat.chat_id))
        entry = Entry(self._slot, self._epoch, chats=(row,))
        try:
            await self._world.journal.append(entry)
        except (JournalFull, StoreUnavailable):
            self.context.remind("reads", SAVE_READS_AFTER_S, messages.SaveReadMarks())
        except JournalError:  # somebody else's by now
            self._is_loaded = False
        else:
            self._has_unsaved_reads = False

    def _refuse_all(self, letters: Sequence[Letter[ConversationMessage]], refusal: Refusal) -> None:
        for letter in letters:
            if not letter.settled:
                self._refuse(letter, refusal)

    def _refuse(self, letter: Letter[ConversationMessage], refusal: Refusal) -> None:
        if isinstance(letter.message, messages.LookAgain):
            self._look_later(letter.message.said)
        if isinstance(letter.message, messages.BotAnswered) and refusal is TRY_AGAIN:
            self.context.remind("answer", LOOK_AGAIN_S, letter.message)  # it cost a model's work
        origin = getattr(letter.message, "origin", None)
        if origin is not None and not isinstance(letter.message, messages.Describe):
            chat_id = getattr(letter.message, "chat_id", None)
            frame = refusal_frame(refusal, self._now(), chat_id=chat_id, reply_to=origin.frame_id)
            self._world.publisher.reply(origin, frame)
        letter.reply(refusal)

    def _now(self) -> float:
        return self._world.clock.now().timestamp()
