"""Into how many parts the shop's products are divided, and which part one belongs to.

Every instance counts all views; a shard has one owner only for what must happen once: writing views
down, publishing what goes with a product, trimming the log. The number can never change: it is part
of the names in Redis.
"""

from typing import Final
from uuid import UUID
from zlib import crc32

SHARDS: Final = 16
KEYS: Final = tuple(str(shard) for shard in range(SHARDS))
"""The keys of their actors."""


def shard_of(product: int) -> int:
    return crc32(product.to_bytes(4, "little")) % SHARDS


def shard_of_viewer(viewer: UUID) -> int:
    """Where it is written down that a guest has signed in."""
    return crc32(viewer.bytes) % SHARDS
