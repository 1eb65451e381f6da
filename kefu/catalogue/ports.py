"""What the catalogue needs of the world around it."""

from msgspec import Struct

from kefu.audit.messages import Trail
from kefu.clock import Clock
from kefu.entropy import Entropy
from kefu.storage.database import DatabasePool


class World(Struct, frozen=True):
    """`currency` is that of products which name none."""

    pool: DatabasePool
    clock: Clock
    entropy: Entropy
    trail: Trail
    currency: str = "CNY"
