"""nginx in front of three instances, with no stickiness: sockets and streams pass through it."""

import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import anyio
import httpx
import pytest

from tests.cluster.processes.several import COUNT, Several
from tests.server import People, Server
from tests.stack import short_directory
from tests.stories.event_source import Poster
from tests.until import until

pytestmark = [
    pytest.mark.timeout(90),
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

CONFIGURATION = """
daemon off;
pid {directory}/pid;
error_log {directory}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    scgi_temp_path {directory}/scgi;
    uwsgi_temp_path {directory}/uwsgi;
    upstream kefu {{ {servers} }}
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://kefu;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_read_timeout 90s;
        }}
    }}
}}
"""


@pytest.fixture
async def front(town: Several) -> AsyncIterator[People]:
    """The town, entered through nginx."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    servers = " ".join(f"server {url.removeprefix('http://')};" for url in town.urls)
    with short_directory() as directory:
        words = CONFIGURATION.format(directory=directory, port=port, servers=servers)
        (directory / "nginx.conf").write_text(words)
        command = ["nginx", "-c", f"{directory}/nginx.conf", "-e", f"{directory}/error.log"]
        nginx = await anyio.open_process(command, stdout=None, stderr=None)
        try:
            url = f"http://127.0.0.1:{port}"
            await until(lambda: _answers(url))
            within = town.server(0)
            entered = Server(within.process, url, within.link, within.said)
            people = town.people
            yield People(entered, people.accounts, people.roster, people.tokens)
        finally:
            nginx.terminate()
            await nginx.wait()


async def _answers(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(f"{url}/livez")).is_success
        except httpx.TransportError:
            return False


async def test_sockets_and_streams_pass_through(town: Several, front: People) -> None:
    before = [await town.metrics(number) for number in range(COUNT)]
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        lin = await front.agent("林", max_sessions=COUNT * 2)
        desk = await enter(front.at_work(lin))
        for _ in range(COUNT):  # by turns each instance is come to
            customer = await enter(front.connected(front.customer()))
            chat_id = await customer.start()
            await desk.send("accept_chat", {"chat_id": chat_id})
            await customer.expect("chat_status", status="active")
            assert (await customer.say("在吗"))["seq"] == 1
            await desk.expect("new_message", chat_id=chat_id)
            poster = await enter(Poster(front.server.url, front.customer()))
            stream = await enter(poster.listening())
            chat_id = await poster.start()
            await desk.send("accept_chat", {"chat_id": chat_id})
            await stream.expect("chat_status", status="active")
            await desk.say("您好", chat_id=chat_id)
            with anyio.fail_after(5):  # nothing is held back in the middle
                await stream.expect("new_message", chat_id=chat_id)
        after = [await town.metrics(number) for number in range(COUNT)]
    key = "kefu_connections"
    assert all(new[key] > old[key] for old, new in zip(before, after, strict=True)), "by turns"
