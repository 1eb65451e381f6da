"""`kefu audit verify`: the whole chain, and where it is broken."""

from kefu.audit.log import AuditLog
from kefu.audit.messages import SYSTEM, Act
from kefu.storage.database import DatabasePool, transaction
from kefu.storage.embedded import Stores
from tests.fakes.clock import HandClock
from tests.test_cli import kefu


async def test_a_whole_log_is_said_to_be_whole_and_a_broken_one_where(
    pool: DatabasePool, database: str, stores: Stores
) -> None:
    variables = {"KEFU_DATABASE_URL": database, "KEFU_REDIS_URL": stores.redis_url}
    for number in range(3):
        async with transaction(pool) as connection:
            act = Act(SYSTEM, "agent.changed", "agent", str(number))
            await AuditLog(pool, HandClock()).append(connection, act)
    whole = await kefu("audit", "verify", variables=variables)
    assert (whole.code, whole.stdout) == (0, "The audit log is whole.\n")
    async with transaction(pool) as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute("DELETE FROM audit_log WHERE id = 2")
    broken = await kefu("audit", "verify", variables=variables)
    assert (broken.code, broken.stdout) == (1, "")
    assert broken.stderr.startswith("kefu: Entry 2 of the audit log")
