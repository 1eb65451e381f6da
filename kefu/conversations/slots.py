"""Which slot a conversation belongs to: the unit that is owned, moved and fenced."""

from typing import Final
from uuid import UUID
from zlib import crc32

SLOT_COUNT: Final = 1024


def slot_of(customer_id: UUID) -> int:
    """The same on every instance and in every version: the number is stored with each chat."""
    return crc32(customer_id.bytes) % SLOT_COUNT
