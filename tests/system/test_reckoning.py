"""The reckoning of `make scale`: it finds an arrival that is missing, doubled, or wrongly told of as lost."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lightningd_py.observatory.jetstream.names import ARCHIVE
from lightningd_py.observatory.record.spool import Spool
from lightningd_py.observatory.tables.schemas import batch
from tests.torture.feeds import PEERS, TOPIC
from tests.torture.reckoning import row_count, wrong_of_feeds

HASHES = [bytes([number]) * 16 for number in range(3)]
SAID = PEERS * len(HASHES)
FEEDS: Any = SimpleNamespace(names=["v0"], hashes=HASHES, each=lambda: SAID)


def archive(folder: Path, seqs: list[int], lost: list[tuple[int, int]], hash_: bytes | None = None) -> Path:
    """What came with these seqs, and the rows of `losses`: first, count."""
    spool = Spool(folder, ARCHIVE, 1)
    rows = [(1, "v0", hash_ or HASHES[(seq - 1) // PEERS], None, (seq - 1) % PEERS + 1, *[None] * 7) for seq in seqs]
    spool.write("arrivals", batch("arrivals", rows), "{}")
    if lost:
        spool.write(
            "losses", batch("losses", [(1, "v0", 7, TOPIC, first, count, "away") for first, count in lost]), "{}"
        )
    spool.close()
    return folder


def test_all_that_was_said(tmp_path: Path) -> None:
    found = archive(tmp_path, [1, *range(4, SAID + 1)], [(2, 2)])
    assert row_count(found) == SAID - 2
    assert not wrong_of_feeds(found, FEEDS)


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
    assert wrong_of_feeds(archive(tmp_path, seqs, lost), FEEDS) == [f"v0: of {SAID} arrivals {words}"]


def test_what_was_never_said(tmp_path: Path) -> None:
    assert wrong_of_feeds(archive(tmp_path, [1], [], b"x" * 16), FEEDS) == ["v0: 1 rows were never said"]
