"""Which slot an address belongs to, and which instance should own a slot. Pure.

The hash only says who *should* own a slot; the directory says who does, and the epoch in PostgreSQL
whose writes count. Rendezvous hashing moves no slot but those of an instance that came or went.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from math import log
from typing import Final
from uuid import UUID
from zlib import crc32

SLOT_COUNT: Final = 1024


def slot_of(key: str) -> int:
    """The slot of an actor's key. The same on every instance and in every version: the number is
    stored with each chat."""
    return crc32(_bytes_of(key)) % SLOT_COUNT


def _bytes_of(key: str) -> bytes:
    try:
        return UUID(key).bytes
    except ValueError:
        return key.encode()


def owner_of(slot: int, weights: Mapping[str, float]) -> str | None:
    """Who of the instances should own the slot; None when there is no instance.

    `weights` is each instance's share: an instance of weight 2 gets twice the slots. Weighted
    rendezvous hashing (Schindelhauer and Schomaker, 2005).
    """
    return _owners(weights)[slot]


def _owners(weights: Mapping[str, float]) -> tuple[str | None, ...]:
    return _owners_by(tuple(sorted(weights.items())))


@lru_cache(maxsize=16)  # looked at with every other beat, and nearly always the same
def _owners_by(weights: tuple[tuple[str, float], ...]) -> tuple[str | None, ...]:
    if not weights:
        return (None,) * SLOT_COUNT
    candidates = [(_worths(name), weight, name) for name, weight in weights]
    return tuple(
        max((worths[slot] * weight, name) for worths, weight, name in candidates)[1]
        for slot in range(SLOT_COUNT)
    )


@lru_cache(maxsize=64)  # an instance is judged beside many others, as they come and go
def _worths(name: str) -> tuple[float, ...]:
    """What each slot would be worth to it."""
    return tuple(_worth(slot, name) for slot in range(SLOT_COUNT))


def _worth(slot: int, name: str) -> float:
    digest = blake2b(f"{slot}:{name}".encode(), digest_size=8).digest()
    chance = (int.from_bytes(digest) + 1) / (2**64 + 1)
    return -1.0 / log(chance)


def wanted_by(me: str, slots: Iterable[int], weights: Mapping[str, float]) -> list[int]:
    """The slots among `slots` that should be mine."""
    owners = _owners(weights)
    return [slot for slot in slots if owners[slot] == me]


def to_hand_over(
    mine: Collection[int], me: str, weights: Mapping[str, float], *, share: float
) -> dict[int, str]:
    """Slot to new owner: what I own and another should, at most `share` of mine in one round.

    Whoever drains has no weight, so that in the end all of its slots go.
    """
    limit = max(1, int(len(mine) * share))
    owners, moves = _owners(weights), dict[int, str]()
    for slot in sorted(mine):
        owner = owners[slot]
        if owner is not None and owner != me:
            moves[slot] = owner
            if len(moves) == limit:
                break
    return moves
