"""Bounds of what a recorder keeps in memory."""

from lightningd_py.observatory.record.feed_rows import FeedRows
from lightningd_py.observatory.record.place import Place
from lightningd_py.observatory.record.rows import MOST_ROWS, ORDER, Rows, Seen
from lightningd_py.observatory.record.spool import DiskError, Spool
from lightningd_py.observatory.record.writing import MOST_LOSSES, Writing
from tests.lightningd_py.observatory.recorded import Said, heard, update


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_hashes_are_remembered_for_one_generation_at_least_and_two_at_most() -> None:
    seen = Seen(100)
    assert all(seen.is_new(key(number)) for number in range(150))
    assert not any(seen.is_new(key(number)) for number in range(50, 150))
    for number in range(1000, 2000):
        seen.is_new(key(number))
        assert len(seen._newer) + len(seen._older) <= 200
    assert seen.is_new(key(149))


def test_what_was_not_recorded_is_new_again() -> None:
    seen = Seen(100)
    assert seen.is_new(key(1)) and not seen.is_new(key(1)) and key(1) in seen
    seen.forget(key(1))
    assert key(1) not in seen and seen.is_new(key(1))


def test_full_with_a_batch_and_taken_in_order() -> None:
    rows = Rows()
    for table in reversed(ORDER):
        rows.add(table, (table,))
    assert not rows.full
    assert [table for table, _ in rows.take()] == list(ORDER)
    for _ in range(MOST_ROWS):
        rows.add("map", ())
    assert rows.full
    rows.take()
    assert not rows.full and rows.take() == []


class NoRoom(Spool):
    """A disk that takes nothing."""

    def __init__(self) -> None:
        """Without a folder."""

    def write(self, table: str, batch: object, place: str) -> None:
        raise DiskError("No space left on device")


def test_disk_that_stays_full_costs_bounded_memory() -> None:
    rows, said = Rows(), Said()
    feed_rows = FeedRows("here", rows, Place())
    writing = Writing(rows, feed_rows, NoRoom(), lambda sentence: None)
    for _ in range(30):
        for number in range(1000):
            feed_rows.take(*heard(said.arrival(update(number), 1, skip=1)))
        writing.flush()
    assert len(rows.tables["losses"]) == MOST_LOSSES
    assert writing.lost == 60_000, "arrivals, and each time their messages, which were not recorded"
    assert writing.trouble.sentence.startswith("nothing can be recorded: No space left on device")
