"""How long a question takes at 10,000 entries: `python -m tests.knowledge.large [phrasings]`.

The entries are the demo shop's, taken apart and put together anew at random: real words, in as many
combinations as are needed. Prints wall and processor time: other programs may share the machine.
"""

import random
import sys
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from kefu.knowledge.encoder import can_encode
from kefu.knowledge.engines import Engine
from kefu.knowledge.state import Known, grouped, judge, language
from protocol.knowledge import ENTRIES
from tests.knowledge import catalogue
from tests.knowledge.evaluate import questions

SEED = 20


def entries(count: int, phrasings: int) -> list[Known]:
    chance = random.Random(SEED)
    texts = [entry for group in catalogue.demo_groups() for entry in group]
    return [
        Known(
            UUID(int=number),
            None,
            chance.choice(texts).locale,
            f"{_half(chance, texts)} {_half(chance, texts)} {number}",
            chance.choice(texts).answer,
            tuple(f"{_phrasing(chance, texts)} {number % 97}" for _ in range(phrasings)),
        )
        for number in range(count)
    ]


def _half(chance: random.Random, texts: Sequence[Known]) -> str:
    question = chance.choice(texts).question
    return question[: len(question) // 2]


def _phrasing(chance: random.Random, texts: Sequence[Known]) -> str:
    return chance.choice(chance.choice(texts).phrasings)


def measured(name: str, engine: Engine, groups: Sequence[tuple[Known, ...]]) -> str:
    walls, works = [], []
    for question in questions("tuning", "questions"):
        wall, work = time.perf_counter(), time.process_time()
        ranking = engine.rank(question.text)
        judge(groups, ranking, engine.scale, language(question.text, question.locale), 3)
        walls.append(time.perf_counter() - wall)
        works.append(time.process_time() - work)
    return f"{name}: {_percentiles(walls)} ms of wall time, {_percentiles(works)} ms of work\n"


def _percentiles(seconds: list[float]) -> str:
    seconds = sorted(seconds)
    half, most = (seconds[int(len(seconds) * share)] * 1000 for share in (0.5, 0.95))
    return f"p50 {half:.1f} p95 {most:.1f}"


def timed(name: str, make: Callable[[], Engine]) -> Engine:
    started = time.process_time()
    engine = make()
    sys.stdout.write(f"{name} made in {time.process_time() - started:.1f} s of work\n")
    return engine


def main(phrasings: int) -> None:
    groups = grouped(entries(ENTRIES, phrasings))
    engine = timed("lexical", lambda: catalogue.lexical(groups))
    sys.stdout.write(measured("lexical", engine, groups))
    if can_encode():
        engine = timed("semantic", lambda: catalogue.semantic(groups))
        sys.stdout.write(measured("semantic", engine, groups))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
