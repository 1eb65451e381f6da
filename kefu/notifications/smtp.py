"""Hands one mail to the SMTP server and says for each address what came of it. Never raises for it.

What fails once the text is on its way is in doubt: the server may have taken the mail and only its
answer got lost. Nothing of what servers say is kept but their codes: their words quote addresses.
"""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

import aiosmtplib
from msgspec import Struct

from kefu.notifications.options import TLS_PORT, MailOptions
from kefu.notifications.state import Outcome

STEP_WITHIN_S: Final = 20.0
SEND_WITHIN_S: Final = 90.0
QUIT_WITHIN_S: Final = 1.0


class Letter(Struct, frozen=True):
    """A mail as it travels, and to whom."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes


class Carrier(Protocol):
    async def carry(self, letter: Letter) -> Outcome: ...


class Smtp:
    """`tls` is what certificates are checked against; None: what the system trusts."""

    def __init__(
        self,
        options: MailOptions,
        *,
        tls: ssl.SSLContext | None = None,
        tls_port: int = TLS_PORT,
        step_within_s: float = STEP_WITHIN_S,
    ) -> None:
        self._options = options
        self._tls = tls
        self._tls_port = tls_port
        self._step_within_s = step_within_s

    async def carry(self, letter: Letter) -> Outcome:
        """One connection, one mail, at most SEND_WITHIN_S."""
        client = self._client(letter)
        stage = _Stage(letter.recipients)
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                await client.connect()
                stage.is_reachable = True
                outcome = await _hand_over(client, letter, stage)
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=QUIT_WITHIN_S)  # a courtesy: it is all said
            return outcome
        except (aiosmtplib.SMTPException, OSError) as error:  # OSError: TimeoutError and TLS's own
            return stage.broken_by(error)
        finally:
            client.close()

    def _client(self, letter: Letter) -> aiosmtplib.SMTP:
        options = self._options
        is_tls_first = options.smtp_use_tls and options.smtp_port == self._tls_port
        password = options.smtp_password
        signs_in = password is not None and options.smtp_username is not None
        return aiosmtplib.SMTP(
            hostname=options.smtp_host,
            port=options.smtp_port,
            username=options.smtp_username if signs_in else None,
            password=None if password is None else password.reveal(),
            local_hostname=letter.sender.rpartition("@")[2],
            timeout=self._step_within_s,
            use_tls=is_tls_first,
            start_tls=options.smtp_use_tls and not is_tls_first,
            tls_context=self._tls,
        )


class _Stage:
    """How far the talk with the server has come."""

    def __init__(self, recipients: Sequence[str]) -> None:
        self.open = tuple(recipients)
        self.later: tuple[str, ...] = ()
        self.refused: tuple[str, ...] = ()
        self.failure: str | None = None
        self.is_reachable = False
        self.is_text_sent = False

    def broken_by(self, error: Exception) -> Outcome:
        """The outcome of a talk that ended early."""
        code = error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None
        self.failure = type(error).__name__ if code is None else f"{type(error).__name__} {code}"
        is_answer = code is not None and 400 <= code < 600
        if self.is_text_sent and not is_answer:
            return self._outcome(unknown=self.open)
        if code is not None and code >= 500 and isinstance(error, aiosmtplib.SMTPDataError):
            return self._outcome(refused=self.open)
        # All else (a wrong password, a sender they do not take) an operator may put right.
        return self._outcome(later=self.open)

    def accepted(self) -> Outcome:
        return self._outcome(accepted=self.open)

    def _outcome(
        self,
        *,
        accepted: tuple[str, ...] = (),
        later: tuple[str, ...] = (),
        unknown: tuple[str, ...] = (),
        refused: tuple[str, ...] = (),
    ) -> Outcome:
        return Outcome(
            accepted=accepted,
            later=self.later + later,
            unknown=unknown,
            refused=self.refused + refused,
            failure=self.failure,
            is_reachable=self.is_reachable,
        )


async def _hand_over(client: aiosmtplib.SMTP, letter: Letter, stage: _Stage) -> Outcome:
    await client.mail(letter.sender)
    taken: list[str] = []
    for recipient in letter.recipients:
        try:
            await client.rcpt(recipient)
            taken.append(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            stage.failure = f"SMTPRecipientRefused {error.code}"
            if error.code >= 500:
                stage.refused += (recipient,)
            else:
                stage.later += (recipient,)
    stage.open = tuple(taken)
    if taken:
        stage.is_text_sent = True
        await client.data(letter.raw)
    return stage.accepted()
