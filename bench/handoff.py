"""How soon does the other side see that somebody else is in charge?

    python -m bench.handoff       50 conversations at once, each handed back and forth

Each customer chats with the bot; ten agents take chats over and give them back, evenly spread in
time. A takeover is timed from the agent's frame to the customer's `chat_status active`, a release
to `chat_status bot`, an agent's message to the customer's `new_message`.
"""

import argparse
import asyncio
import time

import anyio
import msgspec
import uvloop

from bench.dialects import Kefu
from bench.figures import percentiles, show, surroundings
from bench.shop import Shop, cpu_seconds, open_shop
from bench.wire import LeanSocket, connect

SETTINGS = {"KEFU_AI_PROVIDER": "knowledge", "KEFU_BOT_TURNS_PER_MINUTE": "10000"}
AGENTS = 10
WITHIN_S = 10.0
Figures = dict[str, object]


class Chat:
    """One customer's chat and the agent who takes it."""

    def __init__(self) -> None:
        self.chat_id = ""
        self.customer: LeanSocket
        self._heard: dict[str, asyncio.Future[float]] = {}
        self._dialect = Kefu()

    def hear(self, body: bytes) -> None:
        heard = self._dialect.hear(body)
        if heard is None:
            return
        self.chat_id = heard.chat_id or self.chat_id
        what = heard.status or heard.client_message_id
        waiting = self._heard.pop(what, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(time.perf_counter())

    async def until(self, what: str, since: float) -> float:
        """Seconds until the customer sees it."""
        self._heard[what] = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(WITHIN_S):
            return await self._heard[what] - since


def _frame(kind: str, **payload: object) -> bytes:
    return msgspec.json.encode({"type": kind, "payload": payload})


async def _open(shop: Shop) -> Chat:
    chat = Chat()
    url = f"{shop.ws}/ws/chat?token={shop.customer_token()}"
    chat.customer = await connect(url, chat.hear)
    begun = asyncio.create_task(chat.until("bot", time.perf_counter()))
    await asyncio.sleep(0)
    chat.customer.send(_frame("start_chat", mode="bot"))
    await begun
    return chat


async def measure(chats: int, rounds: int, every_s: float) -> Figures:
    took: dict[str, list[float]] = {"takeover": [], "message": [], "release": []}
    async with open_shop(settings=SETTINGS) as shop:
        agents = [
            await connect(
                f"{shop.ws}/ws/workbench?token={await shop.agent_token()}", lambda _body: None
            )
            for _ in range(AGENTS)
        ]
        opened = [await _open(shop) for _ in range(chats)]
        before = cpu_seconds(shop.process_id)

        async def hand(number: int, chat: Chat, agent: LeanSocket) -> None:
            for turn in range(rounds):
                await asyncio.sleep(every_s * (number + 1) / chats)
                key = f"m{turn}"
                for what, seen, frame in (
                    ("takeover", "active", _frame("take_over_chat", chat_id=chat.chat_id)),
                    ("message", key, Kefu().say(chat.chat_id, key, "您好")),
                    ("release", "bot", _frame("release_chat", chat_id=chat.chat_id)),
                ):
                    since = time.perf_counter()
                    agent.send(frame)
                    took[what].append(await chat.until(seen, since))

        async with anyio.create_task_group() as tasks:
            for number, chat in enumerate(opened):
                tasks.create_task(hand(number, chat, agents[number % AGENTS]))
        cpu_s = cpu_seconds(shop.process_id) - before
    shown: Figures = {f"{what}_ms": percentiles(each) for what, each in took.items()}
    return {**shown, "count": sum(map(len, took.values())), "server_cpu_s": round(cpu_s, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.handoff",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--chats", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=10, help="handovers of each chat")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between them")
    parser.add_argument("--quick", action="store_true", help="small enough to see that it runs")
    asked = parser.parse_args()
    rounds = 1 if asked.quick else asked.rounds
    where = surroundings()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(measure(asked.chats, rounds, asked.every))
    about = {"chats": asked.chats, "agents": AGENTS, "rounds": rounds, "every_s": asked.every}
    show("handoff", where, about, {"kefu": [found]}, keep=not asked.quick)


if __name__ == "__main__":
    main()
