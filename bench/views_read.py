"""Views from a file: any table with a viewer, a product and a time in each row.

MovieLens-100k (`u.data`: no header, tabs) is `--columns 0,1,3 --delimiter tab`. Clicks of sessions
as shops publish them (`session,item,time` or the like) are `--columns session,item,time`: a session
is a viewer. Names need a header; times are numbers, or dates that sort as text does.
"""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DELIMITERS = {"tab": "\t", "comma": ",", "semicolon": ";", "colons": "::"}
Ints = NDArray[np.int32]


class Views(NamedTuple):
    """Numbers of viewers and products in the order of time, each pair once: when it was first."""

    viewers: Ints
    products: Ints


def read(path: Path, columns: str, delimiter: str) -> Views:
    """Raises OSError, ValueError."""
    mark = DELIMITERS.get(delimiter, delimiter)
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = (
            csv.reader((line.replace("::", "\t") for line in file), delimiter="\t")
            if (mark == "::")
            else csv.reader(file, delimiter=mark)
        )
        at = _places(columns, rows)
        found = [tuple(row[place] for place in at) for row in rows if len(row) > max(at)]
    found.sort(key=lambda row: _time(row[2]))
    viewers: dict[str, int] = {}
    products: dict[str, int] = {}
    pairs = dict.fromkeys(
        (viewers.setdefault(viewer, len(viewers)), products.setdefault(product, len(products)))
        for viewer, product, _ in found
    )
    both = np.array(list(pairs), np.int32).reshape(-1, 2)
    return Views(both[:, 0].copy(), both[:, 1].copy())


def _places(columns: str, rows) -> list[int]:
    names = columns.split(",")
    if len(names) != 3:
        raise ValueError("--columns names three: the viewer's, the product's, the time's")
    if all(name.isdigit() for name in names):
        return [int(name) for name in names]
    header = next(rows)
    return [header.index(name) for name in names]


def _time(text: str) -> tuple[float, str]:
    try:
        return float(text), ""
    except ValueError:
        return 0.0, text
