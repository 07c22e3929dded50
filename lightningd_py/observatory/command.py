"""The command line: which subcommand, and how its words are read. What each does is in `*_commands.py`."""

import argparse
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Protocol

from lightningd_py.observatory.tables.errors import ObservatoryError
from wire.bus.feed import FeedError
from wire.command import console
from wire.command.parser import CommandParser

NAME = "lightning-observatory"
_AGO = re.compile(r"-[0-9.]+[smhdw]")
"""A word that argparse would take for an option."""


class _Part(Protocol):
    """A module of subcommands."""

    def add(self, commands: Any, /) -> None: ...


_PARTS = {
    "record_command": ("record",),
    "rgs_command": ("rgs",),
    "history_commands": ("as-of", "diff", "propagation", "noisy", "openings", "first-responders"),
    "plot_command": ("plot",),
    "exchange_commands": ("import", "export"),
    "replay_commands": ("replay",),
    "jetstream_commands": ("init", "archive"),
    "web_command": ("web", "web-assets"),
}


def _parts(words: Sequence[str]) -> list[_Part]:
    """Those that are wanted: none waits for what another one imports, and a recorder, which is there for long, does
    without DuckDB and its 40 MB."""
    wanted = [part for part, names in _PARTS.items() if words and words[0] in names] or list(_PARTS)
    return [import_module(f"lightningd_py.observatory.{part}") for part in wanted]


def _parser(parts: Sequence[_Part]) -> CommandParser:
    parser = CommandParser(
        prog=NAME, description="Record all that a node's feed says, and ask the record; serve its map."
    )
    parser.add_argument("--version", action="version", version=f"{NAME} {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for part in parts:
        part.add(commands)
    return parser


def _version() -> str:
    from importlib.metadata import version

    return version("lightningd-py")


def _done(run: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """What is about a file is not about standard output (`console.printing`). Raises ObservatoryError for it."""
    try:
        return run(options)
    except OSError as error:
        if not error.filename:
            raise
        raise ObservatoryError(f"{error.filename}: {console.reason(error)}") from error


def command(words: Sequence[str]) -> int:
    """Run it; the exit status. 1: it could not be done, 2: it was said wrongly."""
    console.hear_interrupts()
    try:
        with console.printing():
            said = [f" {word}" if _AGO.fullmatch(word) else word for word in words]
            options = _parser(_parts(words)).parse_args(said)
            return _done(options.run, options)
    except (ObservatoryError, FeedError, console.OutputError, console.NoPath) as error:
        console.complain(NAME, error)
    except KeyboardInterrupt:
        return 130
    return 1
