"""What one message to a conversation makes happen, on a scratch copy: a step, or a refusal.

Finds the chat the message is about and turns the message into commands of the rules, with the
world's part (time, ids, texts, who is on duty) put in. Nothing is written and nobody is told here.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from kefu.conversations import commands, messages, texts
from kefu.conversations.asides import command_for
from kefu.conversations.calling import Calling
from kefu.conversations.chat import Chat
from kefu.conversations.commands import Notice, Refusal
from kefu.conversations.keys import KeyWindow, Known, RefusedKeys
from kefu.conversations.messages import ConversationMessage
from kefu.conversations.pace import Pace
from kefu.conversations.parties import Party
from kefu.conversations.ports import World
from kefu.conversations.refusals import BOT_IS_SILENT, ENDED, NOT_FOUND
from kefu.conversations.turn import Step, Turn
from kefu.storage.rows import CustomerRow
from protocol.codes import ErrorCode

DIFFERENT: Final = Refusal(
    ErrorCode.INVALID_MESSAGE, "This client_message_id was used for another message."
)

PASSING: Final = (ErrorCode.OVERLOADED, ErrorCode.INTERNAL, ErrorCode.RATE_LIMITED)
"""Refusals after which the same is sent again."""


class Decider:
    """For one conversation. `keys` are its recent sends, filled when it is read."""

    def __init__(self, customer_id: UUID, world: World) -> None:
        self._customer_id = customer_id
        self._world = world
        self._calling = Calling(world)
        self._pace = Pace(world.turns_per_minute, world.turns_per_minute_vip)
        self._noted: CustomerRow | None = None
        """What this life of the conversation has written of its customer."""
        self.keys = KeyWindow()
        self._refused = RefusedKeys()

    def overtaken(self, batch: Sequence[ConversationMessage]) -> frozenset[int]:
        """The places of new messages behind which the same line sent one that is durable already.

        They were refused before, and that never came to their sender's instance, which asks again.
        Their sender is told now, and sends them again: what they said later is not said before it.
        """
        found: set[int] = set()
        lines: set[str] = set()
        for place in range(len(batch) - 1, -1, -1):
            message = batch[place]
            if not isinstance(message, messages.SendMessage) or message.origin is None:
                continue
            if self._is_known(message):
                lines.add(message.origin.connection_id)
            elif message.origin.connection_id in lines:
                found.add(place)
        return frozenset(found)

    def _is_known(self, message: messages.SendMessage) -> bool:
        key, sender_id = message.client_message_id, message.sender.id
        if key is None or sender_id is None:
            return False
        return self.keys.find(sender_id, key, message.chat_id) is not None

    async def decide(self, turn: Turn, message: ConversationMessage) -> Step | Refusal:
        step = Step(turn.chat)
        refusal = await self._decide(turn, step, message)
        if refusal is not None:
            return refusal
        turn.take(step, guard=getattr(message, "guard", None))
        return step

    async def _decide(self, turn: Turn, step: Step, message: ConversationMessage) -> Refusal | None:
        match message:
            case messages.StartChat():
                return self._start(turn, step, message)
            case messages.SendMessage():
                return await self._speak(turn, step, message)
            case messages.EndChat() | messages.RateChat():
                return await self._end_or_rate(turn, step, message)
            case messages.Describe():
                return await self._stand_on(turn, step, message.chat_id)
            case (
                messages.AddNote()
                | messages.Whisper()
                | messages.AskAssist()
                | messages.WatchChat()
                | messages.UnwatchChat()
            ):
                refusal = await self._stand_on(turn, step, message.chat_id)
                return refusal or step.apply(command_for(message, self._now()))
            case (
                messages.EndSilent()
                | messages.WaitedTooLong()
                | messages.ReturnToQueue()
                | messages.BotAnswered()
            ):
                return self._by_itself(step, message)
            case messages.BotSpoke() | messages.QueueMoved():
                return None
            case messages.LookAgain() | messages.SaveReadMarks():
                return None
            case messages.ShowTyping() | messages.MarkRead():
                return await self._wrong_chat(turn, message.chat_id)
            case messages.CallHuman():
                refusal = await self._wrong_chat(turn, message.chat_id)
                return refusal or self._calling.asked(step, message.by, message.reason)
            case messages.TransferChat(by=by, note=note) | messages.RequeueChat(by=by, note=note):
                refusal = await self._wrong_chat(turn, message.chat_id)
                refusal = refusal or step.apply(self._command(step, message))
                if refusal is None and note:
                    refusal = step.apply(commands.AddNote(by, note, self._now()))
                return refusal
            case _:
                refusal = await self._wrong_chat(turn, message.chat_id)
                return refusal or step.apply(self._command(step, message))

    def _by_itself(
        self,
        step: Step,
        message: messages.EndSilent
        | messages.WaitedTooLong
        | messages.ReturnToQueue
        | messages.BotAnswered,
    ) -> Refusal | None:
        """What nobody asked for: it holds for the chat it names, if that is still the open one."""
        chat, at = step.chat, self._now()
        if chat is None or chat.chat_id != message.chat_id or not chat.is_open:
            return None
        locale = chat.customer.locale
        match message:
            case messages.EndSilent(seq=seq, log_id=log_id):
                return step.apply(commands.EndSilent(seq, log_id, at))
            case messages.WaitedTooLong(waiting_since=since):
                if self._world.bot() is None:
                    return None
                return step.apply(
                    commands.GiveUpWaiting(since, at, self._notice(texts.nobody_came(locale)))
                )
            case messages.ReturnToQueue(agent_id=agent_id, reason=reason):
                notice = self._notice(texts.agent_gone(locale))
                return step.apply(commands.ReturnToQueue(agent_id, at, reason, notice))
            case messages.BotAnswered():
                return self._calling.answered(step, message)

    def _command(
        self,
        step: Step,
        message: messages.ReturnToBot
        | messages.AcceptChat
        | messages.TakeOverChat
        | messages.TransferChat
        | messages.RequeueChat
        | messages.ReleaseChat,
    ) -> commands.Command:
        at = self._now()
        match message:
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
                return commands.Release(by, at, new_id, texts.released(locale), reason)

    # --- opening and speaking ---------------------------------------------------------------------

    def _start(self, turn: Turn, step: Step, message: messages.StartChat) -> Refusal | None:
        if step.chat is None or not step.chat.is_open:
            return self._open(turn, step, message.customer, message)
        self._note_signed(turn, step.chat, message.customer)
        if message.wants_human:
            by = Party("customer", message.customer.id, message.customer.name)
            return self._calling.asked(step, by, None)
        return None

    def _open(
        self,
        turn: Turn,
        step: Step,
        customer: messages.Customer,
        start: messages.StartChat | None = None,
    ) -> Refusal | None:
        """Whoever wants a human after hours begins with the bot, where there is one."""
        noted = turn.note(customer).over(self._noted)
        is_vip = noted.is_vip or (step.chat is not None and step.chat.customer.is_vip)
        is_bot_ready = self._world.bot() is not None
        wants_human = start.wants_human if start else not is_bot_ready
        is_in_vain = wants_human and is_bot_ready and not self._calling.is_on_duty()
        command = commands.Open(
            chat_id=self._world.entropy.uuid(),
            customer=customer.as_vip(is_vip),
            at=self._now(),
            wants_human=wants_human and not is_in_vain,
            is_bot_ready=is_bot_ready,
            topic=start.topic if start else None,
            order_id=start.order_id if start else None,
        )
        refusal = step.apply(command)
        if refusal is None and is_in_vain:
            by = Party("customer", customer.id, customer.name)
            refusal = self._calling.asked(step, by, None)
        return refusal

    async def _speak(self, turn: Turn, step: Step, message: messages.SendMessage) -> Refusal | None:
        step.known = await self._find_sent(turn, message)
        if step.known is not None:
            same = step.known.has_same_content(message.content, message.message_type)
            return None if same else DIFFERENT
        refusal = self._find_refused(message)
        if refusal is not None:
            return refusal
        refusal = await self._find_room(turn, step, message)
        if refusal is not None:
            return refusal
        if step.chat is not None and message.customer is not None:
            self._note_signed(turn, step.chat, message.customer)
        is_bot_ready = self._world.bot() is not None
        asks_bot = _asks_bot(step.chat, message) and is_bot_ready
        if asks_bot and step.chat is not None:
            refusal = self._pace.refusal(
                self._world.clock.monotonic(), step.chat.customer.is_vip, len(turn.asked_at)
            )
            if refusal is not None:
                return refusal
        command = commands.Speak(
            message_id=self._world.entropy.uuid(),
            by=message.sender,
            content=message.content,
            at=self._now(),
            is_bot_ready=is_bot_ready,
            message_type=message.message_type,
            client_message_id=message.client_message_id,
        )
        refusal = step.apply(command)
        if refusal is None and message.sender.kind == "customer":
            refusal = self._calling.spoken(step, message)
        if refusal is None and asks_bot:
            turn.asked_at.append(self._world.clock.monotonic())
        return refusal

    def _note_signed(self, turn: Turn, chat: Chat, customer: messages.Customer) -> None:
        """The chat was opened under their name without a token: from now on it is theirs alone."""
        noted = turn.customer or self._noted
        is_known = chat.customer.is_signed or (noted is not None and noted.is_signed)
        if customer.is_signed and not is_known:
            turn.note(customer)

    async def _find_room(
        self, turn: Turn, step: Step, message: messages.SendMessage
    ) -> Refusal | None:
        """The chat the message goes to; a customer's may open one."""
        if message.chat_id is not None:
            refusal = await self._wrong_chat(turn, message.chat_id)
        elif message.customer is not None and (step.chat is None or not step.chat.is_open):
            return self._open(turn, step, message.customer)
        else:
            refusal = None
        if refusal is None and message.only_to_bot and step.chat is not None:
            is_humans = step.chat.phase in ("pending_manual", "manual_live")
            return BOT_IS_SILENT if is_humans else None
        return refusal

    def note(self, turn: Turn) -> None:
        """The turn is durable: what it asked of the bot counts against the customer's pace."""
        self._pace.note(turn.asked_at)
        if turn.customer is not None:
            self._noted = turn.customer.over(self._noted)

    def note_refused(self, message: messages.SendMessage, refusal: Refusal) -> None:
        """It is told so: the same send, coming once more, is refused as well."""
        key, sender_id = message.client_message_id, message.sender.id
        if key is not None and sender_id is not None and refusal.code not in PASSING:
            self._refused.remember(sender_id, key, refusal, self._world.clock.monotonic())

    def _find_refused(self, message: messages.SendMessage) -> Refusal | None:
        key, sender_id = message.client_message_id, message.sender.id
        if key is None or sender_id is None:
            return None
        return self._refused.find(sender_id, key, self._world.clock.monotonic())

    async def _find_sent(self, turn: Turn, message: messages.SendMessage) -> Known | None:
        """What an earlier sending of this very message became; the store knows the oldest."""
        key, sender_id, chat_id = message.client_message_id, message.sender.id, message.chat_id
        if key is None or sender_id is None:
            return None
        known = turn.find(self.keys, sender_id, key, chat_id)
        if known is not None or not turn.is_wary:
            return known
        chat_id = chat_id or (turn.chat.chat_id if turn.chat else None)
        return await self._world.chats.sent(chat_id, sender_id, key) if chat_id else None

    # --- which chat -------------------------------------------------------------------------------

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

    def _notice(self, content: str) -> Notice:
        return Notice(self._world.entropy.uuid(), content)

    def _now(self) -> float:
        return self._world.clock.now().timestamp()


def _asks_bot(chat: Chat | None, message: messages.SendMessage) -> bool:
    is_with_bot = chat is not None and chat.phase == "bot_active"
    return message.sender.kind == "customer" and is_with_bot
