"""Tables and `key: value` lines in colour on a terminal, cut to its width by cells: an East Asian letter has two.

The texts are safe already (`sane`): nothing here is taken for markup.
"""

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

GAP = 2
NARROWEST = 6
"""Cells that a column keeps; where not even these fit the rows are shown one below the other."""
_STYLES = {"yes": "green", "no": "yellow", "-": "dim", "gossipd": "blue", "none": "dim"}


def console(stream: TextIO | None = None) -> Console:
    """Colours if the stream is a terminal and NO_COLOR is not set. Nothing in a text is interpreted."""
    width, height = shutil.get_terminal_size()  # rich takes 80 for a dumb terminal
    return Console(
        file=stream or sys.stdout,
        width=width,
        height=height,
        markup=False,
        highlight=False,
        emoji=False,
        soft_wrap=True,
    )


def fitted(widths: Sequence[int], room: int) -> list[int] | None:
    """The columns' widths so that all fit into `room` cells: the widest give way first. None if they cannot."""
    left = room - GAP * (len(widths) - 1)
    if sum(min(width, NARROWEST) for width in widths) > left:
        return None
    limit = max(widths, default=0)
    while sum(min(width, limit) for width in widths) > left:
        limit -= 1
    spare = left - sum(min(width, limit) for width in widths)
    found = []
    for width in widths:
        more = min(spare, max(0, width - limit), 1)
        found.append(min(width, limit) + more)
        spare -= more
    return found


def table(head: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> Iterable[Text]:
    """A line for each row; or, where there is no room for columns, a block of lines for each."""
    widths = fitted([max(map(cell_len, column)) for column in zip(head, *rows, strict=True)], room)
    if widths is None:
        yield from _blocks(head, rows, room)
        return
    yield _line([Text(name, "bold") for name in head], widths)
    for row in rows:
        yield _line([Text(cell, _style(i, cell)) for i, cell in enumerate(row)], widths)


def _blocks(head: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> Iterable[Text]:
    for row in rows:
        for i, (name, cell) in enumerate(zip(head, row, strict=True)):
            line = Text.assemble((f"{name}: ", "bold"), (cell, _style(i, cell)))
            line.truncate(room, overflow="ellipsis")
            yield line
        yield Text()


def _style(column: int, cell: str) -> str:
    return _STYLES.get(cell, "cyan" if column == 0 else "")


def _line(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    for cell, width in zip(cells, widths, strict=True):
        cell.truncate(width, overflow="ellipsis", pad=True)
    line = Text(" " * GAP).join(cells)
    line.rstrip()
    return line


def line(indent: str, key: str, value: str) -> Text:
    """A `key: value` line; long ones are left to the terminal."""
    text = Text.assemble(indent, (key, "bold"))
    return text.append(" ").append(value, _STYLES.get(value, "")) if value else text


def bar(percent: float, width: int) -> str:
    """A bar of so many cells."""
    full = round(width * min(100.0, max(0.0, percent)) / 100)
    return "█" * full + "░" * (width - full)
