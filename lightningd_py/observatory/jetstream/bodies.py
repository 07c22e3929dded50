"""What comes from a stream, read with suspicion: anybody with the right to publish may have sent it."""

import hashlib
from typing import Any

import pyarrow as pa

from lightningd_py.observatory.jetstream.names import (
    HEARD_HEADER,
    SCHEMA,
    SCHEMA_HEADER,
    TIME_HEADER,
    VANTAGE_HEADER,
    BatchId,
    token,
)
from lightningd_py.observatory.record.messages import message_row
from lightningd_py.observatory.record.rows import MOST_ROWS
from lightningd_py.observatory.tables.schemas import TABLES

LARGEST = 4 << 20
"""Bytes of a batch when it is not compressed."""
_MOST_NS = (1 << 63) - 1


class Unreadable(Exception):
    """Nothing that can be archived; the text says why."""


def batch_in(table: str, id: BatchId | None, subject: str, body: bytes, headers: dict[str, str]) -> pa.RecordBatch:
    """The one batch of an Arrow stream with the table's columns, of the vantage point that its subject names. Raises
    Unreadable.
    """
    _check_schema(headers)
    if id is None or id.table != table or token(id.vantage) != subject.rpartition(".")[2]:
        raise Unreadable("its id is not that of a batch of this subject")
    try:
        reader = pa.ipc.open_stream(body)
        found = reader.read_next_batch()
    except (pa.ArrowException, OSError, StopIteration) as error:
        raise Unreadable(
            f"it is no Arrow batch ({str(error).splitlines()[0] if str(error) else 'it is empty'})"
        ) from error
    check_batch(table, id, found)
    return found


def check_batch(table: str, id: BatchId, found: pa.RecordBatch) -> None:
    """Raises Unreadable for a batch that no recorder of this vantage point makes."""
    if not found.schema.equals(TABLES[table].schema):
        raise Unreadable("its columns are others")
    try:
        found.validate(full=True)
    except pa.ArrowException as error:
        raise Unreadable("it is damaged") from error
    if not 0 < found.num_rows <= MOST_ROWS or found.nbytes > LARGEST:
        raise Unreadable(f"it has {found.num_rows} rows in {found.nbytes} bytes")
    if found.column(TABLES[table].time).null_count:
        raise Unreadable("it has rows without a time")
    names = found.column("vantage").unique().to_pylist()
    if len(names) != 1 or names[0] is None or token(names[0]) != token(id.vantage):
        raise Unreadable("it is of other vantage points than its name says")


def row_in(body: bytes, headers: dict[str, str]) -> tuple[Any, ...]:
    """A row of `messages`: a raw message with its headers. Raises Unreadable."""
    _check_schema(headers)
    time_ns, heard = headers.get(TIME_HEADER, ""), headers.get(HEARD_HEADER, "")
    if not time_ns.isascii() or not time_ns.isdigit() or int(time_ns) > _MOST_NS or heard not in ("0", "1"):
        raise Unreadable("it does not say when it was first heard")
    if not 2 <= len(body) <= 65_535:
        raise Unreadable(f"a message has 2 to 65,535 bytes, and not {len(body)}")
    sha256 = hashlib.sha256(body).digest()
    if headers.get("Nats-Msg-Id") != sha256.hex():
        raise Unreadable("its id is not its hash")
    return message_row(headers.get(VANTAGE_HEADER, ""), int(time_ns), sha256, body, heard == "1")


def _check_schema(headers: dict[str, str]) -> None:
    if headers.get(SCHEMA_HEADER) != SCHEMA:
        raise Unreadable(f"it is of schema {headers.get(SCHEMA_HEADER, 'none')!r:.20}, and this archive reads {SCHEMA}")
