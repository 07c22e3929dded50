"""Checksums that are kept: made once, and never those of another update."""

import random

import google_crc32c
import pytest

from gossipd.serve.checksums import Checksums
from tests.gossipd.bench import CHANNEL, Bench
from tests.gossipd.messages import NOW, announcement, scid, update


def slow(bench: Bench, row: int, direction: int) -> int:
    """From the store, each time."""
    offset = bench.index.update_off[direction][row]
    raw = bench.store.read(offset) if offset else b""
    return google_crc32c.value(raw[66:106] + raw[110:]) if raw else 0


def test_made_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.take(*CHANNEL, announcement(1), update(1))
    rows, checksums = list(bench.index.channels.values()), Checksums(bench.index, bench.store)
    before = checksums.of_rows(rows)
    with monkeypatch.context() as broken:
        broken.setattr(bench.store, "read", None)
        assert checksums.of_rows(rows) == before
        assert checksums.of(rows[0], 1) == before[0][1]
    bench.take(update(timestamp=NOW + 1, cltv_expiry_delta=77))
    after = checksums.of_rows(rows)
    assert after[0][0] != before[0][0]
    assert (after[0][1], after[1]) == (before[0][1], before[1])


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_they_are_those_of_the_map(bench: Bench, seed: int) -> None:
    """Channels come and go, so that rows are used again, with updates of the same times or none."""
    chance, checksums = random.Random(seed), Checksums(bench.index, bench.store)
    for turn in range(60):
        number = chance.randrange(4)
        if scid(number) in bench.index.channels and chance.random() < 0.4:
            bench.index.remove_channel(bench.index.channels[scid(number)])
        else:
            each = [update(number, way, NOW + turn // 9, cltv_expiry_delta=number + 1) for way in (0, 1)]
            bench.take(announcement(number), *chance.choice([[], each[:1], each[1:], each]))
            bench.ingest.write_lonely(-1.0)
        rows = list(bench.index.channels.values())
        expected = [(slow(bench, row, 0), slow(bench, row, 1)) for row in rows]
        assert checksums.of_rows(rows) == expected


def test_no_more_are_made_at_a_time_than_is_said(bench: Bench) -> None:
    for number in range(6):
        bench.take(announcement(number), update(number, 0), update(number, 1))
    rows, checksums = list(bench.index.channels.values()), Checksums(bench.index, bench.store)
    assert len(checksums.of_rows(rows, 4)) == 2
    assert checksums.made == 4
    assert len(checksums.of_rows(rows, 4)) == 4
    assert checksums.made == 8
    assert len(checksums.of_rows(rows, 4)) == 6
    assert checksums.of_rows(rows, 0) == []
