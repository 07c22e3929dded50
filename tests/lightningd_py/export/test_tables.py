"""The tables as CSV and as Parquet say the same, and what strangers wrote comes back as it was."""

import csv
import io

import pyarrow.parquet as pq

from gossipd.gossmap import Gossmap
from lightningd_py.export.parquet import parquet_of_directions, parquet_of_nodes
from lightningd_py.export.tables import DIRECTIONS, NODES, csv_of_directions, csv_of_nodes, direction_rows, node_rows


def test_aliases_come_back_out_of_csv(odd: Gossmap) -> None:
    out = io.StringIO(newline="")
    csv_of_nodes(odd, out)
    read = list(csv.reader(io.StringIO(out.getvalue(), newline="")))
    assert read[0] == list(NODES)
    assert read[1:] == [["" if value is None else str(value) for value in row] for row in node_rows(odd)]
    assert {row[1] for row in read[1:]} == {node.alias for node in odd.nodes()}


def test_directions_in_csv(odd: Gossmap) -> None:
    out = io.StringIO(newline="")
    csv_of_directions(odd, out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert len(rows) == len(list(direction_rows(odd)))
    assert {row["disabled"] for row in rows} == {"0", "1"}
    assert "" in {row["capacity_sat"] for row in rows}, "one capacity is not known"


def test_parquet_says_the_same(odd: Gossmap) -> None:
    for write, rows, head in (
        (parquet_of_directions, direction_rows, DIRECTIONS),
        (parquet_of_nodes, node_rows, NODES),
    ):
        out = io.BytesIO()
        write(odd, out)
        table = pq.read_table(io.BytesIO(out.getvalue()))
        assert table.schema.names == list(head)
        assert [str(field.type) for field in table.schema] == list(head.values())
        assert [tuple(row.values()) for row in table.to_pylist()] == list(rows(odd))
