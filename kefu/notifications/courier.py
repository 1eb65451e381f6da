"""Sends mails to the team: what chats make due, what was asked for by hand, and alerts.

What is due is read from the chats themselves, so that nobody has to remember to ask and a crash
loses nothing. Several instances look at once: a mail is claimed before it is sent, and whoever dies
in between leaves it to be sent again under the same Message-ID. Without a mail server nothing is
queued and nothing fails; what happened in the last days is sent once there is one.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import anyio

from kefu.clock import Clock
from kefu.entropy import Entropy
from kefu.errors import Problem
from kefu.notifications import store
from kefu.notifications.letters import alert_letter, chat_letter
from kefu.notifications.messages import MailRecord
from kefu.notifications.options import MailOptions
from kefu.notifications.smtp import Carrier, Letter
from kefu.notifications.state import MAX_ATTEMPTS, Alert, Outcome, after
from kefu.storage.database import DatabasePool, connected, transaction
from kefu.storage.errors import StoreUnavailable
from protocol.codes import ErrorCode

LOOK_EVERY_S: Final = 3.0
UNREACHABLE_PAUSE_S: Final = 30.0
MAILS_A_ROUND: Final = 50
PATIENCE: Final = timedelta(minutes=5)  # how long an escalation waits for an address
CLAIM: Final = timedelta(minutes=5)  # far longer than the longest attempt, and clocks may differ
RECENT: Final = timedelta(minutes=10)  # what every look goes through; a commit may come late
SWEPT: Final = timedelta(days=3)  # what is gone through at the start and every SWEEP_EVERY_S
SWEEP_EVERY_S: Final = 300.0
KEPT: Final = timedelta(days=90)
REQUEST_EVERY: Final = timedelta(minutes=1)
RECORDS: Final = 20
log = logging.getLogger("kefu.notifications")


class Courier:
    """Implements messages.Mails. Start `run()` in a task of its own.

    `zone` is the time zone that times in mails are written in.
    """

    def __init__(
        self,
        pool: DatabasePool,
        clock: Clock,
        entropy: Entropy,
        carrier: Carrier,
        options: MailOptions,
        zone: Callable[[], ZoneInfo],
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._entropy = entropy
        self._carrier = carrier
        self._options = options
        self._zone = zone
        self._now = anyio.Event()
        self._swept_at: float | None = None
        self.sent_count = 0
        self.failed_count = 0

    @property
    def reason(self) -> str | None:
        """Why no mail is sent; None when mail is set up."""
        missing = self._options.missing
        return None if missing is None else f"No mail is sent: {missing} is not set."

    def look_now(self) -> None:
        """See `Mails.look_now`."""
        self._now.set()

    async def request(self, chat_id: UUID) -> UUID:
        """See `Mails.request`."""
        if self.reason is not None:
            raise Problem(ErrorCode.INVALID_STATUS, self.reason)
        now, mail_id = self._clock.now(), self._entropy.uuid()
        async with transaction(self._pool) as connection:
            if not await store.lock_chat(connection, chat_id):
                raise Problem(ErrorCode.CHAT_NOT_FOUND)
            last = await store.last_request(connection, chat_id)
            if last is not None and now < last + REQUEST_EVERY:
                wait_s = (last + REQUEST_EVERY - now).total_seconds()
                raise Problem(ErrorCode.RATE_LIMITED, retry_after_s=wait_s)
            message_id = f"{mail_id}@{self._domain}"
            await store.insert_requested(connection, mail_id, chat_id, message_id, now)
        self.look_now()
        return mail_id

    async def post_alert(self, alert: Alert) -> None:
        """Send an alert, if mail is set up. Raises StoreUnavailable."""
        if self.reason is not None:
            return
        mail_id = self._entropy.uuid()
        message_id = f"{mail_id}@{self._domain}"
        async with connected(self._pool) as connection:
            await store.insert_alert(connection, mail_id, alert, message_id, self._clock.now())
        self.look_now()

    async def of_chat(self, chat_id: UUID) -> tuple[MailRecord, ...]:
        """See `Mails.of_chat`."""
        async with connected(self._pool) as connection:
            return await store.mails_of_chat(connection, chat_id, RECORDS)

    async def run(self) -> None:
        """Look again and again, for ever; not at all without a mail server."""
        if self.reason is not None:
            log.debug("mail_off", extra={"reason": self.reason})
            return
        while True:
            is_reachable = True
            self._now = anyio.Event()
            try:
                is_reachable = await self.look()
            except StoreUnavailable:
                log.warning("mails_unread")
            except Exception:
                log.exception("courier_failed")
            if is_reachable:
                with anyio.move_on_after(LOOK_EVERY_S):
                    await self._now.wait()
            else:
                await anyio.sleep(UNREACHABLE_PAUSE_S)

    async def look(self) -> bool:
        """One round: find what is due and send it. False when the mail server cannot be reached.

        Raises StoreUnavailable.
        """
        await self._derive()
        for _ in range(MAILS_A_ROUND):
            mail = await self._claim()
            if mail is None:
                break
            outcome = await self._deliver(mail)
            await self._record(mail, outcome)
            if not outcome.is_reachable:
                return False
        return True

    async def _derive(self) -> None:
        now, at = self._clock.now(), self._clock.monotonic()
        is_sweep = self._swept_at is None or at >= self._swept_at + SWEEP_EVERY_S
        since = now - (SWEPT if is_sweep else RECENT)
        async with transaction(self._pool) as connection:
            is_all = await store.derive(
                connection, now, since=since, patience=PATIENCE, domain=self._domain
            )
            if is_sweep:
                await store.settle(connection, now, MAX_ATTEMPTS)
                await store.prune(connection, now - KEPT)
        if is_sweep and is_all:
            self._swept_at = at

    async def _claim(self) -> store.Mail | None:
        now = self._clock.now()
        async with connected(self._pool) as connection:
            return await store.claim(connection, now, now + CLAIM, MAX_ATTEMPTS)

    async def _deliver(self, mail: store.Mail) -> Outcome:
        recipients = tuple(
            each for each in self._options.email_recipients if each not in mail.delivered
        )
        try:
            letter = await self._letter(mail, recipients)
            if letter is None:
                return Outcome(refused=recipients, failure="chat_gone")
            return await self._carrier.carry(letter)
        except StoreUnavailable:
            raise
        except Exception:
            log.exception("mail_unwritten", extra={"mail_id": str(mail.id), "kind": mail.kind})
            return Outcome(later=recipients, failure="error")

    async def _letter(self, mail: store.Mail, recipients: tuple[str, ...]) -> Letter | None:
        """None when the chat is gone."""
        if mail.chat_id is None:
            return alert_letter(mail, self._options, recipients)
        async with connected(self._pool) as connection:
            facts = await store.chat_facts(
                connection, mail.chat_id, mail.address_log_id, mail.until_seq
            )
            if facts is None:
                return None
            occasion, earlier = None, None
            if mail.log_id is not None:
                occasion = await store.occasion(connection, mail.chat_id, mail.log_id)
            if mail.log_id is not None and mail.kind == "address":
                earlier = await store.earlier_message_id(connection, mail.chat_id, mail.log_id)
            lines = await store.transcript(connection, mail.chat_id, mail.until_seq)
        return chat_letter(
            mail,
            self._options,
            recipients,
            facts=facts,
            occasion=occasion,
            lines=lines,
            zone=self._zone(),
            earlier=earlier,
        )

    async def _record(self, mail: store.Mail, outcome: Outcome) -> None:
        now = self._clock.now()
        then = after(
            mail.kind, mail.state, mail.attempts, outcome, was_delivered=bool(mail.delivered)
        )
        due_at = None
        if then.pause_s is not None:
            spread = self._entropy.random.uniform(0.9, 1.1)
            due_at = now + timedelta(seconds=then.pause_s * spread)
        async with connected(self._pool) as connection:
            await store.record(
                connection,
                mail,
                then.state,
                due_at=due_at,
                delivered=(*mail.delivered, *outcome.accepted),
                failure=outcome.failure,
                sent_at=now if then.state == "sent" else None,
            )
        if due_at is None:
            self.sent_count += then.state == "sent"
            self.failed_count += then.state != "sent"
        told = {
            "mail_id": str(mail.id),
            "kind": mail.kind,
            "state": then.state,
            "attempts": mail.attempts,
            "failure": outcome.failure,
        }
        log.log(
            logging.INFO if outcome.failure is None else logging.WARNING, "mail_tried", extra=told
        )

    @property
    def _domain(self) -> str:
        return (self._options.sender or "kefu").rpartition("@")[2]
