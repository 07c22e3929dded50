"""What anybody may send: a batch of the table's columns and its own vantage point, or a sentence."""

import hashlib
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_py.observatory.jetstream.bodies import Unreadable, batch_in, row_in
from lightningd_py.observatory.jetstream.names import BatchId, subject
from lightningd_py.observatory.record.rows import MOST_ROWS
from lightningd_py.observatory.tables.schemas import TABLES, batch

HEADERS = {"Ln-Schema": "1"}
SUBJECT = subject("regtest", "clock", "here")
ID = BatchId("here", 5, "clock", 3)
RAW = b"\x01\x02" + bytes(100)
ROW_HEADERS = HEADERS | {
    "Nats-Msg-Id": hashlib.sha256(RAW).hexdigest(),
    "Ln-Vantage": "here",
    "Ln-First-Seen": "1790000000000000000",
    "Ln-Heard": "1",
}


def body(*rows: tuple[Any, ...], table: str = "clock") -> bytes:
    sink = pa.BufferOutputStream()
    made = batch(table, list(rows))
    with pa.ipc.new_stream(sink, made.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_batch(made)
    return bytes(sink.getvalue())


def clock(time_ns: int | None = 7, vantage: str | None = "here") -> tuple[Any, ...]:
    return time_ns, vantage, *[None] * 7


def test_batch() -> None:
    found = batch_in("clock", ID, SUBJECT, body(clock(), clock(8)), HEADERS)
    assert found.column("time_ns").to_pylist() == [7, 8]


@pytest.mark.parametrize(
    ("sent", "about", "why"),
    [
        (b"", {}, "it is no Arrow batch"),
        (b"rubbish", {}, "it is no Arrow batch"),
        (body(clock())[:-100], {}, "it is no Arrow batch"),
        (body(), {}, "it has 0 rows"),
        (body(*[clock()] * (MOST_ROWS + 1)), {}, "it has 501 rows"),
        (body(clock(None)), {}, "it has rows without a time"),
        (body(clock(vantage=None)), {}, "it is of other vantage points"),
        (body(clock(), clock(vantage="there")), {}, "it is of other vantage points"),
        (body(clock(vantage="there")), {}, "it is of other vantage points"),
        (body((1, "here", None, "t", 1, 1, "x"), table="losses"), {}, "its columns are others"),
        (body(clock()), {"headers": {}}, "it is of schema 'none'"),
        (body(clock()), {"headers": {"Ln-Schema": "2"}}, "it is of schema '2', and this archive reads 1"),
        (body(clock()), {"id": None}, "its id is not that of a batch"),
        (body(clock()), {"id": ID._replace(table="map")}, "its id is not that of a batch"),
        (body(clock()), {"id": ID._replace(vantage="there")}, "its id is not that of a batch"),
    ],
)
def test_others(sent: bytes, about: dict[str, Any], why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        batch_in("clock", about.get("id", ID), SUBJECT, sent, about.get("headers", HEADERS))


def test_batch_that_is_large_when_it_is_not_compressed() -> None:
    """A few kilobytes on the way."""
    row = (7, "here", 1, None, "x" * 100_000, None, None, None, None, None, None, None)
    sent = body(*[row] * 100, table="peers")
    assert len(sent) < 10_000
    with pytest.raises(Unreadable, match="it has 100 rows in 10"):
        batch_in("peers", ID._replace(table="peers"), subject("regtest", "peers", "here"), sent, HEADERS)


@given(st.data())
def test_a_batch_with_a_byte_that_is_another(data: st.DataObject) -> None:
    """A batch, or a sentence; never the end of the process."""
    sent = bytearray(body(clock(), clock(8)))
    at = data.draw(st.integers(0, len(sent) - 1))
    sent[at] ^= data.draw(st.integers(1, 255))
    try:
        found = batch_in("clock", ID, SUBJECT, bytes(sent), HEADERS)
    except Unreadable:
        return
    assert found.schema.equals(TABLES["clock"].schema) and 0 < found.num_rows <= MOST_ROWS


def test_row() -> None:
    row = dict(zip(TABLES["messages"].schema.names, row_in(RAW, ROW_HEADERS), strict=True))
    assert (row["raw"], row["vantage"], row["first_seen_ns"]) == (RAW, "here", 1_790_000_000_000_000_000)
    assert row["heard"] is True and row["type"] == 258


@pytest.mark.parametrize(
    ("sent", "headers", "why"),
    [
        (RAW, {"Ln-First-Seen": "-1"}, "first heard"),
        (RAW, {"Ln-First-Seen": "9" * 19}, "first heard"),
        (RAW, {"Ln-First-Seen": "٣"}, "first heard"),
        (RAW, {"Ln-Heard": "yes"}, "first heard"),
        (RAW + b"x", {}, "its id is not its hash"),
        (b"x", {}, "2 to 65,535 bytes"),
        (bytes(65_536), {}, "2 to 65,535 bytes"),
        (RAW, {"Ln-Schema": "0"}, "of schema"),
    ],
)
def test_rows_that_are_none(sent: bytes, headers: dict[str, str], why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        row_in(sent, ROW_HEADERS | headers)
