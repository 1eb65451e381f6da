"""The `kefu` command.

`kefu --version` is answered before anything else is loaded: scripts ask it often, and the
program behind it takes half a second to import.
"""

import gc
import os
import sys
from typing import Final

from kefu import __version__

GC_THRESHOLD: Final = 100_000
"""Until the server sets its own."""


def main() -> None:
    """Run the command line of this process and exit with its code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"kefu {__version__}\n")
        return
    # a kefu is one process a core: numpy's threads would spin where another one works
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # what a program is read into stays: looking for garbage in it costs an eighth of the start
    gc.set_threshold(GC_THRESHOLD)
    from kefu.cli.program import run  # noqa: PLC0415  # after --version, see above

    sys.exit(run(sys.argv[1:]))
