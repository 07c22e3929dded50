"""The two tables of a map as Parquet, with zstd. Needs pyarrow, which is in the extra `[observatory]`."""

import itertools
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from gossipd.gossmap import Gossmap
from lightningd_py.export.tables import DIRECTIONS, NODES, direction_rows, node_rows

ROW_GROUP = 50_000
"""Rows that are in memory at once."""


def parquet_of_directions(gossmap: Gossmap, out: BinaryIO) -> None:
    """The columns of `tables.DIRECTIONS`."""
    _write(out, DIRECTIONS, direction_rows(gossmap))


def parquet_of_nodes(gossmap: Gossmap, out: BinaryIO) -> None:
    """The columns of `tables.NODES`."""
    _write(out, NODES, node_rows(gossmap))


def _write(out: BinaryIO, head: dict[str, str], rows: Iterator[tuple[Any, ...]]) -> None:
    schema = pa.schema([(name, pa.type_for_alias(type_)) for name, type_ in head.items()])
    with pq.ParquetWriter(out, schema, compression="zstd", compression_level=1) as writer:
        while some := list(itertools.islice(rows, ROW_GROUP)):
            arrays = [
                pa.array(column, field.type) for column, field in zip(zip(*some, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.table(arrays, schema=schema))
