"""What it costs to read a customer's frame and to write one to them, in nanoseconds.

    python -m bench.frames

Read: a message of 54 characters becomes a typed, checked value out of all frames a customer may
send; the same with pydantic (a tagged union), and with json, which checks nothing. Write: the same
message on its way to the other side. Each in a process of its own, the best of several rounds.
"""

import argparse
import json
import subprocess
from pathlib import Path
from uuid import UUID

from bench.figures import show, surroundings
from bench.python_peers import python_of_peers
from bench.stopwatch import best_ns

ROOT = Path(__file__).parents[1]
TEXT = "您好，请问这件商品什么时候可以发货？" * 3
ID = "018f3c5e-7a10-7cc2-9d5e-0123456789ab"
AT = "2026-01-27T10:00:00.123456Z"
READ = json.dumps(
    {"type": "send_message", "payload": {"content": TEXT, "client_message_id": ID, "chat_id": ID}},
    ensure_ascii=False,
    separators=(",", ":"),  # as browsers write it
)
WRITTEN = {
    "type": "new_message",
    "payload": {
        "chat_id": ID,
        "message_id": ID,
        "seq": 7,
        "sender_type": "agent",
        "content": TEXT,
        "timestamp": AT,
        "message_type": "text",
        "sender_id": ID,
        "sender_name": "Anna",
        "client_message_id": ID,
    },
    "timestamp": AT,
}
Figures = dict[str, object]


def ours(rounds: int) -> Figures:
    """kefu's own decoder and encoder, as the gateway uses them."""
    import msgspec  # noqa: PLC0415  # the peers' Python has none of these

    from protocol.customer import SendMessage  # noqa: PLC0415
    from protocol.server import NewMessage  # noqa: PLC0415
    from protocol.wire import encode_json, from_customer  # noqa: PLC0415

    frame = msgspec.convert(WRITTEN, NewMessage)
    assert isinstance(from_customer.read_json(READ), SendMessage)
    assert frame.payload.chat_id == UUID(ID)
    return {
        "read_ns": best_ns(lambda: from_customer.read_json(READ), rounds),
        "write_ns": best_ns(lambda: encode_json(frame), rounds),
    }


def plain(rounds: int) -> Figures:
    """json: nothing is checked, ids and times stay text."""
    return {
        "read_ns": best_ns(lambda: json.loads(READ), rounds),
        "write_ns": best_ns(lambda: json.dumps(WRITTEN, ensure_ascii=False).encode(), rounds),
    }


def theirs(rounds: int) -> Figures:
    """pydantic, in the peers' Python."""
    command = [python_of_peers(), "-m", "bench.peers.python.pydantic_frames", str(rounds)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.frames",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="small enough to see that it runs")
    asked = parser.parse_args()
    rounds = 1 if asked.quick else asked.rounds
    where = surroundings()
    runs = {"kefu": [ours(rounds)], "json": [plain(rounds)], "pydantic": [theirs(rounds)]}
    bytes_read = len(READ.encode())
    show("frames", where, {"frame_bytes": bytes_read, "rounds": rounds}, runs, keep=not asked.quick)


if __name__ == "__main__":
    main()
