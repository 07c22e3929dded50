"""The map as of a time, written in the formats of others."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gossipd.gossmap import Gossmap
from lightningd_py.observatory.exchange.graphs import HEAD, WRITERS, rows
from lightningd_py.observatory.exchange.gsp import write_gsp
from lightningd_py.observatory.exchange.output import new_bytes, new_path, new_text
from lightningd_py.observatory.exchange.stores import StoredChannel, messages_of, write_store
from lightningd_py.observatory.history.map_then import MapThen, raw_messages
from lightningd_py.observatory.tables.reading import Record

STORE, PARQUET, GSP, COUNTS = "gossip_store", "parquet", "gsp", "counts"
FORMATS = (COUNTS, STORE, *WRITERS, PARQUET, GSP)

_PARQUET = pa.schema(
    [
        ("short_channel_id", pa.string()),
        ("source", pa.string()),
        ("destination", pa.string()),
        ("capacity_sat", pa.int64()),
        ("disabled", pa.bool_()),
        ("cltv_expiry_delta", pa.uint16()),
        ("htlc_minimum_msat", pa.uint64()),
        ("htlc_maximum_msat", pa.uint64()),
        ("fee_base_msat", pa.uint32()),
        ("fee_proportional_millionths", pa.uint32()),
        ("timestamp", pa.uint32()),
    ]
)


def write_as_of(record: Record, then: MapThen, format_: str, path: Path, *, force: bool) -> None:
    """Write that map. Raises ObservatoryError if there is a file already, or if the record lacks messages; OSError."""
    if format_ == STORE:
        with new_path(path, force=force) as part:
            _write_store(record, then, part)
        return
    with gossmap_then(record, then) as gossmap:
        if format_ == PARQUET:
            with new_path(path, force=force) as part:
                _write_parquet(gossmap, part)
        elif format_ == GSP:
            with new_bytes(path, force=force) as binary:
                write_gsp(binary, messages_of(gossmap))
        else:
            with new_text(path, force=force) as text:
                WRITERS[format_](gossmap, text)


@contextlib.contextmanager
def gossmap_then(record: Record, then: MapThen) -> Iterator[Gossmap]:
    """That map as a Gossmap, for as long as the block lasts."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "gossip_store"
        _write_store(record, then, store)
        with Gossmap(store) as gossmap:
            yield gossmap


def _write_store(record: Record, then: MapThen, path: Path) -> None:
    raws = raw_messages(record, then)

    def update(scid: int, direction: int) -> bytes | None:
        said = then.updates.get((scid, direction))
        return None if said is None else raws[said.hash]

    channels = (
        StoredChannel(raws[channel.hash], (update(scid, 0), update(scid, 1)), channel.amount_sat, channel.dying_at)
        for scid, channel in then.channels.items()
    )
    write_store(path, channels, (raws[said.hash] for said in then.nodes.values()))


def _write_parquet(gossmap: Gossmap, path: Path) -> None:
    columns = list(zip(*rows(gossmap), strict=True)) or [()] * len(HEAD)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _PARQUET, strict=True)]
    pq.write_table(pa.table(arrays, schema=_PARQUET), path, compression="zstd", compression_level=1)
