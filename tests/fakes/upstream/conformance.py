"""Whether the fake is faithful: the providers' own clients must work against it.

Not part of the tests: it installs cozepy, openai and dashscope into an environment of its own, and
that takes minutes. `python -m tests.fakes.upstream.conformance [DIRECTORY]` runs it; the directory
is kept for the next time when it is named.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import anyio

from tests.fakes.upstream import transcripts
from tests.fakes.upstream.behaviour import PIECES, Behaviour, Call, refused
from tests.fakes.upstream.keys import private_pem
from tests.fakes.upstream.providers import Providers
from tests.fakes.upstream.serving import served

PACKAGES = ("cozepy", "openai", "dashscope")
CLIENTS = Path(__file__).with_name("sdk_clients.py")
# cozepy takes U+2028 for the end of a line and breaks on the half of an event.
PLAIN = ("您好", "，七天内", "可以退货 🙂")
THROTTLED = {"code": "Throttling.RateQuota", "message": "slow down", "request_id": "req-9"}
# What is asked, how the upstream is to behave, and what the client must say about it.
CASES: tuple[tuple[str, Call, Behaviour | None, str], ...] = (
    ("coze", "chat", Behaviour(pieces=PLAIN), "".join(PLAIN)),
    ("coze", "chat", Behaviour(pieces=PLAIN, chunk_bytes=1), "".join(PLAIN)),
    ("coze", "chat", refused(200, {"code": 4100, "msg": "no"}), "CozeAPIError 4100"),
    ("openai", "openai", None, "".join(PIECES)),
    ("openai", "openai", Behaviour(chunk_bytes=3), "".join(PIECES)),
    ("openai", "openai", refused(429, {"error": {"message": "slow"}}), "RateLimitError 429"),
    ("dashscope", "dashscope", None, "".join(PIECES)),
    ("dashscope", "dashscope", refused(429, THROTTLED), "429 Throttling.RateQuota"),
    (
        "dashscope",
        "dashscope",
        Behaviour(status=400, transcript=transcripts.dashscope_event(1, "error", 400, THROTTLED)),
        "400 Throttling.RateQuota",
    ),
    ("dashscope-message", "dashscope", None, "".join(PIECES)),
    ("dashscope-text", "dashscope", None, "".join(PIECES)),
)


def installed(directory: Path) -> Path:
    """The Python of an environment that has the clients."""
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return python


async def check(python: Path, key: Path) -> bool:
    providers, is_good = Providers(), True
    async with served(providers.app) as address:
        for client, call, behaviour, expected in CASES:
            if behaviour is not None:
                providers.upstream.next(call, behaviour)
            command = [str(python), "-W", "ignore", str(CLIENTS), client, address, str(key)]
            done = await anyio.run_process(command, check=False)
            said = done.stdout.decode().strip()
            is_same = said == expected
            is_good = is_good and is_same
            trouble = "" if is_same else f": {said!r}\n{done.stderr.decode()[-800:]}"
            sys.stdout.write(f"{'ok  ' if is_same else 'BAD '} {client} {expected!r}{trouble}\n")
    return is_good


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary) / "clients"
        key = Path(temporary) / "key.pem"
        key.write_text(private_pem())
        sys.exit(0 if anyio.run(check, installed(directory), key) else 1)


main()
