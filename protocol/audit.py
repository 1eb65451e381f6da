"""The audit log as an administrator reads it, over HTTP."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

ByType = Literal["agent", "operator", "system"]


class AuditEntry(Struct, frozen=True):
    """One write. `before` and `after` hold only the fields it changed."""

    id: int
    at: datetime
    by_type: ByType
    by_id: UUID | None
    by_name: str
    action: str
    subject_type: str
    subject_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    address: str | None


class AuditPage(Struct, frozen=True):
    """Newest first. `next_cursor` leads to older entries; None at the end."""

    entries: tuple[AuditEntry, ...]
    next_cursor: str | None
