"""How often a password may be guessed, by username and by the household it is tried from.

An attempt is counted before the password is checked and taken back when it was right: guesses sent
all at once find the count already raised.
"""

import ipaddress
import math
from datetime import timedelta
from typing import Final

from kefu.agents import store
from kefu.clock import Clock
from kefu.errors import Problem
from kefu.storage.database import Connection
from protocol.codes import ErrorCode

LOCK: Final = timedelta(minutes=15)
# Failures within LOCK of the first; the limit-th one locks for as long again.
LIMITS: Final[dict[store.AttemptKind, int]] = {"username": 5, "address": 20}


class Attempts:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def count(self, connection: Connection, kind: store.AttemptKind, key: str) -> None:
        """Raises `Problem(RATE_LIMITED)` while the key is locked."""
        now = self._clock.now()
        await store.sweep_attempts(connection, now - 2 * LOCK)
        if await store.count_attempt(
            connection,
            kind,
            key,
            now=now,
            since=now - LOCK,
            limit=LIMITS[kind],
            lock_until=now + LOCK,
        ):
            return
        until = await store.locked_until(connection, kind, key)
        left_s = max(1, math.ceil((until - now).total_seconds())) if until is not None else 1
        raise Problem(
            ErrorCode.RATE_LIMITED,
            f"Too many wrong passwords; please try again in about {math.ceil(left_s / 60)} min.",
            retry_after_s=left_s,
        )


def household(address: str) -> str:
    """One household's addresses as one: an IPv6 subscriber has a whole /64 to try from."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed.packed[:8] + bytes(8), 64)))
