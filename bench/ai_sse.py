"""What does kefu add when it passes on what an AI provider streams?

    python -m bench.ai_sse                  100 answers open at once, and 100 begun at once
    python -m bench.ai_sse --streams 25     the same with 25

Customers ask, open loop, and a question counts from when it was due. The same load goes to the
provider alone (`replay.py`, the same process) and to kefu in front of it, in turns; what kefu adds
is the difference. kefu is asked by people it has never heard of, who begin a chat with that, and
then by the same again: `kefu, new` and `kefu, known`. Five forms:

    steady   answers take five seconds, 150 tokens at 30 tokens/s, and questions come as evenly as
             answers end
    roaming  the same, with PostgreSQL and Valkey wherever the kernel puts them
    burst    the same answers, all questions at the same moment
    fast     all at the same moment, each token on its own at a pace nobody keeps up with
    whole    all at the same moment, every answer written at once

What a token took is from when the provider wrote it to when the client had it: each says its time.
The server has the first core; the provider, the load generator, PostgreSQL and Valkey share the
rest. Left to itself the kernel wakes PostgreSQL up on the core of who asks it, and kefu is put
aside while its own statement runs: `roaming` shows what that costs. The shop's knowledge is empty,
and is looked into for every question all the same.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from math import inf
from statistics import median
from typing import NamedTuple
from uuid import uuid4

import uvloop

from bench.answers import Asker, Noticed, Place, kefu_at, provider_at
from bench.figures import percentiles, show, surroundings
from bench.neighbours import Neighbours
from bench.node import bound_to, cores
from bench.replay import Pace, open_replay
from bench.shop import cpu_seconds, open_own_stores, serving

ANSWER_S = 5.0
SLOW = Pace(150, 30)
FAST = Pace(300, 1000)
WHOLE = Pace(300, 0)
ALONE, NEW, KNOWN = "alone", "kefu, new", "kefu, known"
KINDS = (ALONE, NEW, KNOWN)
STEADY_ADDED = tuple((what, at) for what in ("first_token_ms", "token_ms") for at in ("p50", "p99"))
BURST_ADDED = (("first_token_ms", "p50"), ("first_token_ms", "max"))
WARM_UP_S = 5.5  # longer than an answer: from then on as many end as begin
QUIET_S = 0.5
ASK_IN_S = 0.2
LOOK_S = 2.0
IDLE_SHARE = 0.1
SETTLED_WITHIN_S = 180.0
LIFTED = {
    "KEFU_LOG_LEVEL": "error",  # nobody reads what it writes, and it waits for a full pipe
    "KEFU_AI_PROVIDER": "openai",
    "KEFU_OPENAI_API_KEY": "sk-of-the-shop",
    "KEFU_BOT_TURNS_PER_MINUTE": "10000",
    "KEFU_MAX_STREAMS": "100000",
    "KEFU_MAX_STREAMS_PER_PERSON": "100",
    "KEFU_MAX_STREAMS_PER_ADDRESS": "10000",
    "KEFU_MAX_CALLS_PER_ADDRESS": "100000",
}
Figures = dict[str, object]
Runs = dict[str, list[Figures]]


class Stage(NamedTuple):
    """A provider of one pace and a kefu in front of it."""

    pace: Pace
    provider_url: str
    kefu_url: str
    provider_id: int
    kefu_id: int

    def place(self, kind: str, crowd: str) -> Place:
        return provider_at(self.provider_url) if kind == ALONE else kefu_at(self.kefu_url, crowd)


@asynccontextmanager
async def open_stage(pace: Pace, *, are_stores_roaming: bool = False) -> AsyncIterator[Stage]:
    server_cpus, our_cpus = cores()
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(open_replay(pace, our_cpus))
        settings = {**LIFTED, "KEFU_OPENAI_BASE_URL": f"{provider.url}/v1"}
        with bound_to(None if are_stores_roaming else our_cpus):  # they inherit it
            stores = await stack.enter_async_context(open_own_stores())
        shop = await stack.enter_async_context(serving(stores, server_cpus, settings))
        with bound_to(our_cpus):
            await _until_idle(shop.process_id)
            kefu_url = shop.ws.replace("ws", "http", 1)
            yield Stage(pace, provider.url, kefu_url, provider.process_id, shop.process_id)


async def _until_idle(process_id: int) -> None:
    """A new kefu reads its own knowledge first, which takes some seconds of CPU once."""
    async with asyncio.timeout(SETTLED_WITHIN_S):
        used = -inf
        while cpu_seconds(process_id) - used > IDLE_SHARE * LOOK_S:
            used = cpu_seconds(process_id)
            await asyncio.sleep(LOOK_S)


class Meter:
    """What everybody used since it was made."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._others = Neighbours()
        self._started = time.perf_counter()
        self._used = self._now()

    def _now(self) -> tuple[float, float, float]:
        stage = self._stage
        return cpu_seconds(stage.kefu_id), cpu_seconds(stage.provider_id), time.process_time()

    def figures(self, kind: str, tokens: int) -> Figures:
        took = time.perf_counter() - self._started
        kefu, provider, ours = (b - a for a, b in zip(self._used, self._now(), strict=True))
        shares = {"provider_cpu_share": provider, "load_generator_cpu_share": ours}
        found = {name: round(used / took, 3) for name, used in shares.items()}
        if kind != ALONE:
            found["kefu_cpu_share"] = round(kefu / took, 3)
            found["tokens_per_kefu_cpu_s"] = round(tokens / kefu) if kefu else 0
            found["kefu_cpu_s_per_1000_tokens"] = round(kefu / max(1, tokens) * 1000, 4)
        return {**found, "others_cores": self._others.cores()}


