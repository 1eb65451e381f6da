"""What other features say to the audit log: who did what, in the transaction that does it.

`before` and `after` hold the fields that changed and nothing else. What is secret or was said by
people never stands in them: an entry cannot be taken out again.
"""

from typing import Any, Final, Protocol
from uuid import UUID

from msgspec import Struct

from kefu.storage.database import Connection
from protocol.audit import ByType


class By(Struct, frozen=True):
    """Who acts; `address` is where the request came from."""

    type: ByType
    id: UUID | None
    name: str
    address: str | None = None


SYSTEM: Final = By("system", None, "kefu")
OPERATOR: Final = By("operator", None, "command line")


class Act(Struct, frozen=True):
    """One write. `action` is the subject and a past participle: `agent.created`."""

    by: By
    action: str
    subject_type: str
    subject_id: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


class Trail(Protocol):
    async def append(self, connection: Connection, act: Act) -> None:
        """Add an entry, committed with the caller's transaction or not at all.

        Say it last: from here to the commit no other entry can be added.
        """
        ...
