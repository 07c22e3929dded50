"""What the command line does with `export`: a gossip_store is read, and written in another format."""

import sys
from collections.abc import Callable
from pathlib import Path

from gossipd.gossmap import Gossmap, StoreError
from lightningd_py.errors import UsageError
from lightningd_py.export.chan_points import NoChanPoints, chan_points_beside
from lightningd_py.export.formats import DESCRIBEGRAPH, FORMATS, PARQUETS, NoPyarrow, write_map
from lightningd_py.export.output import STANDARD_OUTPUT
from wire.command.console import reason


class NothingExported(Exception):
    """There is no map to be read; the text is one sentence."""


def export(store: Path, words: list[str], *, force: bool, complain: Callable[[str], None]) -> None:
    """`words`: a format, and perhaps a file. `complain` hears what could not be found out and is left empty.

    Raises UsageError, OutputError, NothingExported.
    """
    format_, path = _asked(words)
    try:
        with _opened(store) as gossmap:
            points = _chan_points(store, complain) if format_ == DESCRIBEGRAPH else None
            write_map(gossmap, format_, path, force=force, chan_points=points)
    except NoPyarrow as error:
        raise UsageError(str(error)) from error
    except StoreError as error:
        raise NothingExported(str(error).rstrip(".")) from error


def _opened(store: Path) -> Gossmap:
    try:
        return Gossmap(store)
    except OSError as error:
        raise NothingExported(f"{store} cannot be read: {reason(error)}") from error


def _asked(words: list[str]) -> tuple[str, Path]:
    if not 1 <= len(words) <= 2 or words[0] not in FORMATS:
        raise UsageError(f"export needs a format, and may be given a file: one of {', '.join(FORMATS)}")
    path = Path(words[1]) if len(words) == 2 else STANDARD_OUTPUT
    if words[0] in PARQUETS and path == STANDARD_OUTPUT and sys.stdout.isatty():
        raise UsageError(f"{words[0]} is nothing for a terminal: name a file")
    return words[0], path


def _chan_points(store: Path, complain: Callable[[str], None]) -> dict[int, str]:
    try:
        return chan_points_beside(store)
    except NoChanPoints as error:
        complain(str(error))
        return {}
