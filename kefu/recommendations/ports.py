"""What the rest of recommendations asks of the index of all views, and how far it has come."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from kefu.recommendations.views import Packed

Positions: TypeAlias = dict[str, str]
"""By stream, as `views:3`: the id of the last entry that is in the index."""


class LogUnavailable(Exception):
    """Redis does not do this now. Whether views were written is unknown: they count once anyway."""


class Index(Protocol):
    """Who viewed what, in memory. Nothing of it waits; products are given by their numbers."""

    def __len__(self) -> int:
        """Pairs of viewer and product."""
        ...

    @property
    def viewers(self) -> int: ...

    def add(self, views: Packed) -> int:
        """At most a few hundred at a time. How many of them were new."""
        ...

    def join(self, guest: UUID, customer: UUID, *, is_guest: bool = False) -> None: ...

    def history(self, viewer: UUID, limit: int) -> Sequence[int]:
        """What they viewed, the latest first."""
        ...

    def is_full(self, viewer: UUID) -> bool:
        """Whether they have viewed so much that no more is counted."""
        ...

    def neighbours(self, product: int, limit: int) -> Sequence[tuple[int, float]]:
        """The most alike first; those that can be bought."""
        ...

    def popular(self, limit: int, category: int | None = None) -> Sequence[int]:
        """The most viewed first; those that can be bought."""
        ...

    def set_products(
        self,
        numbers: NDArray[np.int32],
        sellable: NDArray[np.bool_],
        categories: NDArray[np.int32],
    ) -> None:
        """-1 for no category."""
        ...

    def take_changed(self, limit: int) -> Sequence[int]:
        """Products with new viewers since they were last taken."""
        ...
