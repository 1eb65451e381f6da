"""Views as they are packed: 24 bytes each, in the log and on their way into the index."""

from collections.abc import Iterable
from typing import Any, Final, TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from kefu.recommendations.messages import View

VIEW: Final = np.dtype(
    [("viewer_hi", "<u8"), ("viewer_lo", "<u8"), ("product", "<u4"), ("at", "<u4")]
)
_HALF: Final = (1 << 64) - 1
Packed: TypeAlias = NDArray[Any]
"""An array of VIEW."""


def halves(viewer: UUID) -> tuple[int, int]:
    """The upper and the lower 64 bits."""
    return viewer.int >> 64, viewer.int & _HALF


def packed(views: Iterable[View]) -> Packed:
    rows = [(*halves(view.viewer), view.product, view.at) for view in views]
    return np.array(rows, dtype=VIEW)


def unpacked(raw: bytes) -> Packed:
    """Raises ValueError for what is no whole number of views."""
    return np.frombuffer(raw, dtype=VIEW)
