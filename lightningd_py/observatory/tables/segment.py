"""Reading of one spool segment: whole batches, of a file that may be cut anywhere or is still being written to."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

PLACE = b"place"
"""Key of a batch's metadata, see `SegmentBatch.place`."""


class SegmentBatch(NamedTuple):
    """A whole batch. `end`: where it ends in the file. `place`: what the recorder had taken of the feed by then, see
    record/place.py; None if it does not say."""

    batch: pa.RecordBatch
    end: int
    place: dict[str, Any] | None


def read_segment(path: Path, columns: Sequence[str] | None = None) -> Iterator[SegmentBatch]:
    """The whole batches of a segment; what is cut off is left out. Raises OSError if it cannot be opened.

    `columns`: only these, in the schema's order.
    """
    with pa.OSFile(str(path)) as source:  # no mmap: the writer may cut it, and a look at what is gone ends the process
        try:
            options = pa.ipc.IpcReadOptions(included_fields=_wanted(source, columns))
            reader = pa.ipc.open_stream(source, options=options)
        except (pa.ArrowInvalid, OSError):  # not even the schema is there
            return
        while True:
            try:
                found = reader.read_next_batch_with_custom_metadata()
            except (pa.ArrowInvalid, OSError, StopIteration):
                return
            yield SegmentBatch(found.batch, source.tell(), _place_in(found.custom_metadata))


def _wanted(source: pa.NativeFile, columns: Sequence[str] | None) -> list[int]:
    if columns is None:
        return []
    names = pa.ipc.read_schema(source).names
    source.seek(0)
    return [number for number, name in enumerate(names) if name in columns]


def _place_in(metadata: Any) -> dict[str, Any] | None:
    if metadata is None or PLACE not in metadata:
        return None
    found = json.loads(metadata[PLACE])
    return found if isinstance(found, dict) else None


def whole_size(path: Path) -> int:
    """Up to where a segment is whole: the end of its last batch, or 0. Raises OSError."""
    end = 0
    for found in read_segment(path):
        end = found.end
    return end


def is_cut(path: Path) -> bool:
    """Whether anything follows its last whole batch but the mark of its end. Raises OSError."""
    with path.open("rb") as file:
        file.seek(whole_size(path))
        rest = file.read(len(END) + 1)
    return rest not in (b"", END)


END = b"\xff\xff\xff\xff\0\0\0\0"
"""What Arrow writes behind the last batch."""
