"""An office to sign in to: real PostgreSQL, a clock turned by hand, and counted password checks."""

from dataclasses import dataclass, field

import pytest
from argon2 import Parameters, Type, extract_parameters

from kefu.agents.accounts import Accounts
from kefu.agents.passwords import Passwords
from kefu.agents.tokens import Tokens
from kefu.errors import Problem
from kefu.secret import Secret
from kefu.storage.database import DatabasePool
from protocol.codes import ErrorCode
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy

SHOP = "the shop's own secret, 32 bytes or more"
OWN = "kefu's own signing key, 32 bytes or more"
GOOD = "correct horse 7"
WRONG = "battery staple 8"
HERE = "203.0.113.7"
TODAY = Parameters(
    type=Type.ID,
    version=19,
    salt_len=16,
    hash_len=32,
    time_cost=2,
    memory_cost=19 * 1024,
    parallelism=1,
)


class CountedPasswords(Passwords):
    """Counts the checks that do the full work: those against a hash of today's parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.checks = 0

    def verify(self, hashed: str, password: str) -> bool:
        self.checks += extract_parameters(hashed) == TODAY
        return super().verify(hashed, password)


def tokens_of(
    clock: HandClock, *, issuer: str | None = None, audience: str | None = None
) -> Tokens:
    return Tokens(Secret(SHOP), Secret(OWN), clock=clock, issuer=issuer, audience=audience)


@dataclass
class Office:
    pool: DatabasePool
    clock: HandClock = field(default_factory=HandClock)
    entropy: SeededEntropy = field(default_factory=SeededEntropy)
    passwords: CountedPasswords = field(default_factory=CountedPasswords)

    def __post_init__(self) -> None:
        self.tokens = tokens_of(self.clock)
        self.accounts = Accounts(self.pool, self.tokens, self.passwords, self.clock, self.entropy)

    async def refusal(
        self, username: str = "lin", password: str = WRONG, address: str = HERE
    ) -> Problem:
        """What a sign-in that must fail is told."""
        with pytest.raises(Problem) as caught:
            await self.accounts.sign_in(username, password, address)
        return caught.value

    async def is_alive(self, access_token: str) -> bool:
        """Whether an access token still counts."""
        try:
            await self.accounts.authenticate(access_token)
        except Problem as problem:
            return problem.code != ErrorCode.UNAUTHORIZED
        return True
