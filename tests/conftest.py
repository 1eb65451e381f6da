"""Shared fixtures: real stores (tests/stack.py) and a real server with people (tests/server.py)."""

from tests.server import own_people, own_server, people, server, session_database
from tests.stack import (
    anyio_backend,
    data_dir,
    database,
    databases,
    lasting_redis_url,
    pool,
    redis,
    stores,
)

__all__ = [
    "anyio_backend",
    "data_dir",
    "database",
    "databases",
    "lasting_redis_url",
    "own_people",
    "own_server",
    "people",
    "pool",
    "redis",
    "server",
    "session_database",
    "stores",
]
