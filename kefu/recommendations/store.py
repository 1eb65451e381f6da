"""The SQL of recommendations: how many were shown and clicked on each day."""

from collections.abc import Mapping
from datetime import date

from msgspec import Struct

from kefu.storage.database import Connection


class Shown(Struct, frozen=True):
    """Products shown beside a product and to a viewer, and those that were clicked."""

    on_page: int = 0
    for_viewer: int = 0
    clicked: int = 0


ADD_DAY = """
INSERT INTO recommendation_days (day, shown_on_page, shown_for_viewer, clicked)
VALUES ($1, $2, $3, $4)
ON CONFLICT (day) DO UPDATE SET
    shown_on_page = recommendation_days.shown_on_page + excluded.shown_on_page,
    shown_for_viewer = recommendation_days.shown_for_viewer + excluded.shown_for_viewer,
    clicked = recommendation_days.clicked + excluded.clicked
"""


async def add_days(connection: Connection, days: Mapping[date, Shown]) -> None:
    rows = [
        (day, counted.on_page, counted.for_viewer, counted.clicked)
        for day, counted in sorted(days.items())
    ]
    await connection.executemany(ADD_DAY, rows)
