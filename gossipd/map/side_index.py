"""The index as a file beside the gossip_store, written at a clean stop, so that the next start need not read the store.

It is never the truth: it counts only if it is whole and the store is, byte for byte, the file that it was made from
(uuid, length, and the CRC-32C of all of it); else the store is read as ever. Numbers are in the machine's own widths
and byte order, which are compared too.
"""

import contextlib
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from struct import Struct

import google_crc32c

from gossipd.map.index import MapIndex
from gossipd.store.file import replace_file
from gossipd.store.records import Buffer

ENDING = ".index"

_MAGIC = b"lightningd-py gossip index 1"
_OF_STORE = Struct("=28s32sQIBB")
"""Magic, uuid, length, CRC-32C, width of an unsigned long, whether little-endian."""
_COUNTS = Struct("=QIII")
"""Dead bytes of the store; rows of channels, rows of nodes, dying channels."""
_DYING = Struct("=QIQ")
_CRC = Struct("=I")
_NODE_ID = 33


def path_of(store: Path) -> Path:
    """The name of the side index of the store at that path."""
    return store.with_name(store.name + ENDING)


def write(store: Path, seal: bytes, index: MapIndex, dead_bytes: int) -> None:
    """Write the side index of a store that is not written to any more, whose `seal` that is. OSError from the disk."""
    dying = [_DYING.pack(scid, height, offset) for scid, (height, offset) in index.dying.items()]
    content = b"".join(
        [
            seal,
            _COUNTS.pack(dead_bytes, len(index.scid), len(index.node_ids), len(dying)),
            *(column.tobytes() for column in (*index.channel_columns(), *index.node_columns())),
            *(node_id or bytes(_NODE_ID) for node_id in index.node_ids),
            *dying,
        ]
    )
    replace_file(path_of(store), content + _CRC.pack(google_crc32c.value(content)))


def take(store: Path, seal: Callable[[], bytes]) -> tuple[MapIndex, int] | None:
    """The index of the store with this seal, and how much of that is dead; None if there is none that fits. The seal is
    asked for if there is an index at all.

    The file is gone then: it will not fit any more.
    """
    with contextlib.suppress(OSError):
        content = path_of(store).read_bytes()
        path_of(store).unlink()
        end = len(content) - _CRC.size
        if content.startswith(_MAGIC) and google_crc32c.value(content[:end]) == _CRC.unpack_from(content, end)[0]:
            return _unpack(content) if content.startswith(seal()) else None
    return None


def seal(uuid: bytes, chunks: Iterable[Buffer]) -> bytes:
    """What the index's file begins with: of which store it is. `chunks` are all of the store."""
    crc = length = 0
    for chunk in chunks:
        crc = google_crc32c.extend(crc, chunk)
        length += len(chunk)
    return _OF_STORE.pack(_MAGIC, uuid, length, crc, array("L").itemsize, sys.byteorder == "little")


def _unpack(content: bytes) -> tuple[MapIndex, int]:
    index = MapIndex()
    dead_bytes, channels, nodes, dying = _COUNTS.unpack_from(content, _OF_STORE.size)
    place = _OF_STORE.size + _COUNTS.size
    for columns, rows in ((index.channel_columns(), channels), (index.node_columns(), nodes)):
        for column in columns:
            column.frombytes(content[place : place + rows * column.itemsize])
            place += rows * column.itemsize
    index.node_ids = list(_node_ids(content, place, nodes))
    place += nodes * _NODE_ID
    for scid, height, offset in _DYING.iter_unpack(content[place : place + dying * _DYING.size]):
        index.dying[scid] = (height, offset)
    index.rows_restored()
    return index, dead_bytes


def _node_ids(content: bytes, start: int, count: int) -> Iterator[bytes]:
    free = bytes(_NODE_ID)
    for place in range(start, start + count * _NODE_ID, _NODE_ID):
        node_id = content[place : place + _NODE_ID]
        yield b"" if node_id == free else node_id
