"""Print the newest interpreter of this machine that pyproject.toml takes; nothing if there is none newer than this one.

Looks on PATH, where pyenv may have names of interpreters that are not in use, and where pyenv keeps them.
"""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def minors() -> list[int]:
    """Newer minor versions of Python 3 that are allowed, the newest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    below = int(project["requires-python"].rpartition("<3.")[2])
    return list(range(below - 1, sys.version_info.minor, -1))


def candidates(minor: int) -> Iterator[str]:
    """Where one may be."""
    name = f"python3.{minor}"
    yield from (str(Path(place) / name) for place in os.get_exec_path())
    yield from map(str, sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/{name}"), reverse=True))


def runs(interpreter: str) -> bool:
    """Whether it is there, and can make a virtual environment."""
    command = [interpreter, "-c", "import venv, ensurepip"]
    return Path(interpreter).exists() and not subprocess.run(command, check=False, capture_output=True).returncode


if __name__ == "__main__":
    print(next(filter(runs, (found for minor in minors() for found in candidates(minor))), ""))
