"""How `lightning-cli-py` shows results to people: tables for the listings, `key: value` lines for all else.

Results hold strangers' texts (aliases, reasons): nothing reaches the terminal but printable characters.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from wire.control.status import sane

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
    "listservices": Table("services", ("service", "kind", "here", "take", "copy", "offer", "allow", "deny")),
    "help": Table("help", ("command", "summary")),
}


def as_text(method: str, result: Any) -> str:
    """A result for a terminal, without the last newline."""
    table = TABLES.get(method)
    if table is not None and isinstance(result, dict) and isinstance(result.get(table.rows), list):
        return _table(table, result[table.rows])
    return "\n".join(_lines(result, ""))


def error_text(error: Any) -> str:
    """An error reply as one or more lines."""
    if not isinstance(error, dict):
        return sane(str(error))
    lines = [f"error {error.get('code')}: {sane(str(error.get('message')))}"]
    if error.get("data") is not None:
        lines += _lines(error["data"], "  ")
    return "\n".join(lines)


def _table(table: Table, rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return f"no {table.rows}"
    columns = [name for name in table.columns if any(name in row for row in rows)]
    cells = [[_cell(row.get(name), name in table.shortened) for name in columns] for row in rows]
    widths = [max(len(name), *(len(line[i]) for line in cells)) for i, name in enumerate(columns)]
    lines = [[name.upper() for name in columns], *cells]
    return "\n".join(_padded(line, widths) for line in lines)


def _padded(cells: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _cell(value: Any, shortened: bool) -> str:
    text = _scalar(value) if not isinstance(value, list) else ", ".join(_address(item) for item in value)
    return text[:SHORT] + "…" if shortened and len(text) > SHORT else text or "-"


def _address(item: Any) -> str:
    """An address of `listnodes` as people write it; anything else as it is."""
    if not isinstance(item, dict) or "port" not in item:
        return _scalar(item)
    host = sane(str(item.get("address")))
    return f"[{host}]:{item['port']}" if item.get("type") == "ipv6" else f"{host}:{item['port']}"


def _scalar(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return sane(str(value))


def _lines(value: Any, indent: str) -> list[str]:
    """`key: value` lines; what is inside of a value stands below it, further to the right."""
    if isinstance(value, dict):
        return [line for key, inner in value.items() for line in _entry(sane(key) + ":", inner, indent)]
    if isinstance(value, list):
        return [line for inner in value for line in _entry("-", inner, indent)]
    return [indent + _scalar(value)]


def _entry(head: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, dict | list) and value:
        return [indent + head, *_lines(value, indent + "  ")]
    return [f"{indent}{head} {'none' if value in ({}, []) else _scalar(value)}"]
