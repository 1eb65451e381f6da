"""How often the right entry is found: `python -m tests.knowledge.evaluate [heldout|tuning]`.

The questions of `heldout/` were written by somebody who saw the entries' questions and answers but
not their phrasings. Phrasings, weights and the background were made on `tuning/` alone, so its
figures flatter; its off-topic questions are meant to be hard. From where on a question is answered
was set so that at most 5 % of the off-topic ones of either set are. With `answered` behind it,
those are printed, too.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from kefu.knowledge.encoder import can_encode
from kefu.knowledge.engines import Engine
from kefu.knowledge.state import Group, judge, language
from tests.knowledge import catalogue

FOLDER = Path(__file__).parent
SETS = ("heldout", "tuning")


class Question(Struct, frozen=True):
    text: str
    locale: str
    key: str | None


class Result(Struct, frozen=True):
    """What became of one question: the place of the right entry (0 is first, None is not among the
    first three), what the bot would do, and how long it took."""

    question: Question
    place: int | None
    confidence: str
    took_s: float


class Figures(Struct, frozen=True):
    """Percentages. `hit_1` and `hit_3` are of the order alone, `right` counts a question only if
    the bot would answer it with the right entry."""

    count: int
    hit_1: float
    hit_3: float
    answered: float
    right: float
    sure: float
    sure_right: float


def questions(of: str, name: str) -> tuple[Question, ...]:
    path = FOLDER / of / f"{name}.json"
    return tuple(msgspec.json.decode(path.read_bytes(), type=list[Question]))


def asked(engine: Engine, groups: Sequence[Group], some: Sequence[Question]) -> tuple[Result, ...]:
    keys = {entry.id: entry.key for group in groups for entry in group}
    results = []
    for question in some:
        started = time.perf_counter()
        ranking = engine.rank(question.text)
        spoken = language(question.text, question.locale)
        found = judge(groups, ranking, engine.scale, spoken, 3)
        took_s = time.perf_counter() - started
        places = [keys[hit.entry_id] for hit in found.hits]
        place = places.index(question.key) if question.key in places else None
        results.append(Result(question, place, found.confidence, took_s))
    return tuple(results)


def figures(results: Sequence[Result]) -> Figures:
    sure = [each for each in results if each.confidence == "sure"]
    answered = [each for each in results if each.confidence != "none"]
    return Figures(
        count=len(results),
        hit_1=share([each.place == 0 for each in results]),
        hit_3=share([each.place is not None for each in results]),
        answered=share([each.confidence != "none" for each in results]),
        right=share([each in answered and each.place == 0 for each in results]),
        sure=share([each.confidence == "sure" for each in results]),
        sure_right=share([each.place == 0 for each in sure]),
    )


def share(true: Sequence[bool]) -> float:
    return round(100 * sum(true) / len(true), 1) if true else 0.0


def p95_ms(results: Sequence[Result]) -> float:
    took = sorted(each.took_s for each in results)
    return round(1000 * took[int(len(took) * 0.95)], 2)


def engines() -> dict[str, Engine]:
    groups = catalogue.demo_groups()
    both: dict[str, Engine] = {"lexical": catalogue.lexical(groups)}
    if can_encode():
        both["semantic"] = catalogue.semantic(groups)
    return both


def report(of: str, *, is_told: bool = False) -> str:
    groups, lines = catalogue.demo_groups(), []
    some, off = questions(of, "questions"), questions(of, "off_topic")
    locales = sorted({each.locale for each in some})
    for name, engine in engines().items():
        engine.rank(some[0].text)
        results, others = asked(engine, groups, some), asked(engine, groups, off)
        answered = share([each.confidence != "none" for each in others])
        p95 = p95_ms(results)
        lines.append(f"{name}: {len(some)} questions, p95 {p95} ms; of {len(off)} off-topic ones")
        lines.append(f"  {answered} % were answered")
        for locale in ("all", *locales):
            own = [each for each in results if locale in ("all", each.question.locale)]
            lines.append(f"  {locale:6}{_line(figures(own))}")
        if is_told:
            lines += [f"  {each.question.text}" for each in others if each.confidence != "none"]
    return "\n".join(lines) + "\n"


def _line(each: Figures) -> str:
    return (
        f"{each.count:4}: hit@1 {each.hit_1} hit@3 {each.hit_3} | answered {each.answered}"
        f" right {each.right} | sure {each.sure}, of these right {each.sure_right}"
    )


if __name__ == "__main__":
    chosen = next((each for each in SETS if each in sys.argv), SETS[0])
    sys.stdout.write(report(chosen, is_told="answered" in sys.argv))
