"""The demo shop's entries and both engines over them, without a database."""

from collections.abc import Sequence
from functools import cache
from uuid import UUID, uuid5

import anyio
from msgspec.structs import replace

from kefu.knowledge.background import read_background
from kefu.knowledge.demo import demo_entries
from kefu.knowledge.encoder import Encoder, load_encoder
from kefu.knowledge.engines import LexicalEngine, Words, words_of
from kefu.knowledge.semantic import SemanticEngine, Vectors
from kefu.knowledge.shelf import chosen
from kefu.knowledge.state import Group, Known, grouped
from protocol.knowledge import NewEntry

NAMESPACE = UUID("5f0c1c9e-7d1a-4a53-8f6a-0d0f6f8a5a11")


background = cache(read_background)


@cache
def encoder() -> Encoder | None:
    return load_encoder()


def known(entries: Sequence[NewEntry]) -> list[Known]:
    return [
        Known(
            uuid5(NAMESPACE, f"{number}"),
            each.key,
            each.locale,
            each.question,
            each.answer,
            each.phrasings,
        )
        for number, each in enumerate(entries)
    ]


@cache
def demo_groups() -> tuple[Group, ...]:
    return grouped(known(anyio.run(demo_entries)))


def words(groups: Sequence[Group]) -> Words:
    return words_of(groups, background())


def lexical(groups: Sequence[Group]) -> LexicalEngine:
    return LexicalEngine(words(groups))


def semantic(groups: Sequence[Group]) -> SemanticEngine:
    """Needs the encoder."""
    model = encoder()
    assert model is not None
    texts = chosen(groups)
    counts = [len(each) for each in texts]
    flat = [text.text for each in texts for text in each]
    return SemanticEngine(model, words(groups), encoded(flat), counts, encoded_background())


@cache
def encoded_background() -> Vectors:
    return encoded([text for texts in background() for text in texts])


def encoded(texts: Sequence[str]) -> Vectors:
    model = encoder()
    assert model is not None
    return Vectors([text.encode() for text in texts], model.encode(texts))


def without_phrasings(entry: Known) -> Known:
    return replace(entry, phrasings=())
