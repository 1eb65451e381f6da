"""The Python environment of the peers that are Python packages: made when it is first asked for."""

import hashlib
import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parent / "peers" / "python"
VENV = HOME / ".venv"


def python_of_peers() -> str:
    """The interpreter that has them. Raises CalledProcessError when they cannot be installed."""
    python, mark = VENV / "bin" / "python", VENV / ".ready"
    wanted = HOME / "requirements.txt"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    if not mark.is_file() or mark.read_text() != digest:
        print(f"installing {wanted.name} into {VENV.parent.name}/.venv ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(wanted)]
        subprocess.run([str(python), *install], check=True)
        mark.write_text(digest)
    return str(python)
