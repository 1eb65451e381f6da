"""Bringing the schema up to date: numbered SQL files, forward only, each in its own transaction.

Any number of programs may upgrade at once: each step is taken under one advisory lock, and whoever
waited finds it done. A file that was applied must never change; write the next number instead.
"""

import hashlib
import re
from collections.abc import Callable
from datetime import datetime
from importlib import resources
from importlib.resources.abc import Traversable
from typing import NamedTuple

import asyncpg

from kefu.storage.database import Connection, in_transaction
from kefu.storage.errors import MigrationError

_LOCK_KEY = 0x6B656675  # "kefu"
_WAIT_LIMIT_S = 600
_STEP_LIMIT_S = 3600.0
_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")

_CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""
_TABLE_EXISTS = "SELECT to_regclass('schema_migrations') IS NOT NULL"
_APPLIED = "SELECT version, name, checksum, applied_at FROM schema_migrations ORDER BY version"
_RECORD = "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)"
_LIMITS = f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{_WAIT_LIMIT_S}s'"
_LOCK = "SELECT pg_advisory_xact_lock($1)"

Progress = Callable[[str], None]


class MigrationStatus(NamedTuple):
    """One known migration; `applied_at` is None while it is pending."""

    version: int
    name: str
    applied_at: datetime | None


class _Migration(NamedTuple):
    version: int
    name: str
    sql: str
    checksum: str


async def upgrade(
    connection: Connection, *, on_progress: Progress, directory: Traversable | None = None
) -> list[str]:
    """Apply what is pending and return the names of what this call applied.

    `directory` is where the files are; None for kefu's own.

    :raises MigrationError: a file was changed or is missing, the database is newer than this
        program, or a step failed (it left nothing; the steps before it stay).
    """
    migrations = _read(directory)
    done: list[str] = []
    while True:
        name = await _step(connection, migrations, on_progress)
        if name is None:
            return done
        done.append(name)


async def status(
    connection: Connection, *, directory: Traversable | None = None
) -> list[MigrationStatus]:
    """Every migration of this program in order, applied or pending. Changes nothing.

    :raises MigrationError: the database and the files contradict each other.
    """
    migrations = _read(directory)
    applied = await _applied(connection)
    _compare(migrations, applied)
    times = {row["version"]: row["applied_at"] for row in applied}
    return [
        MigrationStatus(each.version, each.name, times.get(each.version)) for each in migrations
    ]


async def _step(
    connection: Connection, migrations: list[_Migration], on_progress: Progress
) -> str | None:
    """Apply the next pending migration; None when there is none."""
    async with in_transaction(connection):
        await connection.execute(_LIMITS)
        try:
            await connection.execute(_LOCK, _LOCK_KEY, timeout=_WAIT_LIMIT_S + 5)
        except (asyncpg.LockNotAvailableError, TimeoutError) as error:
            raise MigrationError(
                f"Another program has been upgrading this database for {_WAIT_LIMIT_S} s. "
                "Wait for it, or end it, and start again."
            ) from error
        await connection.execute(_CREATE_TABLE)
        applied = await _applied(connection)
        _compare(migrations, applied)
        if len(applied) == len(migrations):
            return None
        pending = migrations[len(applied)]
        on_progress(f"Updating the database: {pending.name}")
        await _apply(connection, pending)
        return pending.name


async def _apply(connection: Connection, migration: _Migration) -> None:
    try:
        await connection.execute(migration.sql, timeout=_STEP_LIMIT_S)
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{migration.name} failed: {error}") from error
    await connection.execute(_RECORD, migration.version, migration.name, migration.checksum)


async def _applied(connection: Connection) -> list[asyncpg.Record]:
    if not await connection.fetchval(_TABLE_EXISTS):
        return []
    return await connection.fetch(_APPLIED)


def _compare(migrations: list[_Migration], applied: list[asyncpg.Record]) -> None:
    for row, migration in zip(applied, migrations, strict=False):
        if row["version"] != migration.version:
            raise MigrationError(
                f"The database lacks {migration.name} but has later steps. Restore a backup: its "
                "table schema_migrations was changed by hand."
            )
        if row["checksum"] != migration.checksum:
            raise MigrationError(
                f"{migration.name} is not the file that was applied on {row['applied_at']:%Y-%m-%d}"
                ". Put the released file back; changes belong into a new migration."
            )
    if len(applied) > len(migrations):
        raise MigrationError(
            f"The database is newer than this program: it has {applied[-1]['name']}. "
            "Start the newer program, or restore the backup made before its upgrade."
        )


def _read(directory: Traversable | None) -> list[_Migration]:
    folder = directory or resources.files("kefu.storage") / "migrations"
    files = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".sql")),
        key=lambda entry: entry.name,
    )
    migrations = [_parse(entry) for entry in files]
    for expected, migration in enumerate(migrations, start=1):
        if migration.version != expected:
            raise MigrationError(
                f"Migration {expected:04} is missing or there twice (found {migration.name}). "
                "Number the files 0001, 0002, ... without a gap."
            )
    return migrations


def _parse(file: Traversable) -> _Migration:
    found = _FILE_NAME.fullmatch(file.name)
    if found is None:
        raise MigrationError(f"{file.name} is not named like 0001_what_it_does.sql.")
    sql = file.read_text(encoding="utf-8").replace("\r\n", "\n")
    checksum = hashlib.sha256(sql.encode()).hexdigest()
    return _Migration(int(found[1]), file.name.removesuffix(".sql"), sql, checksum)
