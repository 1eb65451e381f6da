"""One town for all of these tests: starting three instances and sharing out the slots takes time.

Whatever a test does to it, the next one begins when it is whole again.
"""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.cluster.processes.own_stores import OwnStores, open_own_stores
from tests.cluster.processes.several import CUT_OFF, Several, open_several
from tests.fakes.proxy import Proxy, proxy_to


@pytest.fixture(scope="session")
def own_stores() -> Iterator[OwnStores]:
    with open_own_stores() as stores:
        yield stores


@pytest.fixture(scope="session")
async def session_town(own_stores: OwnStores) -> AsyncIterator[Several]:
    url = own_stores.addresses.database_url
    async with open_several(own_stores, url) as several:
        yield several


@pytest.fixture
async def town(session_town: Several) -> Several:
    await session_town.whole()
    return session_town


@pytest.fixture
async def proxy(town: Several, own_stores: OwnStores) -> AsyncIterator[Proxy]:
    """What stands between one of them and Redis."""
    async with proxy_to(str(own_stores.valkey_socket)) as proxy:
        await town.stop(CUT_OFF)
        await town.start(CUT_OFF, redis_url=f"redis://127.0.0.1:{proxy.port}/0")
        await town.whole()
        yield proxy
        proxy.is_refusing = False
        await town.use_redis_directly(CUT_OFF)
