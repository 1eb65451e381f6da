"""The catalogue of a running kefu: the demo shop, who may write, and what a file may weigh."""

import httpx

from tests.server import People, Server

PRODUCTS = "/api/admin/products"


async def test_a_running_shop_shows_its_demo_and_lets_administrators_write(
    own_server: Server, own_people: People
) -> None:
    boss, other = [
        {"Authorization": f"Bearer {(await own_people.agent(role=role)).token}"}
        for role in ("admin", "supervisor")
    ]
    async with httpx.AsyncClient(base_url=own_server.url, trust_env=False, timeout=60) as client:
        shown = (await client.get("/api/products", params={"q": "帐篷"})).json()["data"]
        assert len(shown["products"]) == 3
        assert len((await client.get("/api/categories")).json()["data"]) == 3

        new = {"name": "Hut", "price": 1}
        answers = [
            await client.post(PRODUCTS, json=new, headers=headers) for headers in ({}, other, boss)
        ]
        assert [answer.status_code for answer in answers] == [401, 403, 201]
        assert answers[-1].json()["data"]["currency"] == "CNY"

        file = b'[{"name": "Lodge", "price": 1}]' + b" " * (3 * 1024 * 1024)
        headers = {**boss, "Content-Type": "application/json"}
        large = await client.post(f"{PRODUCTS}/import", content=file, headers=headers)
        assert large.json()["data"]["created"] == 1
    assert own_server.troubles == []
