"""Servers under load, started as processes of their own: the peers that run on Node."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

PEERS = Path(__file__).parent / "peers"


class Server(NamedTuple):
    """`ws` is where its sockets are; `process_id` whose CPU and memory count."""

    ws: str
    process_id: int


def cores() -> tuple[set[int] | None, set[int] | None]:
    """One core for the server, the rest for everything else; None where there is but one."""
    ours = sorted(os.sched_getaffinity(0))
    return ({ours[0]}, set(ours[1:])) if len(ours) > 1 else (None, None)


@contextmanager
def bound_to(cpus: set[int] | None) -> Iterator[None]:
    """This process, and all that it starts meanwhile, run on these cores; None: on any of its own.

    What is started keeps to them: the kernel wakes a database that may go where it likes up on the
    core of who asks it, and puts that one aside while its own statement runs.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@asynccontextmanager
async def open_node(
    folder: str, script: str, cpus: set[int] | None, env: Mapping[str, str] | None = None
) -> AsyncIterator[Server]:
    """bench/peers/<folder>/<script>; its packages are installed when they are missing."""
    home = PEERS / folder
    if not (home / "node_modules").is_dir():
        done = await asyncio.create_subprocess_exec("npm", "ci", "--silent", cwd=home)
        if await done.wait():
            raise RuntimeError(f"npm ci failed in {home}")
    process = await asyncio.create_subprocess_exec(
        *("node", script),
        cwd=home,
        env={**os.environ, **(env or {})},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if cpus:
            os.sched_setaffinity(process.pid, cpus)
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        if not line:
            raise RuntimeError(f"{folder}/{script} did not start")
        yield Server(line.split()[1], process.pid)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
