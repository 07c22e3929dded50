"""What a command shows: tables for people, JSON with --json, and a bar while it takes long."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from wire.scid import scid_to_text

KINDS = {256: "channel_announcement", 257: "node_announcement", 258: "channel_update"}
Progress = Callable[[int], None]


def as_json(value: Any) -> None:
    """With bytes in hex, in two-space indentation."""
    print(json.dumps(value, indent=2, default=_other))


def _other(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return value.hex()
    raise TypeError(type(value).__name__)


def as_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Lines with columns; on a terminal cut to its width."""
    if sys.stdout.isatty():
        from lightningd_py.terminal.tables import console, table

        out = console()
        for line in table(head, rows, out.width):
            out.print(line)
        return
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def scid(value: int | None) -> str:
    """`103x1x0`, or - for None."""
    return "-" if value is None else scid_to_text(value)


def short(value: bytes | None) -> str:
    """The first 16 digits of a hash or key, or - for None."""
    return "-" if value is None else value.hex()[:16]


@contextlib.contextmanager
def progress(what: str) -> Iterator[Progress]:
    """A bar on standard error if that is a terminal. Gets how many rows more are done."""
    if not sys.stderr.isatty():
        yield lambda rows: None
        return
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    from lightningd_py.terminal.tables import console

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bar(*columns, console=console(sys.stderr), transient=True) as bar:
        task = bar.add_task(what, total=None)
        done = 0

        def more(rows: int) -> None:
            nonlocal done
            done += rows
            bar.update(task, description=f"{what}: {done:,} rows")

        yield more
