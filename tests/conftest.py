"""Shared fixtures: `stores`, `database`, `pool` and `redis` are real servers (tests/stack.py)."""

from tests.stack import anyio_backend, data_dir, database, pool, redis, stores, template

__all__ = ["anyio_backend", "data_dir", "database", "pool", "redis", "stores", "template"]
