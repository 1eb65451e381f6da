"""Writes files of products, 1,000 rows at a time, so that other writes get their turn between.

Each batch is written whole or not at all, with its line in the audit log. What ends an import in
the middle leaves the batches before it written; the same file again goes on where rows have keys.
"""

from collections.abc import AsyncIterator, Sequence
from itertools import chain
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from kefu.audit.messages import Act, By
from kefu.catalogue import store
from kefu.catalogue.batch import Plan, planned
from kefu.catalogue.intake import Intake, Row, identities
from kefu.catalogue.ports import World
from kefu.catalogue.products import made_of
from kefu.catalogue.store import Written
from kefu.catalogue.words import pieces_of
from kefu.storage.database import Connection, transaction
from protocol.catalogue import PRODUCTS
from protocol.imports import IMPORT_PROBLEMS, ImportProblem, ImportProgress, ImportResult

BATCH_ROWS: Final = 1000


class Imports:
    def __init__(self, world: World, batch_rows: int = BATCH_ROWS) -> None:
        self._world = world
        self._batch_rows = batch_rows

    async def take_in(
        self, by: By, intake: Intake, *, is_dry: bool
    ) -> AsyncIterator[ImportProgress | ImportResult]:
        """How far it is after each batch, the result at the end. Raises StoreUnavailable."""
        tally = Tally(list(intake.problems))
        wrong_count = len(intake.problems)
        total = len(intake.rows) + wrong_count
        for start in range(0, len(intake.rows), self._batch_rows):
            batch = intake.rows[start : start + self._batch_rows]
            await self._write(by, batch, tally, is_dry=is_dry)
            yield ImportProgress(wrong_count + start + len(batch), total)
        yield tally.result(total, is_dry=is_dry)

    async def _write(self, by: By, rows: Sequence[Row], tally: "Tally", *, is_dry: bool) -> None:
        pieces = await pieces_of(row.product.name or "" for row in rows)
        async with transaction(self._world.pool) as connection:
            await store.lock(connection)
            plan = await self._plan(connection, rows, tally.created if is_dry else 0)
            if not is_dry and (plan.made or plan.changed):
                made = [Written(each, pieces[place]) for place, each in plan.made.items()]
                changed = [
                    Written(each, pieces[place] if rows[place].product.name else UNSET)
                    for place, each in plan.changed.items()
                ]
                await store.insert_products(connection, made)
                await store.update_products(connection, changed)
                counts = {"created": len(made), "changed": len(changed)}
                act = Act(by, "products.imported", "product", "file", None, counts)
                await self._world.trail.append(connection, act)
        tally.add(plan, len(rows))

    async def _plan(self, connection: Connection, rows: Sequence[Row], before: int) -> Plan:
        """`before` counts those that batches before it would have made."""
        names = list(chain.from_iterable(identities(row.product) for row in rows))
        ids: list[Any] = [value for name, value in names if name == "id"]
        keys: list[Any] = [value for name, value in names if name == "key"]
        known = await store.known_products(connection, ids, keys)
        categories = await store.all_categories(connection)
        return planned(
            rows,
            known=known,
            categories={each.slug: each.id for each in categories.values()}
            | {str(id): id for id in categories},
            places_left=PRODUCTS - before - await store.last_number(connection),
            make=lambda fields: made_of(fields, self._world),
            touch=lambda product: replace(product, updated_at=self._world.clock.now()),
        )


class Tally:
    """What an import has come to so far."""

    def __init__(self, problems: list[ImportProblem]) -> None:
        self.problems = problems
        self.created = self.changed = self.unchanged = 0

    def add(self, plan: Plan, row_count: int) -> None:
        self.created += len(plan.made)
        self.changed += len(plan.changed)
        self.unchanged += row_count - len(plan.made) - len(plan.changed) - len(plan.problems)
        self.problems += plan.problems

    def result(self, rows: int, *, is_dry: bool) -> ImportResult:
        named = sorted(self.problems, key=lambda each: each.line)[:IMPORT_PROBLEMS]
        return ImportResult(
            dry_run=is_dry,
            rows=rows,
            created=self.created,
            changed=self.changed,
            unchanged=self.unchanged,
            problem_count=len(self.problems),
            problems=tuple(named),
        )
