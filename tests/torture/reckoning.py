"""What an archive has, against what the generator of `scale` knows: each arrival once, or in a row of `losses`."""

from collections import Counter
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lightningd_py.observatory.tables.reading import Record
from tests.harness.observatories import arrivals_of, whole
from tests.lightningd_py.observatory.recorded import rows
from tests.torture.feeds import PEERS, TOPIC, Feeds

COLUMNS = ["vantage", "conn_id", "hash"]


def row_count(archive: Path) -> int:
    """Arrivals that are in it."""
    if not (archive / "spool").is_dir():
        return 0
    part = Record(archive).part("arrivals", ["vantage"])
    return int(part.recent.num_rows + sum(pq.read_metadata(path).num_rows for path in part.files))


def losses(archive: Path) -> list[dict[str, Any]]:
    """The rows of `losses` that tell of something."""
    return [row for row in rows(archive, "losses") if row["why"] not in ("start", "reconnect")]


def lost_count(archive: Path) -> int:
    """Messages that it tells of as lost; one for a row that does not say how many."""
    return sum(row["count"] or 1 for row in losses(archive))


def lost_of(archive: Path, vantage: str) -> Iterator[int]:
    """The seqs that its recorder says are missing."""
    for row in losses(archive):
        if row["vantage"] == vantage and row["topic"] == TOPIC:
            yield from range(row["first_seq"], row["first_seq"] + (row["count"] or 1))


def wrong_of_feeds(archive: Path, feeds: Feeds, killed: Set[str] = frozenset()) -> list[str]:
    """A sentence for each vantage point of which the archive has not what was said, and for each other loss.

    `killed`: vantage points whose recorders were away, so that some of their arrivals may be lost, if it is told.
    """
    found = whole(archive, "arrivals", COLUMNS)
    numbers = pc.index_in(found["hash"], value_set=pa.array(feeds.hashes, pa.binary(16)))
    found = found.append_column("number", numbers).select(["vantage", "conn_id", "number"])
    harm = []
    for name in feeds.names:
        own = found.filter(pc.equal(found["vantage"], name))
        harm += _wrong_of(name, own, feeds.each(), sorted(lost_of(archive, name)))
    harm += [f"lost: {row}" for row in losses(archive) if row["vantage"] not in killed or row["topic"] != TOPIC]
    return harm


def _wrong_of(name: str, own: pa.Table, said: int, lost: list[int]) -> list[str]:
    if own["number"].null_count:
        return [f"{name}: {own['number'].null_count:,} rows were never said"]
    numbers, peers = own["number"].to_numpy(), own["conn_id"].to_numpy()
    counts = np.bincount(PEERS * numbers + peers, minlength=said + 1)[1:]
    doubled = int((counts > 1).sum())
    missing = np.flatnonzero(counts == 0) + 1
    untold = len(np.setdiff1d(missing, lost))
    wrongly = len(np.setdiff1d(lost, missing))
    figures = {"doubled": doubled, "lost without a word": untold, "lost by word alone": wrongly}
    words = ", ".join(f"{count:,} {what}" for what, count in figures.items() if count)
    return [f"{name}: of {said:,} arrivals {words}"] if words else []


def wrong_of_nodes(archive: Path, truth: Path, names: set[str]) -> list[str]:
    """A sentence for each node of which the archive has not what scripted peers have said to it."""
    said, heard = arrivals_of(truth), arrivals_of(archive)
    heard = Counter({key: count for key, count in heard.items() if key[0] in names})
    found = []
    for name in sorted(names):
        less, more = (
            sum(count for key, count in difference.items() if key[0] == name)
            for difference in (said - heard, heard - said)
        )
        if less or more:
            found.append(f"{name}: {less:,} arrivals are missing and {more:,} too many")
    return found
