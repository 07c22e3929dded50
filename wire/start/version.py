"""Which version of the package is installed: `importlib.metadata` takes 10 ms to say so, at each start."""

import functools
import re
import sys
from pathlib import Path

_INSTALLED = re.compile(r"lightningd_py-(.+)\.dist-info")


@functools.cache
def version() -> str:
    """Of the package that runs (another may be installed since), or "uninstalled" where there is none."""
    for directory in sys.path:
        try:
            names = [entry.name for entry in Path(directory).iterdir()]
        except OSError:
            continue
        for name in names:
            if found := _INSTALLED.fullmatch(name):
                return found[1]
    return "uninstalled"
