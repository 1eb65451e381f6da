"""The example in actors/README.md does what it says, on a real loop."""

import re
import subprocess
import sys
from pathlib import Path

import actors


def test_the_example_prints_42() -> None:
    readme = Path(actors.__file__).with_name("README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert example is not None
    result = subprocess.run(
        [sys.executable, "-c", example[1]], capture_output=True, text=True, timeout=30, check=False
    )
    assert (result.stdout, result.stderr) == ("42\n", "")
