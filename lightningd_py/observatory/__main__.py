"""`lightning-observatory`, the command; `python -m lightningd_py.observatory` is the same."""

import importlib.util
import signal
import sys

from wire.command import console

EXTRA = ("pyarrow", "duckdb", "xxhash")
"""What all subcommands need but rgs."""


def main() -> int:
    """The console script."""
    console.begin({signal.SIGINT: 130})
    missing = [name for name in EXTRA if sys.argv[1:2] != ["rgs"] and importlib.util.find_spec(name) is None]
    if missing:
        needed = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} needed and not there"
        console.complain(
            "lightning-observatory", f"{needed}: pip install 'lightningd-py[observatory]' gets what it needs"
        )
        return 2
    from lightningd_py.observatory.command import command  # half a second, in which Ctrl-C may come

    return command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
