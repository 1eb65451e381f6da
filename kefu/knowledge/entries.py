"""The entries as people write them: one by one, from files, and out of unanswered questions.

Every write is in the audit log with the answer, which the shop wrote. Of questions and phrasings it
says only that they changed: they may be a customer's words, and the log forgets nothing.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from kefu.audit.messages import Act, By, Trail
from kefu.clock import Clock
from kefu.entropy import Entropy
from kefu.errors import Problem
from kefu.knowledge import store
from kefu.knowledge.intake import Intake, Row, identities
from kefu.storage.database import Connection, DatabasePool, connected, transaction
from protocol.codes import ErrorCode
from protocol.imports import IMPORT_PROBLEMS, ImportProblem, ImportResult
from protocol.knowledge import (
    ENTRIES,
    AnswerUnanswered,
    EntryPage,
    KnowledgeEntry,
    NewEntry,
    UnansweredPage,
)

TAKEN: Final = "Another entry has this question, or this key, in this language."
NO_ENTRY: Final = "There is no such entry."
NO_QUESTION: Final = "There is no such question."
FULL: Final = f"There can be {ENTRIES} entries."
_PRIVATE: Final = frozenset(("question", "phrasings"))
_WRITTEN: Final = NewEntry.__struct_fields__


class World(Struct, frozen=True):
    """`on_changed` is told after each commit, in passing."""

    pool: DatabasePool
    clock: Clock
    entropy: Entropy
    trail: Trail
    on_changed: Callable[[], None] = lambda: None


class Entries:
    def __init__(self, world: World) -> None:
        self._world = world

    async def page(
        self, *, words: str | None, locale: str | None, offset: int, limit: int
    ) -> EntryPage:
        """Those with the words in one of their texts, the last changed first."""
        async with connected(self._world.pool) as connection:
            return EntryPage(*await store.find_entries(connection, words, locale, offset, limit))

    async def read(self, entry_id: UUID) -> KnowledgeEntry:
        """Raises `Problem(NOT_FOUND)`."""
        async with connected(self._world.pool) as connection:
            return _there(await store.entry_by_id(connection, entry_id))

    async def create(self, by: By, new: NewEntry) -> KnowledgeEntry:
        """Raises `Problem(UNPROCESSABLE)` for a question that is taken or one entry too many."""
        async with transaction(self._world.pool) as connection:
            version = await store.raise_version(connection)
            entry = await self._add(connection, new, version)
            await self._note(connection, by, "knowledge.created", entry, None, entry)
        self._world.on_changed()
        return entry

    async def change(self, by: By, entry_id: UUID, given: Mapping[str, Any]) -> KnowledgeEntry:
        """Raises `Problem`: NOT_FOUND, UNPROCESSABLE for a question that is taken."""
        async with transaction(self._world.pool) as connection:
            version = await store.raise_version(connection)
            before = _there(await store.entry_by_id(connection, entry_id))
            after = replace(before, **given, updated_at=self._world.clock.now())
            if not await store.save_entries(connection, [after], version):
                raise Problem(ErrorCode.UNPROCESSABLE, TAKEN)
            await self._note(connection, by, "knowledge.changed", after, before, after)
        self._world.on_changed()
        return after

    async def delete(self, by: By, entry_id: UUID) -> None:
        """Raises `Problem(NOT_FOUND)`."""
        async with transaction(self._world.pool) as connection:
            await store.raise_version(connection)
            entry = _there(await store.delete_entry(connection, entry_id))
            await self._note(connection, by, "knowledge.deleted", entry, entry, None)
        self._world.on_changed()

    async def take_in(self, by: By, intake: Intake, *, is_dry: bool) -> ImportResult:
        """Write the rows of a file, all that have no problem or none of them.

        A row with the key, else with the question of an entry, in its language, changes that entry.
        """
        async with transaction(self._world.pool) as connection:
            version = await store.raise_version(connection)
            plan = _plan(intake, await store.all_entries(connection), self._entry)
            if not is_dry and plan.writes:
                if not await store.save_entries(connection, plan.writes, version):
                    raise Problem(ErrorCode.UNPROCESSABLE, TAKEN)
                counts = {"created": plan.created, "changed": plan.changed}
                act = Act(by, "knowledge.imported", "knowledge", "file", None, counts)
                await self._world.trail.append(connection, act)
        if not is_dry and plan.writes:
            self._world.on_changed()
        return ImportResult(
            dry_run=is_dry,
            rows=len(intake.rows) + len(intake.problems),
            created=plan.created,
            changed=plan.changed,
            unchanged=plan.unchanged,
            problem_count=len(plan.problems),
            problems=tuple(plan.problems[:IMPORT_PROBLEMS]),
        )

    async def unanswered(self, *, offset: int, limit: int) -> UnansweredPage:
        """The most asked first."""
        async with connected(self._world.pool) as connection:
            return UnansweredPage(*await store.list_unanswered(connection, offset, limit))

    async def answer(self, by: By, id: UUID, said: AnswerUnanswered) -> KnowledgeEntry:
        """Make an entry of an unanswered question, which goes. Raises `Problem`: NOT_FOUND, or
        UNPROCESSABLE as `create`."""
        async with transaction(self._world.pool) as connection:
            version = await store.raise_version(connection)
            asked = await store.take_unanswered(connection, id)
            if asked is None:
                raise Problem(ErrorCode.NOT_FOUND, NO_QUESTION)
            new = NewEntry(
                question=asked.text if said.question is UNSET else said.question,
                answer=said.answer,
                phrasings=said.phrasings,
                tags=said.tags,
                locale=asked.locale if said.locale is UNSET else said.locale,
                key=said.key,
            )
            entry = await self._add(connection, new, version)
            await self._note(connection, by, "knowledge.created", entry, None, entry)
        self._world.on_changed()
        return entry

    async def forget(self, by: By, id: UUID) -> None:
        """Delete an unanswered question. Raises `Problem(NOT_FOUND)`."""
        async with transaction(self._world.pool) as connection:
            if await store.take_unanswered(connection, id) is None:
                raise Problem(ErrorCode.NOT_FOUND, NO_QUESTION)
            act = Act(by, "knowledge.question_deleted", "unanswered", str(id))
            await self._world.trail.append(connection, act)

    async def _add(self, connection: Connection, new: NewEntry, version: int) -> KnowledgeEntry:
        if await store.count_entries(connection) >= ENTRIES:
            raise Problem(ErrorCode.UNPROCESSABLE, FULL)
        entry = self._entry(new)
        if not await store.save_entries(connection, [entry], version):
            raise Problem(ErrorCode.UNPROCESSABLE, TAKEN)
        return entry

    def _entry(self, new: NewEntry, old: KnowledgeEntry | None = None) -> KnowledgeEntry:
        now: datetime = self._world.clock.now()
        if old is not None:
            return replace(old, **msgspec.structs.asdict(new), updated_at=now)
        id = self._world.entropy.uuid()
        return KnowledgeEntry(id=id, **msgspec.structs.asdict(new), created_at=now, updated_at=now)

    async def _note(
        self,
        connection: Connection,
        by: By,
        action: str,
        entry: KnowledgeEntry,
        before: KnowledgeEntry | None,
        after: KnowledgeEntry | None,
    ) -> None:
        names = [
            name
            for name in _WRITTEN
            if before is None or after is None or getattr(before, name) != getattr(after, name)
        ]
        old, new = (None if each is None else _told(each, names) for each in (before, after))
        act = Act(by, action, "knowledge_entry", str(entry.id), old, new)
        await self._world.trail.append(connection, act)


class Plan(Struct, frozen=True):
    """What an import comes to."""

    writes: tuple[KnowledgeEntry, ...]
    created: int
    changed: int
    unchanged: int
    problems: tuple[ImportProblem, ...]


def _plan(
    intake: Intake,
    entries: tuple[KnowledgeEntry, ...],
    made: Callable[[NewEntry, KnowledgeEntry | None], KnowledgeEntry],
) -> Plan:
    known = {name: entry for entry in entries for name in identities(entry)}
    writes: list[KnowledgeEntry] = []
    problems = list(intake.problems)
    lines: dict[UUID, int] = {}
    created = changed = unchanged = 0
    for row in intake.rows:
        found = {each.id: each for name in identities(row.entry) if (each := known.get(name))}
        if len(found) > 1:
            problems.append(ImportProblem(row.line, TAKEN))
            continue
        old = next(iter(found.values()), None)
        if old is None and len(entries) + created >= ENTRIES:
            problems.append(ImportProblem(row.line, FULL))
            continue
        if old is not None and old.id in lines:
            problems.append(ImportProblem(row.line, f"The same entry as line {lines[old.id]}."))
            continue
        if old is not None:
            lines[old.id] = row.line
        if old is not None and _is_same(row, old):
            unchanged += 1
            continue
        writes.append(made(row.entry, old))
        created += old is None
        changed += old is not None
    problems.sort(key=lambda each: each.line)
    return Plan(tuple(writes), created, changed, unchanged, tuple(problems))


def _is_same(row: Row, old: KnowledgeEntry) -> bool:
    return all(getattr(row.entry, name) == getattr(old, name) for name in _WRITTEN)


def _told(entry: KnowledgeEntry, names: list[str]) -> dict[str, Any]:
    """What the audit log may keep of it."""
    return {name: True if name in _PRIVATE else getattr(entry, name) for name in names}


def _there(entry: KnowledgeEntry | None) -> KnowledgeEntry:
    if entry is None:
        raise Problem(ErrorCode.NOT_FOUND, NO_ENTRY)
    return entry
