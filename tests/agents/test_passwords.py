"""Which passwords are good enough, and that checking one costs the same whoever asks."""

import threading
from collections.abc import Iterator

import anyio
import bcrypt
import pytest
from argon2 import PasswordHasher, extract_parameters

from kefu.agents.passwords import DECOY, WAITING, Passwords, require_good
from kefu.errors import Problem
from protocol.codes import ErrorCode
from tests.agents.office import GOOD, TODAY, WRONG, CountedPasswords


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short 7", "8 to 128"),
        ("a1" * 65, "8 to 128"),
        ("only letters", "letters and digits"),
        ("1234567890", "letters and digits"),
        ("Password123", "guessed"),
        ("WOAINI1314", "guessed"),
        ("Lin.Mei.2026", "guessed"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason(password: str, words: str) -> None:
    with pytest.raises(Problem, match=words) as caught:
        require_good(password, "lin.mei.2026")
    assert caught.value.code == ErrorCode.INVALID_MESSAGE
    assert words in caught.value.fields["password"]


@pytest.mark.parametrize("password", [GOOD, "密码是很长的一句话7", "a1" * 64, "tr0ub4dor"])
def test_a_good_password_is_taken(password: str) -> None:
    require_good(password, "lin.mei.2026")


async def test_a_password_is_kept_as_argon2id_with_19_mib_and_two_passes() -> None:
    hashed = await Passwords().hash(GOOD)
    assert extract_parameters(hashed) == TODAY
    assert GOOD not in hashed


async def test_the_right_password_matches_and_nothing_else_does() -> None:
    passwords = Passwords()
    hashed = await passwords.hash(GOOD)
    assert await passwords.matches(GOOD, hashed)
    assert not await passwords.matches(WRONG, hashed)
    assert not await passwords.matches(GOOD, "no hash at all")
    assert not await passwords.matches(GOOD, hashed[:-4])


async def test_an_unknown_name_costs_one_check_like_a_known_one() -> None:
    passwords = CountedPasswords()
    hashed = await passwords.hash(GOOD)
    assert not await passwords.matches(WRONG, hashed)
    assert passwords.checks == 1
    assert not await passwords.matches(WRONG, None)
    assert passwords.checks == 2


async def test_the_decoy_s_own_password_opens_nothing() -> None:
    assert not await Passwords().matches("decoy", None)


def test_the_decoy_costs_what_every_password_costs() -> None:
    assert extract_parameters(DECOY) == TODAY
    assert Passwords().verify(DECOY, "decoy"), "it is looked at to its end"


async def test_a_hash_of_other_parameters_is_made_anew() -> None:
    passwords = Passwords()
    old = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(GOOD)
    assert await passwords.matches(GOOD, old)
    new = await passwords.upgraded(GOOD, old)
    assert new is not None
    assert await passwords.matches(GOOD, new)
    assert await passwords.upgraded(GOOD, new) is None


@pytest.mark.parametrize("prefix", [b"2a", b"2b", b"2y"])
async def test_a_hash_of_an_older_system_counts_and_is_made_anew(prefix: bytes) -> None:
    passwords = Passwords()
    made = bcrypt.hashpw(GOOD.encode(), bcrypt.gensalt(4))
    old = made.replace(b"2b", prefix, 1).decode()
    assert await passwords.matches(GOOD, old)
    assert not await passwords.matches(WRONG, old)
    new = await passwords.upgraded(GOOD, old)
    assert new is not None
    assert extract_parameters(new) == TODAY


async def test_bcrypt_reads_72_bytes_as_it_always_did() -> None:
    long = "密" * 40 + "1"  # 121 bytes
    old = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()
    assert await Passwords().matches(long, old)
    assert not await Passwords().matches("密" * 23 + "1", old)


@pytest.mark.parametrize("old", ["$2b$04$short", "$2b$31$" + "a" * 53, "$2b$99$", "$2x$"])
async def test_a_broken_or_endless_bcrypt_hash_matches_nothing(old: str) -> None:
    assert not await Passwords().matches(GOOD, old)


class StuckPasswords(Passwords):
    """Checks that wait until told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.at_once = 0
        self._lock = threading.Lock()

    def verify(self, hashed: str, password: str) -> bool:
        with self._lock:
            self.at_once += 1
        return self.go_on.wait(timeout=30)


@pytest.fixture
def stuck() -> Iterator[StuckPasswords]:
    passwords = StuckPasswords()
    yield passwords
    passwords.go_on.set()


async def test_two_are_checked_at_once_and_a_full_line_turns_people_away(
    stuck: StuckPasswords,
) -> None:
    answers: list[bool] = []

    async def check() -> None:
        answers.append(await stuck.matches(WRONG, "a hash"))

    async with anyio.create_task_group() as group:
        for _ in range(2 + WAITING):
            group.start_soon(check)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(Problem) as caught:
            await stuck.matches(WRONG, "a hash")
        assert caught.value.code == ErrorCode.OVERLOADED
        assert caught.value.retry_after_s is not None
        assert stuck.at_once <= 2
        stuck.go_on.set()
    assert len(answers) == 2 + WAITING
