"""Mistakes to plant, so that the checker itself is checked."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

BUGS: dict[str, Callable[[], AbstractContextManager[None]]] = {}


@contextmanager
def planted(name: str | None) -> Iterator[None]:
    if name is None:
        yield
    else:
        with BUGS[name]():
            yield
