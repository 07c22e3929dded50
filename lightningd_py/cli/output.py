"""How `lightning-cli-py` shows results: tables for the listings, `key: value` lines for all else, or flat lines.

Results hold strangers' texts (aliases, reasons): nothing reaches the terminal but printable characters.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lightningd_py.terminal.log_lines import log_lines
from lightningd_py.terminal.units import for_people
from wire.command.text import replaced
from wire.start.late_dataclass import dataclass

SHORT = 16
"""Characters that are shown of an id where two of them stand in one line."""


@dataclass(frozen=True, slots=True)
class Table:
    """A listing: the field of the result with its rows, and the fields of a row that are shown."""

    rows: str
    columns: tuple[str, ...]
    shortened: frozenset[str] = frozenset()


TABLES = {
    "listpeers": Table("peers", ("id", "connected", "owner", "conn_id", "direction", "netaddr", "num_channels")),
    "listnodes": Table("nodes", ("nodeid", "alias", "color", "last_timestamp", "addresses")),
    "listchannels": Table(
        "channels",
        (
            "short_channel_id",
            "direction",
            "source",
            "destination",
            "active",
            "amount_msat",
            "base_fee_millisatoshi",
            "fee_per_millionth",
            "delay",
            "last_update",
        ),
        frozenset({"source", "destination"}),
    ),
    "listnetworkevents": Table(
        "networkevents", ("created_index", "timestamp", "type", "peer_id", "duration_nsec", "reason")
    ),
    "listservices": Table("services", ("service", "kind", "here", "take", "copy", "offer", "allow", "deny")),
    "help": Table("help", ("command", "summary")),
}


Line = tuple[str, str, str]
"""Indent, key and value of a line."""


def listing(method: str, result: Any) -> tuple[str, list[str], list[list[str]]] | None:
    """What the rows are called, head and cells of the table that this result is; None if it is none."""
    table = TABLES.get(method)
    if table is None or not isinstance(result, dict) or not isinstance(result.get(table.rows), list):
        return None
    rows: Sequence[dict[str, Any]] = result[table.rows]
    columns = [name for name in table.columns if any(name in row for row in rows)]
    cells = [[_cell(name, row.get(name), name in table.shortened) for name in columns] for row in rows]
    return table.rows, [name.upper() for name in columns], cells


def as_text(method: str, result: Any) -> str:
    """A result without colours, without the last newline: for people who read it through a pipe."""
    if method == "getlog" and isinstance(result, dict) and isinstance(result.get("log"), list):
        return "\n".join(log_lines(result))
    if (found := listing(method, result)) is not None:
        name, head, cells = found
        return _table(head, cells) if cells else f"no {name}"
    return "\n".join(_joined(line) for line in lines(result))


def error_text(error: Any) -> str:
    """An error reply as one or more lines."""
    if not isinstance(error, dict):
        return replaced(str(error))
    text = [f"error {error.get('code')}: {replaced(str(error.get('message')))}"]
    if error.get("data") is not None:
        text += [_joined(line) for line in lines(error["data"], "  ")]
    return "\n".join(text)


def flat(value: Any, name: str = "") -> Iterator[str]:
    """`address[0].port=9735`, a line a value, as CLN's `lightning-cli --flat`; strings are escaped as in JSON."""
    if isinstance(value, dict):
        for key, inner in value.items():
            word = json.dumps(key)[1:-1]
            yield from flat(inner, f"{name}.{word}" if name else word)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from flat(inner, f"{name}[{i}]")
    else:
        text = json.dumps(value)
        yield f"{name}={text[1:-1] if isinstance(value, str) else text}"


def _table(head: list[str], cells: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    return "\n".join(_padded(line, widths) for line in [head, *cells])


def _padded(cells: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _cell(name: str, value: Any, shortened: bool) -> str:
    text = _scalar(name, value) if not isinstance(value, list) else ", ".join(_address(item) for item in value)
    return text[:SHORT] + "…" if shortened and len(text) > SHORT else text or "-"


def _address(item: Any) -> str:
    """An address of `listnodes` as people write it; anything else as it is."""
    if not isinstance(item, dict) or "port" not in item:
        return _scalar("", item)
    host = replaced(str(item.get("address")))
    return f"[{host}]:{item['port']}" if item.get("type") == "ipv6" else f"{host}:{item['port']}"


def _scalar(name: str, value: Any) -> str:
    """The value of a field, in the field's unit if it has one."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return for_people(name, value) or replaced(str(value))


def lines(value: Any, indent: str = "", name: str = "") -> list[Line]:
    """`key: value` lines; what is inside of a value stands below it, further to the right."""
    if isinstance(value, dict):
        return [line for key, inner in value.items() for line in _entry(replaced(key) + ":", inner, indent, key)]
    if isinstance(value, list):
        return [line for inner in value for line in _entry("-", inner, indent, name)]
    return [(indent, "", _scalar(name, value))]


def _entry(head: str, value: Any, indent: str, name: str) -> list[Line]:
    if isinstance(value, dict | list) and value:
        return [(indent, head, ""), *lines(value, indent + "  ", name)]
    return [(indent, head, "none" if value in ({}, []) else _scalar(name, value))]


def _joined(line: Line) -> str:
    indent, key, value = line
    return indent + " ".join(word for word in (key, value) if word)
