"""What is sent are the batches of the spool, each once and in order, however the spool grows, is cut or is emptied."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from lightningd_py.observatory.jetstream.outbox import PUBLISHED, Outbox
from lightningd_py.observatory.record.spool import Spool
from lightningd_py.observatory.tables.schemas import TABLES, batch

PLACE = "{}"


def clock_batch(number: int) -> pa.RecordBatch:
    return batch("clock", [(number, "here", *[None] * 7)])


def drain(outbox: Outbox, most: int = 3) -> list[tuple[int, int]]:
    """Number and content of each batch that waits."""
    found = []
    while window := outbox.next("clock", most):
        for each in window:
            table = pa.ipc.open_stream(each.body).read_all()
            assert table.schema.equals(TABLES["clock"].schema)
            found.append((each.id.number, table.column("time_ns")[0].as_py()))
        outbox.sent("clock", window[-1].after)
    return found


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path, "here", 5)
    yield spool
    spool.close()


def test_batches_come_once_while_segments_grow_and_follow_each_other(tmp_path: Path, spool: Spool) -> None:
    outbox = Outbox(tmp_path, "here")
    assert drain(outbox) == []
    numbers = iter(range(100))
    found = []
    for size in (1, 4, 0, 7):
        for _ in range(size):
            spool.write("clock", clock_batch(next(numbers)), PLACE)
        found += drain(outbox)
        if size == 4:
            spool.close()
    assert found == [(number, number) for number in range(12)]
    assert outbox.waits() == 0


def test_next_run_goes_on_where_the_last_has_saved(tmp_path: Path, spool: Spool) -> None:
    for number in range(5):
        spool.write("clock", clock_batch(number), PLACE)
    outbox = Outbox(tmp_path, "here")
    outbox.sent("clock", outbox.next("clock", 2)[-1].after)
    outbox.save()
    outbox.sent("clock", outbox.next("clock", 1)[-1].after)
    spool.close()
    another = Spool(tmp_path, "here", 6)
    another.write("clock", clock_batch(50), PLACE)
    later = Outbox(tmp_path, "here")
    assert later.waits() > 0
    assert drain(later) == [(2, 2), (3, 3), (4, 4), (0, 50)]
    another.close()


def test_position_that_is_damaged_begins_at_the_beginning(tmp_path: Path, spool: Spool) -> None:
    spool.write("clock", clock_batch(1), PLACE)
    spool.close()
    for content in ("", "[]", '{"clock": [1]', '{"clock": "x"}', '{"clock": [1, 2, 3, 4, 5]}'):
        (tmp_path / "spool" / f"here{PUBLISHED}").write_text(content)
        assert drain(Outbox(tmp_path, "here")) == [(0, 1)]


def test_segment_cut_anywhere(tmp_path: Path, spool: Spool) -> None:
    """Whole batches are sent, and the next ones when the rest has come."""
    for number in range(3):
        spool.write("clock", clock_batch(number), PLACE)
    path = next(iter(spool.paths))
    spool.close()
    whole = path.read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        outbox = Outbox(tmp_path, "here")
        found = drain(outbox)
        assert found == [(number, number) for number in range(len(found))]
        path.write_bytes(whole)
        assert found + drain(outbox) == [(0, 0), (1, 1), (2, 2)]


def test_what_the_server_has_goes_after_a_while(tmp_path: Path, spool: Spool) -> None:
    outbox = Outbox(tmp_path, "here")
    for number in range(2):
        spool.write("clock", clock_batch(number), PLACE)
        spool.close()
    paths = sorted((tmp_path / "spool/clock").iterdir())
    for path in paths:
        os.utime(path, (time.time() - 100, time.time() - 100))
    assert outbox.remove_older(50) == 0, "nothing was sent"
    drain(outbox)
    assert outbox.remove_older(1_000) == 0
    assert outbox.remove_older(50) == 1, "the last one may yet grow"
    assert paths[1].exists() and not paths[0].exists()


def test_segment_that_the_quota_takes_is_passed_over(tmp_path: Path, spool: Spool) -> None:
    outbox = Outbox(tmp_path, "here")
    for number in range(3):
        spool.write("clock", clock_batch(number), PLACE)
        spool.close()
    paths = sorted((tmp_path / "spool/clock").iterdir())
    assert outbox.next("clock", 1)[0].id.number == 0
    paths[1].unlink()
    assert drain(outbox) == [(0, 0), (2, 2)]
