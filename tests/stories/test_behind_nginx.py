"""deploy/nginx/kefu.conf in a real nginx, before two instances."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect

from kefu.storage.embedded import Stores
from tests.laws.sources import ROOT
from tests.server import Server, people_of, running
from tests.stories.event_source import Poster
from tests.talk import Talker
from tests.until import until

pytestmark = [
    pytest.mark.timeout(150),
    pytest.mark.skipif(
        not (shutil.which("nginx") and shutil.which("openssl")), reason="needs nginx and openssl"
    ),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Front:
    """A running nginx. `context` trusts its certificate."""

    def __init__(self, home: Path, plain: int, tls: int) -> None:
        self.home = home
        self.plain = f"http://127.0.0.1:{plain}"
        self.url = f"https://127.0.0.1:{tls}"
        self.context = ssl.create_default_context(cafile=str(home / "fullchain.pem"))

    def logs(self) -> str:
        return "".join(path.read_text() for path in self.home.glob("*.log"))


def written(home: Path, plain: int, tls: int, servers: tuple[Server, ...]) -> Path:
    """The file as it is shipped, with only what its head says to change, changed."""
    text = (ROOT / "deploy" / "nginx" / "kefu.conf").read_text(encoding="utf-8")
    first, second = (server.url.removeprefix("http://") for server in servers)
    changes = {
        "127.0.0.1:8001": first,
        "127.0.0.1:8002": second,
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl": f"listen 127.0.0.1:{tls} ssl",
        "/etc/letsencrypt/live/chat.shop.example": str(home),
        "/var/log/nginx": str(home),
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (home / "kefu.conf").write_text(text, encoding="utf-8")
    main = home / "nginx.conf"
    main.write_text(
        f"pid {home}/nginx.pid;\ndaemon off;\nerror_log {home}/main.log;\n"
        "events { worker_connections 512; }\n"
        f"http {{\naccess_log off;\nclient_body_temp_path {home}/body;\n"
        f"proxy_temp_path {home}/proxy;\nfastcgi_temp_path {home}/f;\nuwsgi_temp_path {home}/u;\n"
        f"scgi_temp_path {home}/s;\ninclude {home}/kefu.conf;\n}}\n",
        encoding="utf-8",
    )
    return main


def make_certificate(home: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=kefu", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(home / "privkey.pem"), "-out", str(home / "fullchain.pem")),
        ],
        check=True,
        capture_output=True,
        timeout=30,
    )


@contextmanager
def nginx(home: Path, servers: tuple[Server, ...]) -> Iterator[Front]:
    make_certificate(home)
    plain, tls = free_port(), free_port()
    process = subprocess.Popen(
        ["nginx", "-p", str(home), "-c", str(written(home, plain, tls, servers))],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Front(home, plain, tls)
    finally:
        process.terminate()
        process.wait(10)


@asynccontextmanager
async def talking(front: Front, token: str, path: str = "/ws/chat") -> AsyncIterator[Talker]:
    """As browsers come, with the token in the query."""
    url = f"{front.url.replace('http', 'ws', 1)}{path}?token={token}"
    async with connect(url, compression=None, proxy=None, ssl=front.context) as opened:
        yield Talker(opened)


async def test_people_reach_two_instances_through_nginx_and_no_token_is_logged(
    stores: Stores, database: str, tmp_path: Path
) -> None:
    variables = {"KEFU_DATABASE_URL": database, "KEFU_REDIS_URL": stores.redis_url}
    async with (
        running(variables) as left,
        running(variables) as right,
        people_of(left, database) as people,
        httpx.AsyncClient(trust_env=False, verify=False) as client,
    ):
        with nginx(tmp_path, (left, right)) as front:

            async def is_up() -> bool:
                try:
                    return (await client.get(f"{front.url}/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(is_up)
            moved = await client.get(f"{front.plain}/agent?x=1")
            assert moved.status_code == 301
            assert moved.headers["location"] == "https://127.0.0.1/agent?x=1"
            page = await client.get(f"{front.url}/agent")
            assert page.status_code == 200
            assert "max-age" in page.headers["strict-transport-security"]

            agent, token = await people.agent(), people.customer()
            async with talking(front, agent.token, "/ws/workbench") as desk:
                await desk.expect("queue_snapshot")
                async with talking(front, token) as customer:
                    chat_id = await customer.start()
                    await customer.send("request_human", {})
                    await desk.send("accept_chat", {"chat_id": chat_id})
                    await customer.expect("chat_status", status="active")
                    await desk.say("您好", chat_id=chat_id)
                    await customer.expect("new_message", content="您好")

            by_stream = people.customer()
            async with Poster(front.url, by_stream, verify=front.context) as poster:
                async with poster.listening() as stream:
                    await poster.start()
                    await stream.expect("chat_status")  # at once: nothing is buffered

            await left.stop()
            for _ in range(8):  # whichever instance nginx thinks of first
                async with talking(front, token) as customer:
                    await customer.expect("chat_status", chat_id=chat_id)
            said = front.logs()
        assert 'GET /ws/chat HTTP/1.1" 101' in said
        for secret in (token, agent.token, by_stream):
            assert secret not in said
            assert secret[-40:] not in said
        with anyio.fail_after(30):
            await right.stop()
