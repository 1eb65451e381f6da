"""The only place that makes ids, secrets and chance.

Ids are UUIDs of version 7: they begin with the millisecond, so that rows written one after
another lie side by side in an index. Two ids of the same millisecond still rise, because the
twelve bits behind the time count up; a clock set back does not make them fall.
"""

import os
import random
import secrets
from typing import Protocol
from uuid import UUID

from kefu.clock import Clock

_COUNTER_BITS = 12
_RANDOM_BITS = 62


class Entropy(Protocol):
    """Everything that must not be guessed or repeated."""

    @property
    def random(self) -> random.Random:
        """Chance for spreading work out in time; never for secrets."""
        ...

    def uuid(self) -> UUID:
        """A new id, larger than every one this process made before."""
        ...

    def token(self, n_bytes: int) -> str:
        """`n_bytes` of secret randomness, written so that it fits in a URL."""
        ...


def uuid7(milliseconds: int, counter: int, tail: int) -> UUID:
    """The version 7 UUID (RFC 9562) made of a time, a counter below 4096 and 62 random bits."""
    head = (milliseconds << 16) | (0x7 << 12) | counter
    return UUID(int=(head << 64) | (0b10 << _RANDOM_BITS) | tail)


class SystemEntropy:
    """The operating system's randomness."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._random = random.Random()
        self._last = 0
        self._bytes = bytearray()

    @property
    def random(self) -> random.Random:
        return self._random

    def uuid(self) -> UUID:
        milliseconds = int(self._clock.now().timestamp() * 1000)
        self._last = max(self._last + 1, milliseconds << _COUNTER_BITS)
        milliseconds, counter = divmod(self._last, 1 << _COUNTER_BITS)
        return uuid7(milliseconds, counter, self._tail())

    def _tail(self) -> int:
        """62 random bits, asked of the system 512 ids at a time: a system call for each is dear."""
        if not self._bytes:
            self._bytes = bytearray(os.urandom(512 * 8))
        tail = int.from_bytes(self._bytes[-8:], "big") >> (64 - _RANDOM_BITS)
        del self._bytes[-8:]
        return tail

    def token(self, n_bytes: int) -> str:
        return secrets.token_urlsafe(n_bytes)
