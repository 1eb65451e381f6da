"""Passwords: which are good enough, how they are kept, and how they are checked.

argon2id with 19 MiB and two passes takes about 30 ms of one core, so it runs in threads, two at a
time, with a bounded line before them. A name nobody has costs exactly as much as a wrong password:
it is checked against a decoy. Hashes of older systems (bcrypt) are checked, and made anew at the
first sign-in; until then such a name can be told from others by its time.
"""

import re
from typing import Final

import anyio.to_thread
import bcrypt
from anyio import CapacityLimiter
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from kefu.errors import Problem
from protocol.codes import ErrorCode

MIN_CHARS: Final = 8
MAX_CHARS: Final = 128
AT_ONCE: Final = 2
WAITING: Final = 64  # about a second of work

# bcrypt reads 72 bytes of a password; its cost doubles with each step, 14 is about a second.
_BCRYPT: Final = re.compile(r"\$2[abxy]?\$(\d\d)\$")
BCRYPT_BYTES: Final = 72
MAX_BCRYPT_COST: Final = 14

# Of the word "decoy", at the same cost as every other. To make it would cost each start 60 ms.
DECOY: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$KHI1SCOMazDCPd03e+asyA"
    "$2lBhiJe8oM6v/tfEqBgvW1ngThoqrE8TGX3xEcVSfAg"
)

# The ones people really use that pass "letters and digits"; compared in lower case.
_COMMON: Final = frozenset(
    """
    1234567a 12345678a 123456789a 123456abc 123abc456 1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qazxsw2
    a1234567 a12345678 a123456789 aa123456 aa12345678 abc12345 abc123456 abcd1234 abcd12345
    admin123 admin1234 admin12345 asd123456 asdf1234 changeme1 hello123 iloveyou1 kefu1234
    kefu12345 letmein1 p@ssw0rd p@ssword1 passw0rd password1 password12 password123 q1w2e3r4
    qq123456 qwer1234 qwerty12 qwerty123 qwerty1234 root1234 test1234 user1234 wang1234
    welcome1 welcome123 woaini123 woaini1314 woaini520 zxc123456 zxcv1234
    """.split()
)


def require_good(password: str, username: str, *, field: str = "password") -> None:
    """Raises `Problem(INVALID_MESSAGE)` saying what is wrong with the new password in `field`."""
    wrong = _objection(password, username)
    if wrong is not None:
        raise Problem(ErrorCode.INVALID_MESSAGE, wrong, fields={field: wrong})


def _objection(password: str, username: str) -> str | None:
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        return f"A password has {MIN_CHARS} to {MAX_CHARS} characters."
    if not any(c.isalpha() for c in password) or not any(c.isdigit() for c in password):
        return "A password has both letters and digits."
    if password.lower() in _COMMON or password.lower() == username.lower():
        return "This password is among the first that are guessed; choose another."
    return None


class Passwords:
    """Hashes and checks passwords without holding up the event loop."""

    def __init__(self) -> None:
        self._argon2 = PasswordHasher(
            time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID
        )
        self._limiter = CapacityLimiter(AT_ONCE)

    async def hash(self, password: str) -> str:
        """Raises `Problem(OVERLOADED)` when too many are waiting."""
        self._require_room()
        return await anyio.to_thread.run_sync(self._argon2.hash, password, limiter=self._limiter)

    async def matches(self, password: str, hashed: str | None) -> bool:
        """Whether `password` belongs to `hashed`; the same work, and False, when that is None.

        Raises `Problem(OVERLOADED)` when too many are waiting.
        """
        self._require_room()
        right = await anyio.to_thread.run_sync(
            self.verify, hashed or DECOY, password, limiter=self._limiter
        )
        return right and hashed is not None

    def verify(self, hashed: str, password: str) -> bool:
        """The 30 ms of work; blocks its thread."""
        if _BCRYPT.match(hashed):
            return _verify_bcrypt(hashed, password)
        try:
            return self._argon2.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    async def upgraded(self, password: str, hashed: str) -> str | None:
        """The hash to keep instead when `hashed` was made in another way than today's.

        Raises `Problem(OVERLOADED)` when too many are waiting.
        """
        is_old = _BCRYPT.match(hashed) or self._argon2.check_needs_rehash(hashed)
        return await self.hash(password) if is_old else None

    def _require_room(self) -> None:
        if self._limiter.statistics().tasks_waiting >= WAITING:
            raise Problem(ErrorCode.OVERLOADED, retry_after_s=1.0)


def _verify_bcrypt(hashed: str, password: str) -> bool:
    cost = _BCRYPT.match(hashed)
    if cost is None or int(cost[1]) > MAX_BCRYPT_COST:
        return False
    try:
        return bcrypt.checkpw(password.encode()[:BCRYPT_BYTES], hashed.encode())
    except ValueError:  # no bcrypt hash after all
        return False
