"""All formats by their names, and a map written in one of them to a file or to standard output."""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

from gossipd.gossmap import Gossmap
from lightningd_py.export.describegraph import describegraph
from lightningd_py.export.dot import dot
from lightningd_py.export.lntopo import adjacency, graphml
from lightningd_py.export.output import new_bytes, new_text
from lightningd_py.export.sim_ln import sim_ln
from lightningd_py.export.tables import csv_of_directions, csv_of_nodes

DESCRIBEGRAPH = "describegraph"
_TEXTS: dict[str, Callable[[Gossmap, TextIO], None]] = {
    "graphml": graphml,
    "adjacency": adjacency,
    "csv": csv_of_directions,
    "csv-nodes": csv_of_nodes,
    "dot": dot,
    "sim-ln": sim_ln,
}
PARQUETS = ("parquet", "parquet-nodes")
FORMATS = (DESCRIBEGRAPH, *_TEXTS, *PARQUETS)


class NoPyarrow(Exception):
    """Parquet is asked for, and pyarrow is not installed; the text is one sentence."""


def write_map(
    gossmap: Gossmap, format_: str, path: Path, *, force: bool = False, chan_points: Mapping[int, str] | None = None
) -> None:
    """Write it; `-` is standard output. Raises OutputError, NoPyarrow, StoreError if the store is cut meanwhile."""
    if format_ in PARQUETS:
        _write_parquet(gossmap, format_, path, force=force)
        return
    with new_text(path, force=force) as text:
        if format_ == DESCRIBEGRAPH:
            describegraph(gossmap, text, chan_points)
        else:
            _TEXTS[format_](gossmap, text)


def _write_parquet(gossmap: Gossmap, format_: str, path: Path, *, force: bool) -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise NoPyarrow(f"{format_} needs pyarrow: pip install 'lightningd-py[observatory]' gets it")
    from lightningd_py.export.parquet import parquet_of_directions, parquet_of_nodes

    with new_bytes(path, force=force) as file:
        (parquet_of_directions if format_ == PARQUETS[0] else parquet_of_nodes)(gossmap, file)
