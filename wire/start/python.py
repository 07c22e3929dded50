"""How a process of ours runs Python: without what only others need at the start.

`site` looks for `.pth` files and runs what they say; the master has done that, and its children are given what came of
it. `asyncio` loads OpenSSL for TLS, which no daemon of ours speaks. Together that is a third of an empty start.
"""

import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_ROOT = str(Path(__file__).parents[2])
"""Where our packages lie."""


def command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of ours with these arguments, in `environment()`."""
    return [sys.executable, "-S", "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """Ours, with the path by which this process finds modules: nothing is imported from the working directory, whatever
    lies there.
    """
    found = sys.path if sys.flags.safe_path else sys.path[1:]  # the first is a script's directory, or the working one
    path = [entry for entry in dict.fromkeys([*found, _ROOT]) if Path(entry).is_absolute()]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def without_tls() -> None:
    """To be called before `asyncio` is imported: it then is as where Python was built without OpenSSL."""
    sys.modules["ssl"] = None  # type: ignore[assignment]


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Modules are imported within. Python's garbage collector waits, and leaves what has been made to stay: it would
    find nothing, and takes a tenth of a start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
