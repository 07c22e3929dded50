"""How far an archive has come in each table's stream: what its batches say, behind what the last conversion has left.

Each batch of the archive's spool carries the stream's sequence number and the id with which it came, so a kill at any
moment leaves both or neither. A conversion leaves the sum of it in a file before the segments go.
"""

import json
from pathlib import Path
from typing import Any

from lightningd_py.observatory.jetstream.names import BatchId
from lightningd_py.observatory.jetstream.numbers import Numbers
from lightningd_py.observatory.record.conversion import Chosen, closed_segments
from lightningd_py.observatory.tables.files import replace_file
from lightningd_py.observatory.tables.names import SPOOL
from lightningd_py.observatory.tables.schemas import TABLES
from lightningd_py.observatory.tables.segment import is_cut, read_segment, whole_size

POSITIONS = ".positions"


class Position:
    """Of one table: the highest sequence number that is in the archive, and the batches that it has."""

    def __init__(self, last: int = 0, numbers: Numbers | None = None) -> None:
        self.last = last
        self.numbers = numbers or Numbers()

    def would_take(self, sequence: int, id: BatchId | None) -> bool:
        """Whether it is not in the archive yet."""
        return sequence > self.last and (id is None or not self.numbers.has(id))

    def take(self, sequence: int, id: BatchId | None) -> None:
        """This is in the archive from now on."""
        self.last = max(self.last, sequence)
        if id is not None:
            self.numbers.is_new(id)


Positions = dict[str, Position]


def place(sequence: int, id: BatchId | None) -> str:
    """A batch's metadata, see SegmentBatch.place."""
    return json.dumps({"sequence": sequence, "id": None if id is None else str(id)})


def mend(folder: Path, name: str) -> None:
    """Cut from the spool what is not whole, after a kill. Raises OSError."""
    for table, names in closed_segments(folder, name, ()).items():
        for segment in names:
            path = folder / SPOOL / table / segment
            if is_cut(path):
                with path.open("r+b") as file:
                    file.truncate(whole_size(path))


def known_positions(folder: Path, name: str) -> Positions:
    """Where the archive of this name was when it ended, however it ended."""
    return _with_segments(folder, name, closed_segments(folder, name, ()))


def _with_segments(folder: Path, name: str, chosen: Chosen) -> Positions:
    positions = _saved(folder / SPOOL / f"{name}{POSITIONS}")
    for table in TABLES:
        position = positions.setdefault(table, Position())
        for segment in chosen.get(table, ()):
            for found in read_segment(folder / SPOOL / table / segment, ["vantage"]):
                if found.place is not None:
                    said = found.place.get("id")
                    position.take(int(found.place["sequence"]), None if said is None else BatchId.parse(said))
    return positions


def _saved(path: Path) -> Positions:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        return {table: Position(int(last), Numbers.decode(numbers)) for table, (last, numbers) in found.items()}
    except FileNotFoundError:
        return {}


def save_positions(folder: Path, name: str, chosen: Chosen) -> None:
    """Leave in a file what these segments say, before they go; of others, which may not be on the disk yet, nothing.

    Raises OSError.
    """
    known = _with_segments(folder, name, chosen)
    content = {table: [position.last, position.numbers.encode()] for table, position in known.items()}
    replace_file(folder / SPOOL / f"{name}{POSITIONS}", json.dumps(content).encode())
