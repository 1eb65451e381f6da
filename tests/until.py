"""Waiting in a test for something nobody announces: looked at again and again, with a deadline."""

from collections.abc import Awaitable, Callable

import anyio


async def until(happened: Callable[[], bool | Awaitable[object]], *, within_s: float = 10) -> None:
    """Return when `happened()` is true; a failed test when that takes too long."""
    with anyio.move_on_after(within_s):
        while True:
            answer = happened()
            if answer if isinstance(answer, bool) else await answer:
                return
            await anyio.sleep(0.01)
    raise AssertionError(f"it did not happen within {within_s} s")
