"""Tells the index which products can be bought, and in which category each is.

Only so that it does not offer what would be thrown away again: whether a product may be shown is
asked of PostgreSQL at the moment of the answer.
"""

import logging
from collections.abc import Sequence
from typing import Final
from uuid import UUID

import anyio
import numpy as np
from numpy.typing import NDArray

from kefu.catalogue.messages import Catalogue, Change
from kefu.recommendations.figures import Figures
from kefu.recommendations.ports import Index
from kefu.storage.errors import StoreUnavailable

LOOK_EVERY_S: Final = 1.0
CHANGES: Final = 5000
NO_CATEGORY: Final = -1
log = logging.getLogger("kefu.recommendations")


class Availability:
    """Start `run()` in a task of its own."""

    def __init__(self, catalogue: Catalogue, index: Index, figures: Figures) -> None:
        self.is_whole = False
        """Whether every product has been read since the start."""
        self._catalogue = catalogue
        self._index = index
        self._figures = figures
        self._version = -1
        self._known = 0
        self._categories: dict[UUID, int] = {}

    def category(self, id: UUID | None) -> int | None:
        """The index's own number of it; None for one without products."""
        return None if id is None else self._categories.get(id)

    async def run(self) -> None:
        while True:
            try:
                while await self.look():
                    pass
            except StoreUnavailable:
                log.warning("products_unread")
            await anyio.sleep(LOOK_EVERY_S)

    async def look(self) -> bool:
        """Take in some changes; whether there may be more. Raises StoreUnavailable."""
        changes = await self._catalogue.changes(self._version, limit=CHANGES)
        if changes:
            self._index.set_products(*self._columns(changes))
            self._version = changes[-1].version
            self._known = max(self._known, *(change.number + 1 for change in changes))
            self._figures.products.set(self._known)
        has_more = len(changes) == CHANGES
        self.is_whole = self.is_whole or not has_more
        return has_more

    def _columns(
        self, changes: Sequence[Change]
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.int32]]:
        return (
            np.array([change.number for change in changes], np.int32),
            np.array([change.is_sellable for change in changes], np.bool_),
            np.array([self._numbered(change.category_id) for change in changes], np.int32),
        )

    def _numbered(self, category_id: UUID | None) -> int:
        if category_id is None:
            return NO_CATEGORY
        return self._categories.setdefault(category_id, len(self._categories))
