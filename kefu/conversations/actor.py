"""One customer's conversation: rules meeting the world, always in the same steps.

decide on a scratch copy -> make durable -> take over the copy -> ack, push, tell the others.
What is queued is decided together and committed once. When the commit fails, the senders are told
to try again and the truth is read anew: if the commit did happen after all, people hear it then.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from actors import Actor, Letter
from kefu.cluster.placement import slot_of
from kefu.conversations import commands, messages
from kefu.conversations.announce import Announcer
from kefu.conversations.asides import command_for
from kefu.conversations.chat import Chat
from kefu.conversations.commands import Refusal
from kefu.conversations.frames import refusal_frame
from kefu.conversations.keys import KeyWindow, Known
from kefu.conversations.messages import ChatState, ConversationMessage
from kefu.conversations.parties import Party
from kefu.conversations.ports import World
from kefu.conversations.reads import ReadMarks
from kefu.conversations.refusals import ENDED, NOT_FOUND
from kefu.conversations.store import chat_row
from kefu.conversations.texts import released
from kefu.conversations.turn import Step, Turn
from kefu.storage.errors import StoreUnavailable
from kefu.storage.journal import Collided, Fenced, JournalError, JournalFull
from kefu.storage.rows import Entry
from protocol.codes import ErrorCode

SAVE_READS_AFTER_S: Final = 2.0
LOOK_AGAIN_S: Final = 2.0
TRY_AGAIN: Final = Refusal(ErrorCode.OVERLOADED)
BROKEN: Final = Refusal(ErrorCode.INTERNAL)
DIFFERENT: Final = Refusal(
    ErrorCode.INVALID_MESSAGE, "This client_message_id was used for another message."
)
Outcomes = list[tuple[Letter[ConversationMessage], Step | Refusal]]


class PerhapsOld(Exception):
    """Somebody is to be refused by what is remembered. A commit would find out whether that is the
    truth still or the chat is another instance's by now; a refusal has to look."""


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
        self._keys = KeyWindow()
        self._is_loaded = False
        self._was_loaded = False

    async def on_activate(self) -> None:
        self._announcer = Announcer(self._world, self.context)

    async def on_passivate(self) -> None:
        await self._save_reads()

    def may_passivate(self) -> bool:
        return self._chat is None or self._chat.phase != "pending_manual"

    async def receive_batch(self, letters: Sequence[Letter[ConversationMessage]]) -> None:
        try:
            outcomes = await self._make_durable(letters)
        except (JournalError, StoreUnavailable):
            self._refuse_all(letters, TRY_AGAIN)
            self.context.remind("look", LOOK_AGAIN_S, messages.LookAgain())
            return
        except Exception:
            if len(letters) == 1:  # of several, each is given to us again alone
                self._refuse_all(letters, BROKEN)
            raise
        try:
            for letter, outcome in outcomes:
                await self._finish(letter, outcome)
        except Exception:
            self._refuse_all(letters, BROKEN)  # what is durable must not be decided again
            raise

    async def _make_durable(self, letters: Sequence[Letter[ConversationMessage]]) -> Outcomes:
        try:
            return await self._take_turn(letters)
        except (Collided, Fenced, PerhapsOld):  # look closely, and decide once more
            return await self._take_turn(letters, is_wary=True)

    async def _take_turn(
        self, letters: Sequence[Letter[ConversationMessage]], *, is_wary: bool = False
    ) -> Outcomes:
        is_remembered = self._is_loaded
        if not is_remembered:
            await self._load()
        self._is_loaded = False  # true again only when the turn came through
        turn = Turn(self._chat, is_wary=is_wary)
        outcomes = [(letter, await self._decide(turn, letter.message)) for letter in letters]
        if is_remembered and any(isinstance(outcome, Refusal) for _letter, outcome in outcomes):
            raise PerhapsOld
        entry = turn.entry(self._slot, self._epoch, self._reads)
        if entry is not None:
            await self._world.journal.append(entry)
            if turn.chat is not None:
                self._world.note_live(turn.chat)
        self._is_loaded = True
        self._chat = turn.chat
        self._reads = self._reads.moved_to(turn.chat)
        for sender_id, key, known in turn.new_keys:
            self._keys.remember(sender_id, key, known)
        return outcomes

    async def _load(self) -> None:
        """Read the truth; where it is not what we last said, a commit of ours went unheard.

        The epoch is taken before: whatever is written under it stands on nothing older.
        """
        self._epoch = self._world.epoch_of(self._slot)
        stored = await self._world.chats.latest(self._customer_id)
        keys = await self._world.chats.keys(self._customer_id) if stored else []
        self._keys = KeyWindow()
        for sender_id, key, known in keys:
            self._keys.remember(sender_id, key, known)
        said, self._chat = self._chat, stored.chat if stored else None
        self._reads = ReadMarks.of(stored).at_least(self._reads)
        if self._was_loaded and self._chat is not None:
            await self._announcer.tell_found(said, self._chat)
        self._was_loaded = True

    # --- deciding ---------------------------------------------------------------------------------

    async def _decide(self, turn: Turn, message: ConversationMessage) -> Step | Refusal:
        step = Step(turn.chat)
        refusal: Refusal | None = None
        match message:
            case messages.StartChat():
                refusal = await self._start(step, message)
            case messages.SendMessage():
                refusal = await self._speak(turn, step, message)
            case messages.EndChat() | messages.RateChat():
                refusal = await self._end_or_rate(turn, step, message)
            case messages.Describe():
                refusal = await self._stand_on(turn, step, message.chat_id)
            case (
                messages.AddNote()
                | messages.Whisper()
                | messages.AskAssist()
                | messages.WatchChat()
                | messages.UnwatchChat()
            ):
                refusal = await self._stand_on(turn, step, message.chat_id)
                refusal = refusal or step.apply(command_for(message, self._now()))
            case messages.EndSilent(chat_id=chat_id, seq=seq, log_id=log_id):
                if step.chat is not None and step.chat.chat_id == chat_id:
                    refusal = step.apply(commands.EndSilent(seq, log_id, self._now()))
            case messages.QueueMoved() | messages.LookAgain() | messages.SaveReadMarks():
                pass
            case messages.ShowTyping() | messages.MarkRead():
                refusal = await self._wrong_chat(turn, message.chat_id)
            case messages.TransferChat(by=by, note=note) | messages.RequeueChat(by=by, note=note):
                refusal = await self._wrong_chat(turn, message.chat_id)
                refusal = refusal or step.apply(self._command(step, message))
                if refusal is None and note:
                    refusal = step.apply(commands.AddNote(by, note, self._now()))
            case _:
                refusal = await self._wrong_chat(turn, message.chat_id)
                refusal = refusal or step.apply(self._command(step, message))
        if refusal is not None:
            return refusal
        turn.take(step, guard=getattr(message, "guard", None))
        return step

    def _command(
        self,
        step: Step,
        message: messages.CallHuman
        | messages.ReturnToBot
        | messages.AcceptChat
        | messages.TakeOverChat
        | messages.TransferChat
        | messages.RequeueChat
        | messages.ReleaseChat,
    ) -> commands.Command:
        at = self._now()
        match message:
            case messages.CallHuman(by=by, reason=reason):
                return commands.CallHuman(by, at, reason or "manual")
            case messages.ReturnToBot(by=by, reason=reason):
                return commands.ReturnToBot(by, at, reason)
            case messages.AcceptChat(agent=agent):
                return commands.Accept(agent, at)
            case messages.TakeOverChat(agent=agent, by=by):
                return commands.TakeOver(agent, by, at)
            case messages.TransferChat(by=by, to_agent=to_agent, reason=reason):
                return commands.Transfer(by, to_agent, at, reason)
            case messages.RequeueChat(by=by, team_id=team_id, reason=reason):
                return commands.Requeue(by, at, reason, team_id)
            case messages.ReleaseChat(by=by, reason=reason):
                locale = step.chat.customer.locale if step.chat else None
                new_id = self._world.entropy.uuid()
                return commands.Release(by, at, new_id, released(locale), reason)

    async def _start(self, step: Step, message: messages.StartChat) -> Refusal | None:
        if step.chat is None or not step.chat.is_open:
            return await self._open(step, message.customer, message)
        if message.wants_human:
            by = Party("customer", message.customer.id, message.customer.name)
            return step.apply(commands.CallHuman(by, self._now(), "manual"))
        return None

    async def _open(
        self,
        step: Step,
        customer: messages.Customer,
        start: messages.StartChat | None = None,
    ) -> Refusal | None:
        is_vip = await self._world.chats.save_customer(customer)
        is_bot_ready = self._world.is_bot_ready()
        command = commands.Open(
            chat_id=self._world.entropy.uuid(),
            customer=customer.as_vip(is_vip),
            at=self._now(),
            wants_human=start.wants_human if start else not is_bot_ready,
            is_bot_ready=is_bot_ready,
            topic=start.topic if start else None,
            order_id=start.order_id if start else None,
        )
        return step.apply(command)

    async def _speak(self, turn: Turn, step: Step, message: messages.SendMessage) -> Refusal | None:
        step.known = await self._find_sent(turn, message)
        if step.known is not None:
            same = step.known.has_same_content(message.content, message.message_type)
            return None if same else DIFFERENT
        if message.chat_id is not None:
            refusal = await self._wrong_chat(turn, message.chat_id)
            if refusal is not None:
                return refusal
        elif message.customer is not None and (step.chat is None or not step.chat.is_open):
            refusal = await self._open(step, message.customer)
            if refusal is not None:
                return refusal
        command = commands.Speak(
            message_id=self._world.entropy.uuid(),
            by=message.sender,
            content=message.content,
            at=self._now(),
            is_bot_ready=self._world.is_bot_ready(),
            message_type=message.message_type,
            client_message_id=message.client_message_id,
        )
        return step.apply(command)

    async def _find_sent(self, turn: Turn, message: messages.SendMessage) -> Known | None:
        """What an earlier sending of this very message became; the store knows the oldest."""
        key, sender_id, chat_id = message.client_message_id, message.sender.id, message.chat_id
        if key is None or sender_id is None:
            return None
        known = turn.find(self._keys, sender_id, key, chat_id)
        if known is not None or not turn.is_wary:
            return known
        chat_id = chat_id or (turn.chat.chat_id if turn.chat else None)
        return await self._world.chats.sent(chat_id, sender_id, key) if chat_id else None

    async def _end_or_rate(
        self, turn: Turn, step: Step, message: messages.EndChat | messages.RateChat
    ) -> Refusal | None:
        """Ending a chat that has ended already only rates it."""
        chat = await self._find(turn, message.chat_id)
        if chat is None:
            return NOT_FOUND
        step.before = chat
        at, by = self._now(), message.by
        if isinstance(message, messages.EndChat):
            if chat.is_open:
                refusal = step.apply(commands.End(by, at))
                if refusal is not None or message.rating is None or by.kind != "customer":
                    return refusal
            elif message.rating is None:
                return ENDED
        rating = message.rating
        assert rating is not None
        return step.apply(commands.Rate(by, rating, at, message.feedback))

    async def _stand_on(self, turn: Turn, step: Step, chat_id: UUID | None) -> Refusal | None:
        """Have the step begin at the named chat, over or not; or at the one that is open."""
        chat = await self._find(turn, chat_id)
        if chat is None or (chat_id is None and not chat.is_open):
            return NOT_FOUND
        step.before = chat
        return None

    async def _find(self, turn: Turn, chat_id: UUID | None) -> Chat | None:
        """The latest chat, or an older one of this same customer."""
        if turn.chat is not None and chat_id in (None, turn.chat.chat_id):
            return turn.chat
        if chat_id is None:
            return None
        changed = turn.find_chat(chat_id)
        if changed is not None:
            return changed
        stored = await self._world.chats.chat(chat_id)
        if stored is None or stored.chat.customer.id != self._customer_id:
            return None
        return stored.chat

    async def _wrong_chat(self, turn: Turn, chat_id: UUID | None) -> Refusal | None:
        """Why the named chat is not the latest one; older chats have all ended."""
        if turn.chat is not None and chat_id in (None, turn.chat.chat_id):
            return None
        return NOT_FOUND if await self._find(turn, chat_id) is None else ENDED

    # --- after the commit -------------------------------------------------------------------------

    async def _finish(self, letter: Letter[ConversationMessage], outcome: Step | Refusal) -> None:
        message = letter.message
        if isinstance(outcome, Refusal):
            self._refuse(letter, outcome)
            return
        announcer, chat = self._announcer, outcome.chat
        answer: ChatState | None = None
        match message:
            case messages.LookAgain():
                pass
            case messages.SaveReadMarks():
                await self._save_reads()
            case messages.QueueMoved():
                announcer.tell_position(self._chat, message)
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
        origin = getattr(letter.message, "origin", None)
        if origin is not None and not isinstance(letter.message, messages.Describe):
            chat_id = getattr(letter.message, "chat_id", None)
            frame = refusal_frame(refusal, self._now(), chat_id=chat_id, reply_to=origin.frame_id)
            self._world.publisher.reply(origin, frame)
        letter.reply(refusal)

    def _now(self) -> float:
        return self._world.clock.now().timestamp()
