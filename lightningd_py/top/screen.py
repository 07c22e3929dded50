"""The screen of `top` as lines that fit a terminal: what a model holds, drawn. No line is wider than it is told."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.text import Text

from lightningd_py.terminal.tables import bar, fitted
from lightningd_py.terminal.units import duration, moment, number, size
from lightningd_py.top.model import Model, PeerRow
from wire.control.status import sane
from wire.start.late_dataclass import dataclass

KEYS = " ↑↓ choose  Enter look  s sort  r turn  d disconnect  b ban  q quit"
MOST_LOG = 5
HEAD = ("peer", "owner", "dir", "in/s", "out/s", "ping", "new", "redundant", "refused", "since", "address")
RIGHT = frozenset({"in/s", "out/s", "ping", "new", "redundant", "refused", "since"})
LEAST = {"peer": 10, "owner": 8, "dir": 3, "in/s": 7, "out/s": 7, "ping": 5, "new": 5, "redundant": 9, "refused": 7}
GIVE_WAY = ("address", "since", "dir", "out/s", "redundant", "owner", "refused", "in/s", "new", "ping")
"""Columns that are left out, the first first, where there is no room."""


@dataclass(frozen=True, slots=True)
class Around:
    """What stands beside the peers. `message`: at the bottom, in the place of the keys, if there is one."""

    info: Mapping[str, Any]
    log: Sequence[str]
    """Its file; empty if there is none."""
    message: str
    now: float
    """Unix time."""


def draw(model: Model, around: Around, width: int, height: int) -> list[Text]:
    """At most `height` lines, each at most `width` cells."""
    top = [*_node(model, around), *_cut(_daemons(model, width), 4)]
    log = [] if height < 16 else _log(around, min(MOST_LOG, (height - 12) // 3))
    room = max(0, height - len(top) - len(log) - 1)
    row = model.peer if model.detail else None
    middle = _cut(_detail(row, around.now), room) if row else _peers(model, width, room, around.now)
    middle += [Text()] * (room - len(middle))
    lines = [*top, *middle, *log][: max(0, height - 1)]
    lines.append(Text(around.message or KEYS, "reverse"))
    for line in lines:
        line.truncate(max(1, width), overflow="ellipsis")
    return lines


def _cut(lines: Iterable[Text], most: int) -> list[Text]:
    return list(lines)[:most]


def _node(model: Model, around: Around) -> Iterable[Text]:
    info, gossip = around.info, (model.last.gossip if model.last else {})
    yield Text.assemble(
        (sane(str(info.get("alias", ""))), "bold"),
        f" {str(info.get('id', ''))[:16]}  {info.get('network', '')}  block {info.get('blockheight', 0)}  ",
        f"{len(model.rows)} {'peer' if len(model.rows) == 1 else 'peers'}  ",
        f"{time.strftime('%H:%M:%S', time.localtime(around.now))}",
    )
    state = str(gossip.get("state", "-"))
    channels, nodes = (number(gossip.get(name, 0)) for name in ("channels", "nodes"))
    yield Text.assemble(
        "map ",
        (bar(model.percent, 10), "green" if state == "normal" else "yellow"),
        f" {model.percent:.0f} % {state}  {channels} channels  {nodes} nodes"
        f"  store {size(gossip.get('store_bytes', 0))}, dead {size(gossip.get('store_dead_bytes', 0))}",
    )
    words = [f"{name.replace('_', ' ')} {number(count)} (+{rate:.0f}/s)" for name, count, rate in model.verdicts()]
    yield Text("arrivals  " + "  ".join(words))


def _daemons(model: Model, width: int) -> Iterable[Text]:
    """As many in a line as fit."""
    line = Text("processes ")
    for usage, percent in model.daemons():
        word = f" {sane(usage.name)} {percent:.0f}% {size(usage.memory)} "
        if len(line) + len(word) > width and len(line) > 10:
            yield line
            line = Text(" " * 10)
        line.append(word, "red" if percent >= 90 else "")
    yield line


def _log(around: Around, most: int) -> list[Text]:
    if most <= 0:
        return []
    lines = around.log[-most:]
    return [Text("UNUSUAL and BROKEN in the log", "bold"), *(Text(line, "yellow") for line in lines)]


def _cells(row: PeerRow, now: float) -> dict[str, str]:
    return {
        "peer": row.node_id,
        "owner": sane(row.owner),
        "dir": row.direction,
        "in/s": size(row.rate_in),
        "out/s": size(row.rate_out),
        "ping": "-" if row.ping_ms is None else duration(row.ping_ms / 1000),
        "new": number(row.new),
        "redundant": number(row.redundant),
        "refused": number(row.refused) + ("!" if row.gossip.get("ignored") else ""),
        "since": duration(max(1.0, now - row.since)),
        "address": sane(row.address),
    }


def _columns(width: int, labels: Mapping[str, str], rows: Sequence[Mapping[str, str]]) -> tuple[list[str], list[int]]:
    """The columns for which there is room, and their widths."""
    columns = list(HEAD)
    for name in (*GIVE_WAY, ""):
        widths = [max(len(labels[column]), *(len(row[column]) for row in rows)) for column in columns]
        least = sum(min(wide, LEAST.get(column, 8)) for column, wide in zip(columns, widths, strict=True))
        if least + 2 * (len(columns) - 1) <= width or name == "":
            break
        columns.remove(name)
    return columns, fitted(widths, width) or widths


def _peers(model: Model, width: int, room: int, now: float) -> list[Text]:
    if not model.rows or room < 2:
        return [Text("no peers", "dim")][:room]
    cells = [_cells(row, now) for row in model.rows]
    labels = dict(zip(HEAD, HEAD, strict=True)) | {model.sort: f"{model.sort}{'▲' if model.reverse else '▼'}"}
    columns, widths = _columns(width, labels, cells)
    at = [row.conn_id for row in model.rows].index(model.chosen or 0) if model.peer else 0
    first = min(max(0, at - (room - 2)), max(0, len(cells) - (room - 1)))
    lines = [_line([labels[name] for name in columns], columns, widths, "bold")]
    for i, row in enumerate(cells[first : first + room - 1], first):
        lines.append(_line([row[name] for name in columns], columns, widths, "reverse" if i == at else ""))
    return lines


def _line(cells: Sequence[str], columns: Sequence[str], widths: Sequence[int], style: str) -> Text:
    parts = []
    for cell, name, width in zip(cells, columns, widths, strict=True):
        text = Text(cell)
        text.truncate(width, overflow="ellipsis")
        text.align("right" if name in RIGHT else "left", width)
        parts.append(text)
    line = Text("  ").join(parts)
    line.stylize(style)
    return line


def _detail(row: PeerRow, now: float) -> Iterable[Text]:
    """All that is known of one peer."""
    raw, said = row.raw, row.gossip
    yield Text(row.node_id, "bold cyan")
    yield Text(f"{sane(row.address)}  #{row.conn_id} {row.direction}  owner {sane(row.owner)}")
    yield Text(f"connected since {moment(row.since)}, for {duration(max(1.0, now - row.since))}")
    yield Text(
        f"in  {size(raw.get('bytes_in', 0))}, {number(raw.get('messages_in', 0))} messages, {size(row.rate_in)}/s   "
        f"out {size(raw.get('bytes_out', 0))}, {number(raw.get('messages_out', 0))} messages, {size(row.rate_out)}/s"
    )
    words = (f"{name.replace('_', ' ')} {number(said.get(name, 0))}" for name in _GIVEN)
    yield Text("gossip: " + "  ".join(words) + ("  ignored" if said.get("ignored") else ""))
    yield Text("features: " + ", ".join(sane(str(name)) for name in raw.get("feature_names", ())))
    if "last_error" in raw:
        yield Text(f"last error: {sane(str(raw['last_error']))}", "red")
    for move in raw.get("moves", ()):
        yield Text(f"  {moment(move['at'])}  {sane(str(move['owner']))}  by {sane(str(move['message']))}", "dim")


_GIVEN = ("good", "redundant", "rate_limited", "bad", "score")
