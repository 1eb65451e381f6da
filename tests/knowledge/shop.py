"""A shop that knows things: real PostgreSQL, a clock turned by hand, and an encoder that counts."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.routing import Route

from kefu.audit.log import AuditLog
from kefu.audit.messages import By
from kefu.errors import Problem
from kefu.knowledge.entries import Entries, World
from kefu.knowledge.grams import grams
from kefu.knowledge.library import Library
from kefu.knowledge.routes import routes
from kefu.storage.database import DatabasePool
from protocol.audit import AuditEntry
from protocol.codes import ErrorCode
from protocol.knowledge import KnowledgeEntry, NewEntry
from tests.fakes.clock import HandClock
from tests.fakes.entropy import SeededEntropy

BOSS = By("agent", None, "Boss", "203.0.113.7")
AXES = 64


class PiecesEncoder:
    """Vectors by the pieces of a text; remembers every text it was given."""

    def __init__(self, name: str = "pieces 1") -> None:
        self.name = name
        self.encoded: list[str] = []
        self.on_encode: Callable[[], None] = lambda: None

    def encode(self, texts: Sequence[str]) -> Any:
        self.encoded += texts
        self.on_encode()
        rows = np.full((len(texts), AXES), 0.01, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for piece, count in grams(text).items():
                row[zlib.crc32(piece.encode()) % AXES] += count
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@dataclass
class Shop:
    """Its entries, its library, and its doors: `rights` says what whoever calls may do."""

    pool: DatabasePool
    encoder: PiecesEncoder | None = None
    clock: HandClock = field(default_factory=HandClock)
    entropy: SeededEntropy = field(default_factory=SeededEntropy)
    rights: set[str] = field(default_factory=lambda: {"read", "write"})

    def __post_init__(self) -> None:
        self.audit = AuditLog(self.pool, self.clock)
        self.library = self.another_library()
        self.world = World(
            self.pool, self.clock, self.entropy, self.audit, on_changed=self.library.changed
        )
        self.entries = Entries(self.world)

    def another_library(self) -> Library:
        """As another instance has it."""
        return Library(self.pool, self.clock, self.entropy, load=lambda: self.encoder)

    def routes(self) -> list[Route]:
        return routes(self.entries, self.library, self._reader, self._writer)

    async def _reader(self, request: Request) -> None:
        if "read" not in self.rights:
            raise Problem(ErrorCode.FORBIDDEN)

    async def _writer(self, request: Request) -> By:
        if "write" not in self.rights:
            raise Problem(ErrorCode.FORBIDDEN)
        return BOSS

    async def add(self, question: str, answer: str = "Yes.", **fields: Any) -> KnowledgeEntry:
        return await self.entries.create(BOSS, NewEntry(question, answer, **fields))

    async def last_act(self) -> AuditEntry:
        return (await self.audit.page(limit=1)).entries[0]
