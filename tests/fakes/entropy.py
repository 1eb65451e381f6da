"""Ids, secrets and chance that a seed decides: the same test makes the same ids again."""

import random
from base64 import urlsafe_b64encode
from uuid import UUID

from kefu.entropy import uuid7


class SeededEntropy:
    """Looks like the real one from outside: ids rise, tokens do not repeat."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._made = 0

    @property
    def random(self) -> random.Random:
        return self._random

    def uuid(self) -> UUID:
        self._made += 1
        return uuid7(1_795_000_000_000 + self._made, 0, self._random.getrandbits(62))

    def token(self, n_bytes: int) -> str:
        return urlsafe_b64encode(self._random.randbytes(n_bytes)).rstrip(b"=").decode()
