"""Results on a terminal. Loads rich: imported where standard output is a terminal."""

from typing import Any

from rich.text import Text

from lightningd_py.cli.output import lines, listing
from lightningd_py.terminal.log_lines import log_lines
from lightningd_py.terminal.tables import bar, console, line, table

LEVELS = {"BROKEN": "bold red", "UNUSUAL": "yellow", "DEBUG": "dim", "TRACE": "dim"}
"""How lines of the log are coloured."""


def show(method: str, result: Any) -> None:
    """Print a table that is cut to the terminal's width, or lines."""
    out = console()
    if method == "getlog" and isinstance(result, dict) and isinstance(result.get("log"), list):
        for said in log_lines(result):
            out.print(Text(said, next((style for level, style in LEVELS.items() if f" {level} " in said[:40]), "")))
        return
    found = listing(method, result)
    if found is None:
        for indent, key, value in lines(result):
            out.print(line(indent, key, value))
        if method == "gossipstatus" and isinstance(result, dict):
            out.print(_sync(result))
    elif found[2]:
        for row in table(found[1], found[2], out.width):
            out.print(row)
    else:
        out.print(f"no {found[0]}")


def _sync(status: dict[str, Any]) -> Text:
    percent = int(status.get("percent", 0))
    return Text(f"{bar(percent, 20)} {percent} %", "green" if percent == 100 else "yellow")
