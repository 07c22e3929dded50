"""The parser of our commands' options: what cannot be printed is said (`wire.command.console.printing`)."""

import argparse
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


class CommandParser(argparse.ArgumentParser):
    """argparse's own passes over what keeps its help from being written."""

    def _get_formatter(self) -> argparse.HelpFormatter:
        """One is made for each option that is declared: without looking for the terminal's width each time, for which
        `shutil` is loaded, with three ways to compress.
        """
        return self.formatter_class(prog=self.prog, width=_width())  # type: ignore[call-arg]

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        (file or sys.stdout).write(message)


def _width() -> int:
    """Of the terminal, as argparse has it: COLUMNS counts more; two less than there are."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns) - 2
    try:
        return (os.get_terminal_size(sys.__stdout__.fileno()).columns or 80) - 2  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        return 78
