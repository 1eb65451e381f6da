"""What chats notice of recommendations that are made on the same event loop.

The same pairs of people write at the same rate twice: to an instance that has no views, and to one
that stands on the snapshot of the size that is measured while another instance's views stream in,
hot products are counted and snapshots are made.
"""

import asyncio
import random
import re
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from redis.asyncio import Redis

from bench import views_postings
from bench.figures import percentiles
from bench.node import cores
from bench.pair import Tally
from bench.shop import Shop, cpu_seconds, memory_kib, open_own_stores, serving
from bench.systems import KefuSystem
from bench.views_answers import Figures
from bench.views_drawn import SIZES, packed
from bench.views_drawn import Shop as Drawn
from bench.views_http import put
from bench.views_stages import Asked
from kefu.recommendations.stream import STREAMS
from kefu.recommendations.views import Packed
from kefu.storage.embedded import Stores

PAIRS = 50
MESSAGES_PER_S = 1.0
WARM_UP_S = 2.0
WRITE_EVERY_S = 0.02
READY_WITHIN_S = 60.0
_READY = re.compile(r"^kefu_recommendations_ready 1\.0$", re.MULTILINE)


def beside_chats(asked: Asked) -> Figures:
    return asyncio.run(_measure(asked))


async def _measure(asked: Asked) -> Figures:
    snapshot = views_postings.opened(asked.size, asked.seed, asked.folder)
    drawn = Drawn(SIZES[asked.size], asked.seed)
    views = packed(*drawn.fresh(int((asked.seconds + WARM_UP_S) * asked.views_per_s), 9))
    folder = Path(tempfile.mkdtemp(prefix="kefu-bench-", dir="/tmp"))
    settings = {"KEFU_RECO_DIR": str(folder), "KEFU_RECO_SNAPSHOT_EVERY_S": "10"}
    server_cpus, _ours = cores()
    try:
        async with open_own_stores() as stores:
            async with serving(stores, server_cpus, settings) as shop:
                without = await _chats(shop, asked.seconds)
            put(snapshot.path, folder)
            async with serving(stores, server_cpus, settings) as shop:
                await _until_ready(shop)
                place = _place_in(folder)
                async with _streaming(stores, place, views, asked.views_per_s):
                    beside = await _chats(shop, asked.seconds)
        made = max(int(each.name.partition("-")[2]) for each in place.glob("snapshot-*"))
        return {"without_views": without, "beside_views": beside, "snapshots_made": made - 1}
    finally:
        shutil.rmtree(folder)


async def _chats(shop: Shop, seconds: float) -> Figures:
    """Open loop: a message counts from when it was due."""
    chance, tally, system = random.Random(1), Tally(), KefuSystem(shop)
    pairs = [await system.pair(tally, number) for number in range(PAIRS)]
    start = time.perf_counter()
    until = start + WARM_UP_S + seconds
    writing = [
        asyncio.ensure_future(
            side.write_at_rate(MESSAGES_PER_S, start + chance.random() / MESSAGES_PER_S, until)
        )
        for pair in pairs
        for side in pair
    ]
    await asyncio.sleep(WARM_UP_S)
    tally.is_counting, used = True, cpu_seconds(shop.process_id)
    await asyncio.sleep(seconds)
    tally.is_counting, used = False, cpu_seconds(shop.process_id) - used
    await asyncio.gather(*writing)
    return {
        "messages_per_s": round(len(tally.delivery_s) / seconds),
        "ack_ms": percentiles(tally.ack_s),
        "delivery_ms": percentiles(tally.delivery_s),
        "server_cpu_share": round(used / seconds, 2),
        "server_memory_mib": memory_kib(shop.process_id) // 1024,
    }


@asynccontextmanager
async def _streaming(stores: Stores, place: Path, views: Packed, rate: int) -> AsyncIterator[None]:
    """Written to the log as their shards' owner, another instance, would."""
    redis, prefix = Redis.from_url(stores.redis_url), f"{{kefu:{place.parent.name}}}:"

    async def stream() -> None:
        began, written, turn = time.perf_counter(), 0, 0
        while written < views.size:
            due = min(int((time.perf_counter() - began) * rate), views.size)
            raw, written = views[written:due].tobytes(), due
            if raw:
                await redis.xadd(prefix + STREAMS[turn % len(STREAMS)], {"views": raw})
            turn += 1
            await asyncio.sleep(WRITE_EVERY_S)

    writing = asyncio.ensure_future(stream())
    try:
        yield
    finally:
        writing.cancel()
        await redis.aclose()


def _place_in(folder: Path) -> Path:
    """Where the server keeps its snapshots: the name is the database's."""
    (place,) = folder.glob("*/000")
    return place


async def _until_ready(shop: Shop) -> None:
    url = shop.ws.replace("ws", "http", 1)
    async with aiohttp.ClientSession() as http, asyncio.timeout(READY_WITHIN_S):
        while True:
            async with http.get(f"{url}/metrics") as answer:
                if _READY.search(await answer.text()):
                    return
            await asyncio.sleep(0.2)
