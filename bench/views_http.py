"""Recommendations as a shop's pages ask for them: HTTP, with the catalogue, the log and the rest.

A server begins with the snapshot of the size that is measured. Answers are asked for at a rate,
views arrive at another, and every now and then somebody new looks at two products that few have
seen: from the view that is sent until the answer has it.
"""

import asyncio
import os
import shutil
import tempfile
import time
from pathlib import Path
from uuid import UUID

import aiohttp
import msgspec
import numpy as np

from bench import views_postings
from bench.figures import percentiles
from bench.shop import Shop, cpu_seconds, memory_kib, open_own_stores, serving
from bench.views_answers import Figures, spread
from bench.views_drawn import SIZES
from bench.views_drawn import Shop as Drawn
from bench.views_stages import Asked
from kefu.storage.database import open_pool

TOKENS = 2_000
BATCH = 50
VIEWS_PER_S = 500
NEWS_EVERY_S = 0.5
LOOK_EVERY_S = 0.01
WITHIN_S = 60.0
INSERT = """
INSERT INTO products (id, number, name, price, currency, words, version, created_at, updated_at)
OVERRIDING SYSTEM VALUE
SELECT id, number, 'Product ' || number, 10, 'CNY', '', number + 1, now(), now()
FROM unnest($1::uuid[], $2::int[]) AS new (id, number)
"""
SET_VERSION = "UPDATE catalogue_version SET version = $1"


class Page:
    """What a shop's pages do."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http, self._url = http, url
        self.answered: list[float] = []
        self.failed = 0

    async def ask(self, product: int, limit: int = 6) -> set[str]:
        """What goes with it; nothing while all there is is what is merely popular."""
        url = f"{self._url}/api/products/{_id(product)}/recommendations?limit={limit}"
        async with self._http.get(url) as answer:
            body = await answer.read()
            self.failed += answer.status != 200
        found = msgspec.json.decode(body)
        return {each["id"] for each in found.get("data", ()) if each["score"] > 0}

    async def ask_at(self, product: int, due: float) -> None:
        """A late answer counts from when it was due."""
        await self.ask(product)
        self.answered.append(time.perf_counter() - due)

    async def view(self, events: list[tuple[str, int]]) -> None:
        told = [
            {"source": "direct", "dwell_ms": 4000, "product_id": str(_id(product)), "token": token}
            for token, product in events
        ]
        body = msgspec.json.encode({"events": told})
        async with self._http.post(f"{self._url}/api/views", data=body) as answer:
            await answer.read()
            self.failed += answer.status != 202


async def measure(asked: Asked) -> Figures:
    snapshot = views_postings.opened(asked.size, asked.seed, asked.folder)
    count = np.diff(snapshot.postings.viewer_start)
    rare = np.flatnonzero((count > 0) & (count < 4)).tolist() or np.argsort(count)[:100].tolist()
    drawn = Drawn(SIZES[asked.size], asked.seed)
    products = drawn.asked(int(asked.seconds * asked.http_rate), 8)
    folder = Path(tempfile.mkdtemp(prefix="kefu-bench-", dir="/tmp"))
    settings = {"KEFU_RECO_DIR": str(folder)}
    try:
        async with open_own_stores() as stores:
            async with serving(stores, settings=settings):
                await _fill(stores.database_url, count.size)
            put(snapshot.path, folder)
            async with serving(stores, settings=settings) as shop, aiohttp.ClientSession() as http:
                page = Page(http, shop.ws.replace("ws", "http", 1))
                await _until_ready(page, int(np.argmax(count)))
                return await _load(page, shop, products, asked.http_rate, rare)
    finally:
        shutil.rmtree(folder)


def over_http(asked: Asked) -> Figures:
    return asyncio.run(measure(asked))


def put(snapshot: Path, folder: Path) -> None:
    """Where the server, which was there before, looks for it: the name is the database's."""
    (place,) = folder.glob("*/000")
    shutil.copytree(snapshot, place / snapshot.name)
    os.sync()  # or the disk is busy with it half a minute later, when something is measured


async def _load(page: Page, shop: Shop, products: list[int], rate: int, rare: list[int]) -> Figures:
    chance = np.random.default_rng(1)
    tokens = [shop.customer_token() for _ in range(TOKENS)]
    fresh: list[float] = []

    async def look_on() -> None:
        while True:
            who = chance.choice(tokens, BATCH)
            what = chance.choice(products, BATCH)
            await page.view(list(zip(who.tolist(), what.tolist(), strict=True)))
            await asyncio.sleep(BATCH / VIEWS_PER_S)

    async def look_for_news() -> None:
        while True:
            await asyncio.sleep(NEWS_EVERY_S)
            one, other = chance.choice(rare, 2, replace=False).tolist()
            token, began = shop.customer_token(), time.perf_counter()
            await page.view([(token, one), (token, other)])
            while str(_id(other)) not in await page.ask(one, 50):  # noqa: ASYNC110, nobody tells
                await asyncio.sleep(LOOK_EVERY_S)
            fresh.append(time.perf_counter() - began)

    others = [asyncio.ensure_future(each) for each in (look_on(), look_for_news())]
    asking: set[asyncio.Task[None]] = set()
    began, before = time.perf_counter(), cpu_seconds(shop.process_id)
    for number, product in enumerate(products):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        asking.add(task := asyncio.ensure_future(page.ask_at(product, due)))
        task.add_done_callback(asking.discard)
    await asyncio.gather(*asking)
    took, used = time.perf_counter() - began, cpu_seconds(shop.process_id) - before
    for each in others:
        each.cancel()
    return {
        "requests_per_s": round(len(page.answered) / took),
        "answer_ms": spread(page.answered[rate:]),
        "seen_after_ms": percentiles(fresh),
        "failed": page.failed,
        "server_cpu_share": round(used / took, 2),
        "server_memory_mib": memory_kib(shop.process_id) // 1024,
    }


async def _fill(database_url: str, count: int) -> None:
    pool = await open_pool(database_url, min_size=1, max_size=1)
    numbers = list(range(count))
    await pool.execute(INSERT, [_id(each) for each in numbers], numbers, timeout=600)
    await pool.execute(SET_VERSION, count + 1)
    await pool.close()


async def _until_ready(page: Page, product: int) -> None:
    """The most viewed product has neighbours as soon as the snapshot is there."""
    async with asyncio.timeout(WITHIN_S):
        while not await page.ask(product):  # noqa: ASYNC110, nobody tells
            await asyncio.sleep(0.2)


def _id(product: int) -> UUID:
    return UUID(int=product + 1)
