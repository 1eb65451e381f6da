"""Calling a human, for whatever reason: by the customer's wish, by the rules, after failures.

One place decides what a call becomes: a place in the queue while humans are on duty, else the bot
stays and the customer is told when they are back. A fault in the shop's rules is logged and
ignored: the chat goes on without them.
"""

import logging
import re
from typing import Final

from kefu.bot.messages import PRODUCTS_MOST, Answer
from kefu.conversations import commands, messages, texts
from kefu.conversations.bot_phase import may_leave_email
from kefu.conversations.chat import Chat
from kefu.conversations.commands import Notice, ProductCard, Refusal
from kefu.conversations.escalation import Escalation
from kefu.conversations.parties import SYSTEM, Party
from kefu.conversations.ports import World
from kefu.conversations.turn import Step
from kefu.shifts.messages import Duty

MANUAL: Final = Escalation("manual", "high")
EMAIL: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{2,63}){1,4}")
log = logging.getLogger("kefu.conversations")


class Calling:
    def __init__(self, world: World) -> None:
        self._world = world

    def is_on_duty(self) -> bool:
        return self._duty(None).is_open

    def asked(self, step: Step, by: Party, reason: str | None) -> Refusal | None:
        """Somebody pressed the button; their own words are kept as the details."""
        details = (reason,) if reason else ()
        escalation = Escalation(MANUAL.reason, MANUAL.severity, details)
        return self._call(step, by, escalation, is_silent=True)

    def spoken(self, step: Step, message: messages.SendMessage) -> Refusal | None:
        """The customer has just said something: does it call for a human, or leave an address?"""
        chat = step.chat
        assert chat is not None
        left = EMAIL.search(message.content) if message.message_type == "text" else None
        if left is not None and may_leave_email(chat):
            return self._note_email(step, chat, left.group())
        if chat.phase != "bot_active":
            return None
        text = message.content if message.message_type == "text" else ""
        escalation = self._recommended(chat, text)
        return self._call(step, SYSTEM, escalation) if escalation else None

    def answered(self, step: Step, message: messages.BotAnswered) -> Refusal | None:
        """The bot's answer, and the human it may call for."""
        answer, was = message.answer, step.chat
        command = commands.AnswerCustomer(
            by=self._world.bot_party,
            message_id=message.turn_id,
            answers_seq=message.answers_seq,
            content=answer.text,
            outcome=answer.outcome,
            is_failure=self._is_failure(message),
            at=self._now(),
            is_apology=answer.outcome == "failed",
            sources=answer.sources,
            cards=self._cards(answer),
        )
        refusal = step.apply(command)
        chat = step.chat
        if refusal is not None or chat is None or chat is was:
            return refusal
        escalation = self._world.rules.after_answer(chat)
        return self._call(step, SYSTEM, escalation) if escalation else None

    def _call(
        self, step: Step, by: Party, escalation: Escalation, *, is_silent: bool = False
    ) -> Refusal | None:
        """`is_silent`: who asked themselves sees it by the chat's status."""
        chat = step.chat
        locale = chat.customer.locale if chat else None
        duty = self._duty(chat)
        if duty.is_open or self._world.bot() is None:
            notice = None if is_silent else self._notice(texts.called(locale))
            return step.apply(
                commands.CallHuman(
                    by,
                    self._now(),
                    escalation.reason,
                    escalation.severity,
                    escalation.details,
                    notice,
                )
            )
        start = duty.next_start
        return step.apply(
            commands.AskAfterHours(
                by,
                self._now(),
                escalation.reason,
                escalation.severity,
                self._notice(texts.after_hours(locale, start)),
                escalation.details,
                start.isoformat() if start else None,
            )
        )

    def _note_email(self, step: Step, chat: Chat, email: str) -> Refusal | None:
        by = Party("customer", chat.customer.id, chat.customer.name)
        notice = self._notice(texts.email_noted(chat.customer.locale, email))
        return step.apply(commands.LeaveEmail(by, email, self._now(), notice))

    def _recommended(self, chat: Chat, text: str) -> Escalation | None:
        try:
            return self._world.rules.before_answer(chat, text)
        except Exception:
            log.exception("escalation_rules_failed")
            return None

    def _is_failure(self, message: messages.BotAnswered) -> bool:
        try:
            return self._world.rules.is_failure(message.answer)
        except Exception:
            log.exception("escalation_rules_failed")
            return message.answer.outcome != "answered"

    def _duty(self, chat: Chat | None) -> Duty:
        return self._world.duty(self._world.clock.now(), chat.team_id if chat else None)

    def _cards(self, answer: Answer) -> tuple[ProductCard, ...]:
        shown = answer.products[:PRODUCTS_MOST]
        return tuple(ProductCard(self._world.entropy.uuid(), product) for product in shown)

    def _notice(self, content: str) -> Notice:
        return Notice(self._world.entropy.uuid(), content)

    def _now(self) -> float:
        return self._world.clock.now().timestamp()
