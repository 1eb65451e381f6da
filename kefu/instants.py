"""Seconds since the epoch, as rules count, to aware datetimes, as rows and frames carry them."""

from datetime import UTC, datetime


def instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
