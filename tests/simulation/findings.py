"""What the simulation has found and nobody has mended yet: such a seed counts as a known failure.

An entry goes with its mending. Anything that is not named here fails the test.
"""

import re
from typing import Final, NamedTuple


class Finding(NamedTuple):
    rule: str
    pattern: str
    sentence: str


OPEN: Final[tuple[Finding, ...]] = ()


def known(violations: list[tuple[str, str]]) -> str | None:
    """The open finding that explains what was broken first; None when there is none."""
    for rule, sentence in violations[:1]:
        for finding in OPEN:
            if finding.rule == rule and re.search(finding.pattern, sentence):
                return finding.sentence
    return None
