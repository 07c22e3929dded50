"""What the command line does with a probe: nodes are chosen, the report is shown, the plot is written."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from lightningd_py.config.options import Options
from lightningd_py.probe.probe import Show, probe, targets_of, targets_on
from lightningd_py.probe.report import HEAD, rows, sentences
from lightningd_py.probe.svg import plot
from wire.command.console import OutputError, reason


class NothingProbed(Exception):
    """No node could be asked; the text is one sentence."""


def run(chosen: Options, words: list[str], minutes: float, nodes: int, svg: Path | None, style: str) -> None:
    """Ask the nodes that are named, or some of the map's. `style`: human, json, raw.

    Raises UsageError, OutputError, NothingProbed: after the report if no node could be connected with.
    """
    store = chosen.network_dir / "gossip_store"
    drawn, ours = targets_on(store, nodes)
    targets = targets_of(words, chosen.network) or drawn
    if not targets:
        raise NothingProbed(f"no node is named as ID@HOST:PORT, and the map in {store} has none with an IP address")
    with _written(svg) as file, _bar(minutes * 60, style) as show:
        report = probe(targets, chosen.network, minutes * 60, ours, show)
        if file is not None:
            file.write(plot(report))
    _print(report, style)
    if not any(peer["connect_s"] is not None for peer in report["peers"]):
        raise NothingProbed("no node could be connected with")


@contextlib.contextmanager
def _written(path: Path | None) -> Iterator[TextIO | None]:
    """Opened before minutes are spent. Raises OutputError."""
    if path is None:
        yield None
        return
    try:
        with path.open("w", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}") from error


@contextlib.contextmanager
def _bar(seconds: float, style: str) -> Iterator[Show | None]:
    if style != "human" or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from lightningd_py.terminal.tables import console

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True) as shown:
        task = shown.add_task("connecting", total=seconds)
        yield lambda at, count: shown.update(task, completed=at, description=f"{count:,} channels")


def _print(report: dict[str, Any], style: str) -> None:
    if style != "human":
        print(json.dumps(report, indent=3 if style == "json" else None))
        return
    for sentence in sentences(report):
        print(sentence)
    print()
    if not sys.stdout.isatty():
        widths = [max(map(len, column)) for column in zip(HEAD, *rows(report), strict=True)]
        for row in (list(HEAD), *rows(report)):
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return
    from lightningd_py.terminal.tables import console, table

    out = console()
    for line in table(HEAD, rows(report), out.width):
        out.print(line)
