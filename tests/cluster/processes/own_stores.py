"""PostgreSQL and Valkey of these tests alone: they are stopped, killed and emptied."""

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis.asyncio import Redis

from kefu.storage.embedded import Stores
from kefu.storage.places import Places, prepare, run_directory
from kefu.storage.redis import open_redis
from kefu.storage.servers import Servers
from tests.stack import short_directory
from tests.until import until


class OwnStores:
    """Both run when it is made. Call from the main thread: they end with the thread they are
    started from."""

    def __init__(self, servers: Servers, places: Places) -> None:
        self.addresses = Stores(servers.database_url, servers.redis_url)
        self.valkey_socket = places.valkey_socket
        self._servers = servers
        self._places = places

    def redis(self) -> Redis:
        return open_redis(self.addresses.redis_url)

    def kill_valkey(self) -> None:
        """kill -9, and what it kept is gone, too."""
        valkey = self._servers._redis
        assert valkey is not None
        valkey.kill()
        valkey.wait()
        for kept in self._places.valkey.iterdir():
            shutil.rmtree(kept) if kept.is_dir() else kept.unlink()

    async def start_valkey(self) -> None:
        self._servers._redis = self._servers._start_redis()
        await until(self._servers._redis_answers)

    def stop_postgres(self) -> None:
        """As `pg_ctl stop -m immediate` does: nothing is finished, nothing is written."""
        postgres = self._servers._postgres
        assert postgres is not None
        postgres.send_signal(signal.SIGQUIT)
        postgres.wait(10)

    async def start_postgres(self) -> None:
        self._servers._postgres = self._servers._start_postgres()
        await until(self._servers._postgres_answers)


@contextmanager
def open_own_stores() -> Iterator[OwnStores]:
    with short_directory() as directory:
        places = prepare(Path(directory / "data"))
        servers = Servers(places, lambda _words: None)
        with run_directory(places):
            try:
                servers.start()
                yield OwnStores(servers, places)
            finally:
                servers.stop()
