"""What `kefu doctor` asks PostgreSQL."""

from datetime import datetime

from msgspec import Struct

from kefu.storage.database import Connection

SERVER = """
SELECT current_setting('server_version_num')::int AS version,
       current_setting('max_connections')::int AS max_connections,
       current_setting('fsync') AS fsync,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('server_encoding') AS encoding,
       clock_timestamp() AS now
"""


class Server(Struct, frozen=True):
    """A PostgreSQL server as it describes itself; `version` is 180006 for 18.6."""

    version: int
    max_connections: int
    fsync: str
    synchronous_commit: str
    encoding: str
    now: datetime


async def describe(connection: Connection) -> Server:
    """The server behind a connection and the time it thinks it is."""
    row = await connection.fetchrow(SERVER)
    assert row is not None  # a SELECT without FROM has one row
    return Server(**dict(row))
