"""The reckoning of `make scale`: it finds an arrival that is missing, doubled, or wrongly told of as lost."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lightningd_py.observatory.jetstream.names import ARCHIVE
from lightningd_py.observatory.record.spool import Spool
from lightningd_py.observatory.tables.schemas import batch
from tests.torture.feeds import PEERS, TOPIC
from tests.torture.reckoning import lost_count, row_count, wrong_of_feeds, wrong_of_nodes

HASHES = [bytes([number]) * 16 for number in range(3)]
SAID = PEERS * len(HASHES)
FEEDS: Any = SimpleNamespace(names=["v0"], hashes=HASHES, each=lambda: SAID)


def archive(folder: Path, seqs: list[int], lost: list[tuple[int, int]], hash_: bytes | None = None) -> Path:
    """What came with these seqs, and the rows of `losses`: first, count."""
    rows = [(1, "v0", hash_ or HASHES[(seq - 1) // PEERS], None, (seq - 1) % PEERS + 1, *[None] * 7) for seq in seqs]
    return written(folder, rows, lost)


def written(folder: Path, rows: list[tuple[Any, ...]], lost: list[tuple[int, int]]) -> Path:
    """An archive with these rows of `arrivals`, and those of `losses`."""
    spool = Spool(folder, ARCHIVE, 1)
    spool.write("arrivals", batch("arrivals", rows), "{}")
    if lost:
        spool.write(
            "losses", batch("losses", [(1, "v0", 7, TOPIC, first, count, "away") for first, count in lost]), "{}"
        )
    spool.close()
    return folder


def test_all_that_was_said(tmp_path: Path) -> None:
    found = archive(tmp_path, [1, *range(4, SAID + 1)], [(2, 2)])
    assert (row_count(found), lost_count(found)) == (SAID - 2, 2)
    assert not wrong_of_feeds(found, FEEDS, {"v0"})
    (loss,) = wrong_of_feeds(found, FEEDS)
    assert loss.startswith("lost: {"), "its recorder was always there"


@pytest.mark.parametrize(
    ("seqs", "lost", "words"),
    [
        ([*range(2, SAID + 1)], [], "1 lost without a word"),
        ([*range(1, SAID)], [], "1 lost without a word"),
        ([*range(1, SAID + 1), 7], [], "1 doubled"),
        ([*range(1, SAID + 1)], [(5, 3)], "3 lost by word alone"),
    ],
)
def test_what_is_wrong(tmp_path: Path, seqs: list[int], lost: list[tuple[int, int]], words: str) -> None:
    assert wrong_of_feeds(archive(tmp_path, seqs, lost), FEEDS, {"v0"}) == [f"v0: of {SAID} arrivals {words}"]


def test_what_was_never_said(tmp_path: Path) -> None:
    assert wrong_of_feeds(archive(tmp_path, [1], [], b"x" * 16), FEEDS) == ["v0: 1 rows were never said"]


def test_what_was_said_to_nodes(tmp_path: Path) -> None:
    def heard(name: str, *rows: tuple[str, int]) -> Path:
        """By (node, number of the message)."""
        peer = bytes([2]) * 33
        return written(tmp_path / name, [(1, node, HASHES[n], peer, *[None] * 8) for node, n in rows], [])

    truth = heard("truth", ("n0", 0), ("n0", 1), ("n0", 1), ("n1", 0))
    same = heard("same", ("n1", 0), ("n0", 1), ("n0", 0), ("n0", 1), ("v0", 2))
    assert not wrong_of_nodes(same, truth, {"n0", "n1"})
    wrong = heard("wrong", ("n0", 0), ("n0", 0), ("n0", 1), ("n1", 0))
    assert wrong_of_nodes(wrong, truth, {"n0", "n1"}) == ["n0: 1 arrivals are missing and 1 too many"]
    deaf = heard("deaf", ("n0", 0), ("n0", 1), ("n0", 1))
    assert wrong_of_nodes(deaf, truth, {"n0", "n1"}) == ["n1: 1 arrivals are missing and 0 too many"]
