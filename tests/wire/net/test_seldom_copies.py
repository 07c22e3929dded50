"""Which copies of peer storage go up, and when: the newest one, at once or after a while, within a bound."""

import pytest

from wire.net.seldom_copies import INTERVAL, MOST_WAITING, OVERHEAD, SeldomCopies
from wire.peer_wire import PeerStorage, PeerStorageRetrieval


def storage(number: int, size: int = 4) -> bytes:
    return PeerStorage(number.to_bytes(size, "big")).encode()


def test_other_types_go_up_each_time() -> None:
    copies = SeldomCopies()
    assert all(copies.hear(1, "a", bytes.fromhex("0201cafe"), 0.0, room=True) for _ in range(100))
    assert (len(copies), copies.lost, copies.leave(1)) == (0, 0, [])


@pytest.mark.bolt("B1-153")
def test_first_goes_up_at_once_and_the_newest_of_those_after_it_in_a_while() -> None:
    copies = SeldomCopies()
    assert copies.hear(1, "a", storage(0), 100.0, room=True)
    assert not any(copies.hear(1, "a", storage(number), 101.0, room=True) for number in range(1, 1_000))
    assert (copies.due(100.0 + INTERVAL - 0.1), copies.next_due) == ([], 100.0 + INTERVAL)
    assert copies.due(100.0 + INTERVAL) == [(1, storage(999))]
    assert (copies.due(1_000.0), copies.next_due, copies.lost) == ([], None, 998)
    assert not copies.hear(1, "a", storage(5), 100.0 + 2 * INTERVAL - 0.1, room=True), (
        "a while after the one that has waited"
    )
    assert copies.hear(1, "a", storage(6), 100.0 + 2 * INTERVAL, room=True), "the one that waits is older"
    assert (copies.due(1_000.0), copies.lost) == ([], 999)


def test_both_types_and_each_connection_have_their_own() -> None:
    copies = SeldomCopies()
    said = [(1, storage(1)), (1, PeerStorageRetrieval(b"x").encode()), (2, storage(2))]
    assert all(copies.hear(conn_id, "a", message, 0.0, room=True) for conn_id, message in said)
    assert not any(copies.hear(conn_id, "a", message, 1.0, room=True) for conn_id, message in said)
    assert sorted(copies.leave(1)) == sorted(message for conn_id, message in said if conn_id == 1)
    assert copies.due(INTERVAL) == [(2, storage(2))]


def test_what_waits_goes_up_when_the_connection_leaves_and_another_one_begins_again() -> None:
    copies = SeldomCopies()
    assert copies.hear(1, "a", storage(1), 0.0, room=True)
    assert not copies.hear(1, "a", storage(2), 1.0, room=True)
    assert copies.leave(1) == [storage(2)]
    assert (copies.leave(1), copies.due(INTERVAL)) == ([], [])
    assert copies.hear(1, "a", storage(3), 2.0, room=True)


def test_the_greediest_source_loses_its_own() -> None:
    """A hundred connections of one network fill the room; a peer of another one keeps what it has."""
    size = 60_000
    copies = SeldomCopies(most_bytes=10 * (size + OVERHEAD + 4))
    for conn_id in range(100):
        assert copies.hear(conn_id, "flood", storage(0), 0.0, room=True)
    assert copies.hear(1_000, "honest", storage(0), 0.0, room=True)
    assert not copies.hear(1_000, "honest", storage(7, size), 1.0, room=True)
    for conn_id in range(100):
        assert not copies.hear(conn_id, "flood", storage(conn_id, size), 1.0, room=True)
    assert (len(copies), copies.lost) == (10, 91)
    assert copies.leave(1_000) == [storage(7, size)]
    assert [copies.leave(conn_id) for conn_id in range(91)] == [[]] * 91


def test_empty_messages_are_bounded_too() -> None:
    copies = SeldomCopies()
    for conn_id in range(MOST_WAITING + 10):
        assert copies.hear(conn_id, conn_id, storage(0), 0.0, room=True)
        assert not copies.hear(conn_id, conn_id, storage(0), 1.0, room=True)
    assert (len(copies), copies.lost) == (MOST_WAITING, 10)


def test_while_the_master_takes_none_the_newest_waits() -> None:
    copies = SeldomCopies()
    assert not copies.hear(1, "a", storage(1), 0.0, room=False)
    assert not copies.hear(1, "a", storage(2), 0.0, room=False)
    assert copies.due(0.0) == [(1, storage(2))], "as soon as there is room"
    assert not copies.hear(1, "a", storage(3), 1.0, room=True)
