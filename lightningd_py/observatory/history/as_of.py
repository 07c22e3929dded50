"""The map as of a time, written in the formats of others."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gossipd.gossmap import Gossmap
from lightningd_py.export import formats
from lightningd_py.export.output import new_bytes, new_path
from lightningd_py.observatory.exchange.gsp import write_gsp
from lightningd_py.observatory.exchange.stores import StoredChannel, messages_of, write_store
from lightningd_py.observatory.history.map_then import MapThen, raw_messages
from lightningd_py.observatory.tables.reading import Record

STORE, GSP, COUNTS = "gossip_store", "gsp", "counts"
FORMATS = (COUNTS, STORE, *formats.FORMATS, GSP)


def write_as_of(record: Record, then: MapThen, format_: str, path: Path, *, force: bool) -> None:
    """Write that map. Raises OutputError if there is a file already, ObservatoryError if the record lacks
    messages; OSError."""
    if format_ == STORE:
        with new_path(path, force=force) as part:
            _write_store(record, then, part)
        return
    with gossmap_then(record, then) as gossmap:
        if format_ == GSP:
            with new_bytes(path, force=force) as binary:
                write_gsp(binary, messages_of(gossmap))
        else:
            formats.write_map(gossmap, format_, path, force=force)


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