async def steady(stage: Stage, kind: str, crowd: str, streams: int, seconds: float) -> Figures:
    """As many answers open as that, all the time, a new one for each that ends."""
    place, noticed, pause = stage.place(kind, crowd), Noticed(), ANSWER_S / streams
    start, asking = time.monotonic() + ASK_IN_S, []
    watching = asyncio.ensure_future(_watch(stage, kind, noticed, start + WARM_UP_S, seconds))
    for number in range(int((WARM_UP_S + seconds) / pause)):
        due = start + number * pause
        await asyncio.sleep(due - time.monotonic())
        asker = Asker(place, number, due, stage.pace.tokens)
        asking.append(asyncio.ensure_future(asker.ask(noticed)))
    figures = await watching
    await asyncio.gather(*asking)
    return {**_told(noticed), "tokens_per_s": round(noticed.tokens / seconds), **figures}


async def _watch(
    stage: Stage, kind: str, noticed: Noticed, since: float, seconds: float
) -> Figures:
    await asyncio.sleep(since - time.monotonic())
    noticed.is_counting, meter = True, Meter(stage)
    await asyncio.sleep(seconds)
    noticed.is_counting = False
    return meter.figures(kind, noticed.tokens)


async def at_once(stage: Stage, kind: str, crowd: str, streams: int) -> Figures:
    """All ask at the same moment."""
    place, noticed, due = stage.place(kind, crowd), Noticed(), time.monotonic() + ASK_IN_S
    askers = [Asker(place, number, due, stage.pace.tokens) for number in range(streams)]
    noticed.is_counting, meter = True, Meter(stage)
    await asyncio.sleep(due - time.monotonic())
    await asyncio.gather(*(asker.ask(noticed) for asker in askers))
    took = noticed.last_at - due
    figures = meter.figures(kind, noticed.tokens)
    return {**_told(noticed), "tokens_per_s": round(noticed.tokens / took), **figures}


