"""What goes wrong with the stores, each as one sentence a person can act on.

Standard library only: the guard process imports this module.
"""


class EmbeddedError(Exception):
    """The embedded servers cannot run here. The text says why and what to do."""


class StoreUnavailable(Exception):
    """PostgreSQL cannot do this now. Whether a write happened is unknown: ask again with the same
    key. `reason` is "unreachable", "full" (disk, memory, connections), "slow" or "read_only"."""

    def __init__(self, sentence: str, reason: str = "unreachable") -> None:
        super().__init__(sentence)
        self.reason = reason


class MigrationError(Exception):
    """The schema cannot be brought to this program's version; the failing step left nothing."""
