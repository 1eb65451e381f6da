"""The process that makes a snapshot: `python -m kefu.recommendations.compact PLAN`.

It works beside the server, at the lowest priority and on one thread, and ends.
"""

import os
import sys
from pathlib import Path

from kefu.recommendations.snapshots import carry_out

if __name__ == "__main__":
    os.nice(19)
    carry_out(Path(sys.argv[1]))
