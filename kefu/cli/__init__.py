"""The `kefu` command.

`kefu --version` is answered before anything else is loaded: scripts ask it often, and the
program behind it takes half a second to import.
"""

import os
import sys

from kefu import __version__


def main() -> None:
    """Run the command line of this process and exit with its code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        sys.stdout.write(f"kefu {__version__}\n")
        return
    # a kefu is one process a core: numpy's threads would spin where another one works
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from kefu.cli.program import run  # noqa: PLC0415  # after --version, see above

    sys.exit(run(sys.argv[1:]))
