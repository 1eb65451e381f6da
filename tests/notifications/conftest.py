"""`office` is a real mail server, `mailroom` makes couriers that use it, on a clock by hand."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from kefu.notifications.courier import Courier
from kefu.notifications.options import MailOptions
from kefu.notifications.smtp import Carrier, Smtp
from kefu.storage.database import DatabasePool, connected
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy
from tests.notifications.chats import StoredChat
from tests.notifications.post_office import HOST, PostOffice, post_office

LIN, MEI = "lin@shop.example", "mei@shop.example"
SHANGHAI = ZoneInfo("Asia/Shanghai")


class Mailroom:
    """Everything a courier needs; several couriers of one mailroom are several instances."""

    def __init__(self, pool: DatabasePool, office: PostOffice) -> None:
        self.pool = pool
        self.office = office
        self.clock = HandClock()
        self.options = MailOptions(
            smtp_host=HOST,
            smtp_port=office.port,
            smtp_use_tls=False,
            email_from="kefu@shop.example",
            email_from_name="小店",
            email_recipients=(LIN,),
        )

    def courier(self, carrier: Carrier | None = None, **fields: Any) -> Courier:
        options = structs.replace(self.options, **fields)
        smtp = carrier or Smtp(options, step_within_s=5.0)
        entropy = SeededEntropy()
        return Courier(self.pool, self.clock, entropy, smtp, options, lambda: SHANGHAI)

    async def chat(self, **fields: Any) -> StoredChat:
        return await StoredChat(self.pool, self.clock.now()).open(**fields)

    async def escalated(self, **fields: Any) -> StoredChat:
        """A chat in which a human was just asked for after hours."""
        chat = await self.chat(**fields)
        await chat.say("我要转人工")
        await chat.ask_after_hours(self.clock.now())
        return chat

    async def pass_time(self, courier: Courier, **time: float) -> None:
        """The courier looks before and after."""
        await courier.look()
        self.clock.advance(timedelta(**time).total_seconds())
        await courier.look()

    async def states(self) -> list[tuple[str, str, int]]:
        """Kind, state and attempts of all mails, the oldest first."""
        async with connected(self.pool) as connection:
            rows = await connection.fetch(
                "SELECT kind, state, attempts FROM mails ORDER BY created_at, log_id, id"
            )
        return [(row["kind"], row["state"], row["attempts"]) for row in rows]


@pytest.fixture
async def office() -> AsyncIterator[PostOffice]:
    async with post_office() as opened:
        yield opened


@pytest.fixture
def mailroom(pool: DatabasePool, office: PostOffice) -> Mailroom:
    return Mailroom(pool, office)
