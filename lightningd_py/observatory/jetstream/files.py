"""The second transport, without any server: spools that were copied here, by rsync or from S3, into an archive.

A batch is known by the run and number that its segment's name and place give it, as if it had come by a stream: so
files may come again, grow, or come by both ways.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa

from lightningd_py.observatory.jetstream.bodies import Unreadable, check_batch
from lightningd_py.observatory.jetstream.names import ARCHIVE, BatchId
from lightningd_py.observatory.jetstream.positions import Positions, known_positions, mend, place, save_positions
from lightningd_py.observatory.record.conversion import Conversion, closed_segments
from lightningd_py.observatory.record.spool import DiskError, Spool
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.names import SegmentName, segments
from lightningd_py.observatory.tables.schemas import TABLES
from lightningd_py.observatory.tables.segment import read_segment

RUN_BATCHES = 20_000
"""Batches after which hour files are made: some 500 MB of spool."""


def archive_files(folder: Path, sources: Iterable[Path], say: Callable[[str], None]) -> int:
    """Take from these folders, each of which has a recorder's `spool`, what is not in the archive yet; how many batches
    that were. The lock on the folder is the caller's.

    Raises ObservatoryError and OSError: what was taken until then stays.
    """
    mend(folder, ARCHIVE)
    positions = known_positions(folder, ARCHIVE)
    spool = Spool(folder, ARCHIVE, time.time_ns())
    conversion = Conversion(folder, ARCHIVE, leave=save_positions)
    taken = 0
    try:
        for source in sources:
            if not (source / "spool").is_dir():
                raise ObservatoryError(f"{source}: there is no folder `spool` of a recorder")
            for table in TABLES:
                for path in segments(source, table):
                    taken += _take(spool, positions, table, path, say)
                    if taken >= RUN_BATCHES:
                        _convert(folder, spool, conversion)
    except DiskError as error:
        raise ObservatoryError(f"nothing more can be archived: {error}") from error
    finally:
        spool.close()
    _convert(folder, spool, conversion)
    return taken


def _convert(folder: Path, spool: Spool, conversion: Conversion) -> None:
    spool.close()
    try:
        conversion.convert(closed_segments(folder, ARCHIVE, spool.paths))
    except pa.ArrowException as error:
        raise ObservatoryError(f"no hour files could be written: {error}") from error


def _take(spool: Spool, positions: Positions, table: str, path: Path, say: Callable[[str], None]) -> int:
    name = SegmentName.parse(path.name)
    assert name is not None
    position = positions[table]
    taken = 0
    for count, found in enumerate(read_segment(path)):
        id = BatchId(name.vantage, name.epoch, table, name.first + count)
        if not position.numbers.has(id):
            try:
                check_batch(table, id, found.batch)
            except Unreadable as error:
                say(f"{path}: batch {count} is left out: {error}")
                continue
            spool.write(table, found.batch, place(position.last, id))
            position.numbers.is_new(id)
            taken += 1
    return taken
