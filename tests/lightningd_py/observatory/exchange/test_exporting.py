"""A record as gossip_observer's tables, and these as a record again."""

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
import xxhash

from lightningd_py.observatory.exchange.exporting import export_gossip_observer
from lightningd_py.observatory.exchange.gossip_observer import SCHEMAS, inner_hash
from lightningd_py.observatory.exchange.importing import Importing, import_gossip_observer
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.reading import Record
from tests.lightningd_py.observatory.made_up_day import PEERS, SECOND, T0, Day, make_day
from tests.lightningd_py.observatory.recorded import rows
from wire.gossip_layout import SIGNED, UPDATE_TIMESTAMP


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return make_day(tmp_path_factory.mktemp("day"))


@pytest.fixture(scope="module")
def exported(day: Day, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    done = export_gossip_observer(Record(day.folder), folder)
    assert (done.timings, done.messages, done.days) == (len(rows(day.folder, "arrivals")), 28, 1)
    return folder


def table(folder: Path, name: str) -> list[dict[str, Any]]:
    found = pq.read_table(folder / name / "2026/09/21" / f"{name}_2026-09-21.parquet", partitioning=None)
    assert found.schema.equals(SCHEMAS[name])
    return list(found.to_pylist())


BLOB, TEXT, STAMP = "BLOB", "VARCHAR", "TIMESTAMP WITH TIME ZONE"
FIELDS = {
    "timings": {
        "net_timestamp": STAMP,
        "row_inc": "BIGINT",
        "hash": BLOB,
        "inner_hash": BLOB,
        "collector": TEXT,
        "peer": TEXT,
        "dir": "SMALLINT",
        "peer_hash": BLOB,
        "orig_timestamp": STAMP,
    },
    "messages": {"hash": BLOB, "raw": TEXT, "first_seen": STAMP},
    "metadata": {
        "hash": BLOB,
        "inner_hash": BLOB,
        "type": "SMALLINT",
        "size": "INTEGER",
        "orig_node": TEXT,
        "scid": BLOB,
        "first_seen": STAMP,
    },
    "message_hashes": {"outer_hash": BLOB, "inner_hash": BLOB, "first_seen": STAMP},
    "message_first_seen": {"hash": BLOB, "first_seen": STAMP},
}
"""Of gossip_observer at 29a2e13: the columns of its exports of Parquet in their order, as its own DuckDB sees them, by
the types of its Postgres tables (timestamptz, bigserial, bytea, text, smallint, int)."""
MAY_BE_NULL = {("metadata", "orig_node"), ("metadata", "scid")}
EIGHT_BYTES = {"hash", "inner_hash", "outer_hash", "peer_hash", "scid"}


@pytest.mark.parametrize("name", FIELDS)
def test_tables_have_their_fields(exported: Path, name: str) -> None:
    """Read as gossip_observer's own queries read theirs: names, types, order, and where something may be missing."""
    (file,) = (exported / name).glob(f"*/*/*/{name}_*.parquet")
    assert file.relative_to(exported).as_posix() == f"{name}/2026/09/21/{name}_2026-09-21.parquet"
    with duckdb.connect() as connection:
        described = connection.execute(f"DESCRIBE SELECT * FROM '{file}'").fetchall()
        assert {column: kind for column, kind, *_ in described} == FIELDS[name]
        assert [column for column, *_ in described] == list(FIELDS[name])
        for column in FIELDS[name]:
            nulls, total = connection.execute(f"SELECT count(*) - count({column}), count(*) FROM '{file}'").fetchall()[
                0
            ]
            assert total > 0
            assert nulls == 0 or (name, column) in MAY_BE_NULL, column
        for column in EIGHT_BYTES & FIELDS[name].keys():
            sizes = connection.execute(f"SELECT DISTINCT octet_length({column}) FROM '{file}' WHERE {column} NOT NULL")
            assert sizes.fetchall() == [(8,)], column
    metadata = pq.read_metadata(file)
    assert {metadata.row_group(0).column(i).compression for i in range(metadata.num_columns)} == {"ZSTD"}


def test_what_is_null_is_what_a_message_is_not_about(exported: Path) -> None:
    """Announcements of channels 1, of nodes 2, updates 3: nodes have an author and no scid, the others the reverse."""
    found = {(row["type"], row["orig_node"] is None, row["scid"] is None) for row in table(exported, "metadata")}
    assert found <= {(1, True, False), (2, False, True), (3, True, False)}
    assert {kind for kind, _, _ in found} >= {2, 3}


def test_keys_are_theirs(day: Day, exported: Path) -> None:
    raw = day.channels[0].updates[0]
    text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    key = xxhash.xxh3_64(text.encode()).intdigest().to_bytes(8, "little")
    (message,) = [row for row in table(exported, "messages") if row["hash"] == key]
    assert message["raw"] == text
    (metadata,) = [row for row in table(exported, "metadata") if row["hash"] == key]
    assert (metadata["type"], metadata["size"], metadata["orig_node"]) == (3, len(raw), None)
    assert metadata["scid"] == day.scid(0).to_bytes(8, "little")
    timings = [row for row in table(exported, "timings") if row["hash"] == key]
    live = [row for row in timings if row["net_timestamp"] >= datetime.fromtimestamp(T0 // SECOND + 6000, UTC)]
    assert len(live) == 12
    assert (live[0]["collector"], live[0]["peer"], live[0]["dir"]) == ("east", PEERS[0].hex(), 1)
    peer_hash = xxhash.xxh3_64(PEERS[0].hex().encode()).intdigest().to_bytes(8, "little")
    assert live[0]["peer_hash"] == peer_hash
    first = {row["hash"]: row["first_seen"] for row in table(exported, "message_first_seen")}
    assert first[key] == timings[0]["net_timestamp"]
    hashes = {row["outer_hash"]: row["inner_hash"] for row in table(exported, "message_hashes")}
    assert hashes[key] == metadata["inner_hash"] == inner_hash(raw)


def test_inner_hash_is_that_of_all_but_signature_and_timestamp(day: Day) -> None:
    raw = day.channels[0].updates[0]
    again = raw[:2] + bytes(64) + raw[SIGNED:UPDATE_TIMESTAMP] + bytes(4) + raw[UPDATE_TIMESTAMP + 4 :]
    assert inner_hash(again) == inner_hash(raw)
    assert inner_hash(raw[:-1] + b"x") != inner_hash(raw)


def test_import_gives_back_what_was_exported(day: Day, exported: Path, tmp_path: Path) -> None:
    with Importing(tmp_path, "theirs") as into:
        import_gossip_observer(into, exported, "theirs")
    names = ("vantage", "hash", "peer", "dir", "type", "size")

    def arrivals(folder: Path) -> list[tuple[Any, ...]]:
        found = rows(folder, "arrivals")
        return sorted((row["time_ns"] // 1000, *(row[name] for name in names)) for row in found)

    assert arrivals(tmp_path) == arrivals(day.folder)
    raws = {row["raw"] for row in rows(tmp_path, "messages")}
    assert {hashlib.sha256(raw).digest()[:16] for raw in raws} == {row["hash"] for row in rows(tmp_path, "arrivals")}
    assert list(tmp_path.glob("spool/*/*")) == []


def test_folder_that_is_none_of_theirs_is_one_sentence(tmp_path: Path) -> None:
    sentence = "has no table messages of gossip_observer's"
    with pytest.raises(ObservatoryError, match=sentence), Importing(tmp_path / "record", "x") as into:
        import_gossip_observer(into, tmp_path, "x")


def test_damaged_file_is_one_sentence_and_leaves_nothing(exported: Path, tmp_path: Path) -> None:
    broken = tmp_path / "theirs/messages/2026/09/21/messages_2026-09-21.parquet"
    for name in ("messages", "timings"):
        path = tmp_path / f"theirs/{name}/2026/09/21/{name}_2026-09-21.parquet"
        path.parent.mkdir(parents=True)
        path.write_bytes((exported / f"{name}/2026/09/21/{name}_2026-09-21.parquet").read_bytes())
    broken.write_bytes(broken.read_bytes()[:-20])
    sentence = r"messages_2026-09-21\.parquet cannot be read"
    with pytest.raises(ObservatoryError, match=sentence), Importing(tmp_path / "record", "x") as into:
        import_gossip_observer(into, tmp_path / "theirs", "x")
    assert list((tmp_path / "record").rglob("*.arrows")) == []
