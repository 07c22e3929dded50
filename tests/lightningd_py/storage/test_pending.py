"""Which blobs are written when: one write a minute a peer, the newest, within a bound."""

import pytest

from lightningd_py.storage.pending import BATCH, EARLY, MINUTE, MOST, OVERHEAD, Pending

NODE, OTHER = bytes([2]) * 33, bytes([3]) * 33


@pytest.mark.bolt("B1-153")
def test_first_at_once_and_the_newest_of_a_minute_at_its_end() -> None:
    pending = Pending()
    assert pending.put(NODE, b"first", 100.0)
    batch = pending.due(100.0)
    assert (batch, pending.get(NODE)) == ([(NODE, b"first")], b"first")
    pending.written(batch, 101.0)
    assert (len(pending), pending.size, pending.get(NODE)) == (0, 0, None)
    assert not any(pending.put(NODE, bytes([number]), 102.0) for number in range(50))
    assert (pending.due(101.0 + MINUTE - 0.1), pending.get(NODE)) == ([], bytes([49]))
    assert pending.due(101.0 + MINUTE) == [(NODE, bytes([49]))]
    assert pending.size == 1 + OVERHEAD
    assert pending.put(OTHER, b"other", 102.0), "each peer has its own minute"


def test_one_that_comes_while_an_older_one_is_written_waits_for_its_own_minute() -> None:
    pending = Pending()
    pending.put(NODE, b"old", 0.0)
    batch = pending.due(0.0)
    pending.put(NODE, b"new", 0.5)
    pending.written(batch, 1.0)
    assert (pending.get(NODE), pending.due(MINUTE)) == (b"new", [])
    assert pending.due(1.0 + MINUTE) == [(NODE, b"new")]


def test_what_is_not_written_waits_on() -> None:
    pending = Pending()
    pending.put(NODE, b"blob", 0.0)
    assert pending.due(0.0) == pending.due(30.0) == [(NODE, b"blob")]


def test_what_is_dropped_is_not_written() -> None:
    pending = Pending()
    pending.put(NODE, b"blob", 0.0)
    batch = pending.due(0.0)
    pending.drop(NODE)
    pending.drop(NODE)
    pending.written(batch, 1.0)
    assert (len(pending), pending.size) == (0, 0)


def test_bounds() -> None:
    """A disk that takes nothing, and a thousand peers."""
    pending, blob = Pending(), bytes(65_531)
    for number in range(1_000):
        node_id = number.to_bytes(33, "big")
        if pending.has_room(node_id, len(blob)):
            pending.put(node_id, blob, 0.0)
    assert MOST - len(blob) - OVERHEAD < pending.size <= MOST
    assert pending.has_room((0).to_bytes(33, "big"), len(blob)), "in the place of its own"
    assert not pending.has_room(NODE, len(blob))
    assert BATCH < sum(len(blob) + OVERHEAD for _, blob in pending.due(0.0)) <= BATCH + len(blob) + OVERHEAD


def test_much_is_written_before_its_time() -> None:
    pending, blob = Pending(), bytes(65_531)
    count = EARLY // len(blob) + 2
    nodes = [number.to_bytes(33, "big") for number in range(count)]
    for node_id in nodes:
        pending.put(node_id, b"", 0.0)
    pending.written([(node_id, pending.get(node_id) or b"") for node_id in nodes], 0.0)
    assert [pending.put(node_id, blob, 1.0) for node_id in nodes].index(True) >= EARLY // (len(blob) + OVERHEAD)
    assert [node_id for node_id, _ in pending.due(1.0)] == nodes[: len(pending.due(1.0))] != []


def test_another_program_goes_on() -> None:
    pending, after = Pending(), Pending()
    pending.put(NODE, b"first", 100.0)
    pending.written(pending.due(100.0), 100.0)
    pending.put(NODE, b"second", 110.0)
    pending.put(OTHER, b"other", 110.0)
    left = pending.leave(120.0)
    assert left == [(NODE, b"second", 40.0), (OTHER, b"other", 0.0)]
    after.resume(left, 7.0)
    assert (after.due(7.0), after.size) == ([(OTHER, b"other")], pending.size)
    assert [node_id for node_id, _ in after.due(47.0)] == [NODE, OTHER]