def _told(noticed: Noticed) -> Figures:
    return {
        "first_token_ms": _in_short(noticed.first_s),
        "token_ms": _in_short(noticed.token_s),
        "asked_late_ms": percentiles(noticed.late_s).get("p99"),
        "tokens_an_event": round(noticed.tokens / max(1, noticed.events), 2),
        "wrong": sum(noticed.wrong.values()),
        **{f"wrong: {what}": count for what, count in noticed.wrong.items()},
    }


def _in_short(seconds: Sequence[float]) -> dict[str, float]:
    found = percentiles(seconds)
    return {at: found[at] for at in ("p50", "p99", "max") if at in found}


async def compare(asked: argparse.Namespace) -> dict[str, Runs]:
    """Form by form; in each one kind after the other, round after round."""
    found: dict[str, Runs] = {}
    async with open_stage(SLOW) as stage:
        await _burst(stage, 1, asked.streams)  # nobody's first answer is measured
        found["steady"] = await _steady(stage, asked)
        found["burst"] = await _burst(stage, asked.bursts, asked.streams)
    async with open_stage(SLOW, are_stores_roaming=True) as stage:
        await _burst(stage, 1, asked.streams)
        found["roaming"] = await _steady(stage, asked)
    for form, pace in (("fast", FAST), ("whole", WHOLE)):
        async with open_stage(pace) as stage:
            await _burst(stage, 1, asked.streams)
            found[form] = await _burst(stage, asked.bursts, asked.streams)
    return found


async def _steady(stage: Stage, asked: argparse.Namespace) -> Runs:
    found = _empty()
    for _ in range(asked.rounds):
        crowd = _crowd()
        for kind, runs in found.items():
            runs.append(await steady(stage, kind, crowd, asked.streams, asked.seconds))
            await asyncio.sleep(QUIET_S)
    return found


async def _burst(stage: Stage, rounds: int, streams: int) -> Runs:
    found = _empty()
    for _ in range(rounds):
        crowd = _crowd()
        for kind, runs in found.items():
            runs.append(await at_once(stage, kind, crowd, streams))
            await asyncio.sleep(QUIET_S)
    return found


def _empty() -> Runs:
    return {kind: [] for kind in KINDS}


def _crowd() -> str:
    return f"bench-{uuid4().hex[:8]}"


def added_ms(runs: Mapping[str, Sequence[Figures]], kind: str, what: str, at: str) -> float | None:
    """The median over the rounds of what kefu took longer than the provider alone in the round."""
    pairs = zip(runs[kind], runs[ALONE], strict=True)
    both = [(_at(kefu, what, at), _at(alone, what, at)) for kefu, alone in pairs]
    found = [kefu - alone for kefu, alone in both if kefu is not None and alone is not None]
    return round(median(found), 2) if found else None


def _at(run: Figures, what: str, at: str) -> float | None:
    found = run[what]
    return found.get(at) if isinstance(found, dict) else None


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.ai_sse",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=8.0, help="a steady run")
    parser.add_argument("--rounds", type=int, default=3, help="steady")
    parser.add_argument("--bursts", type=int, default=5, help="of each form that has them")
    parser.add_argument("--quick", action="store_true", help="small enough to see that it runs")
    asked = parser.parse_args()
    if asked.quick:
        asked.streams, asked.seconds, asked.rounds, asked.bursts = 10, 2.0, 1, 1
    where = surroundings()
    found = uvloop.run(compare(asked))
    runs = {f"{form}: {kind}": each for form, runs in found.items() for kind, each in runs.items()}
    added = {
        f"added, {form}, {kind}, {what} {at}": added_ms(found[form], kind, what, at)
        for form in found
        for kind in (NEW, KNOWN)
        for what, at in (STEADY_ADDED if form in ("steady", "roaming") else BURST_ADDED)
    }
    said = {name: getattr(asked, name) for name in ("streams", "seconds", "rounds", "bursts")}
    file = "ai-sse" if asked.streams == 100 else f"ai-sse-{asked.streams}"
    show(file, where, said, runs, added, keep=not asked.quick)


if __name__ == "__main__":
    main()
