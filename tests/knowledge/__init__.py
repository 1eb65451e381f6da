"""Tests of the knowledge. Linear algebra uses one thread here, too (see encoder.py)."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
