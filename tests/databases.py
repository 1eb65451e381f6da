"""A database with the whole schema and no rows for each test, in a few milliseconds.

Making one and dropping it takes PostgreSQL a tenth of a second, so the one of the test before is
emptied instead. Where a test has changed the schema itself, the next gets a fresh copy.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import uuid4

import asyncpg

from kefu.storage.embedded import Stores
from kefu.storage.migrate import upgrade

TEMPLATE: Final = "template_kefu"
RESTORED_WITHIN_S: Final = 60.0
# In the schema `pristine` of the database itself: what it looked like, and the way back there.
PRISTINE: Final = """
CREATE SCHEMA pristine;

CREATE FUNCTION pristine.shape() RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(part, ' ' ORDER BY part COLLATE "C")) FROM (
        SELECT concat(relkind, relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT concat(attrelid, attname, atttypid, attnotnull, atthasdef)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
        UNION ALL
        SELECT concat(conrelid, conname, convalidated) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
        UNION ALL
        SELECT concat(proname, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL
        SELECT concat(tgrelid, tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL
        SELECT concat(setconfig) FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase
        WHERE datname = current_database()
    ) AS parts (part)
$$;

CREATE TABLE pristine.known AS SELECT pristine.shape() AS shape;

CREATE FUNCTION pristine.note() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text;
    has_rows bool;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('SELECT EXISTS (TABLE public.%I)', name) INTO has_rows;
        IF has_rows THEN
            EXECUTE format('CREATE TABLE pristine.%I AS TABLE public.%I', name, name);
        END IF;
    END LOOP;
END $$;

CREATE FUNCTION pristine.be_alone() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    others bool;
BEGIN
    LOOP
        PERFORM pg_stat_clear_snapshot();
        SELECT count(pg_terminate_backend(pid)) > 0 INTO others FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid();
        EXIT WHEN NOT others;
        PERFORM pg_sleep(0.002);
    END LOOP;
END $$;

CREATE FUNCTION pristine.restore_rows(name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    is_changed bool;
BEGIN
    EXECUTE format(
        'SELECT EXISTS (TABLE public.%1$I EXCEPT ALL TABLE pristine.%1$I)'
        ' OR EXISTS (TABLE pristine.%1$I EXCEPT ALL TABLE public.%1$I)', name
    ) INTO is_changed;
    IF is_changed THEN
        EXECUTE format('DELETE FROM public.%I', name);
        EXECUTE format('INSERT INTO public.%1$I TABLE pristine.%1$I', name);
    END IF;
END $$;

CREATE FUNCTION pristine.restore() RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
    name text;
    size bigint;
BEGIN
    PERFORM pristine.be_alone();
    IF pristine.shape() <> (SELECT shape FROM pristine.known) THEN
        RETURN false;
    END IF;
    SET LOCAL session_replication_role = replica;  -- no trigger, no foreign key
    FOR name, size IN
        SELECT relname, pg_relation_size(oid) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    LOOP
        IF to_regclass(format('pristine.%I', name)) IS NOT NULL THEN
            PERFORM pristine.restore_rows(name);
        ELSIF size > 100000 THEN
            EXECUTE format('TRUNCATE public.%I CASCADE', name);
        ELSIF size > 0 THEN
            EXECUTE format('DELETE FROM public.%I', name);
        END IF;
    END LOOP;
    UPDATE public.log_identity SET log_id = gen_random_uuid();  -- Redis knows another
    PERFORM setval(format('public.%I', sequencename)::regclass, start_value, false)
    FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL;
    RETURN true;
END $$;

SELECT pristine.note();
"""


class Databases:
    """Of one PostgreSQL."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._clean: list[str] = []

    async def prepare(self) -> None:
        """Make the one that all are copies of. Nobody stays connected to it."""
        await _execute(self._stores.database_url, f"CREATE DATABASE {TEMPLATE}")
        connection = await asyncpg.connect(self._url(TEMPLATE))
        try:
            await upgrade(connection, on_progress=lambda words: None)
            await connection.execute(PRISTINE)
        finally:
            await connection.close()

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[str]:
        """The URL of a clean one. Who is still connected at the end is cut off."""
        name = self._clean.pop() if self._clean else await self._copy()
        yield self._url(name)
        if await _restored(self._url(name)):
            self._clean.append(name)
        else:
            await _execute(self._stores.database_url, f"DROP DATABASE {name} WITH (FORCE)")

    async def _copy(self) -> str:
        name = f"test_{uuid4().hex}"
        await _execute(self._stores.database_url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return name

    def _url(self, name: str) -> str:
        return self._stores.database_url.replace("/kefu?", f"/{name}?")


async def _restored(url: str) -> bool:
    connection = await asyncpg.connect(url)
    try:
        restored = await connection.fetchval("SELECT pristine.restore()", timeout=RESTORED_WITHIN_S)
        return bool(restored)
    finally:
        await connection.close()


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
