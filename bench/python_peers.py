"""The Python environments of the peers that are Python packages: made when they are asked for."""

import hashlib
import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).parent / "peers"


def python_of_peers(folder: str = "python") -> str:
    """The interpreter that has them. Raises CalledProcessError when they cannot be installed."""
    home = PEERS / folder
    venv = home / ".venv"
    python, mark = venv / "bin" / "python", venv / ".ready"
    wanted = home / "requirements.txt"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    if not mark.is_file() or mark.read_text() != digest:
        print(f"installing {wanted.name} into {folder}/.venv ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(wanted)]
        subprocess.run([str(python), *install], check=True)
        mark.write_text(digest)
    return str(python)
