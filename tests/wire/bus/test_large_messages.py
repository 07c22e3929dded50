"""The bound of bytes and its shares, without ZMQ."""

from wire.bus.large_messages import LargeMessages


class Left:
    """A tracker."""

    def __init__(self) -> None:
        self.done = False


def fill(large: LargeMessages, route: bytes, size: int) -> list[Left]:
    """As many messages of this size as have room."""
    trackers = []
    while large.has_room(route, size):
        trackers.append(Left())
        large.sent(route, trackers[-1], size)
    return trackers


def test_ends_that_do_not_read_share_and_never_have_all() -> None:
    large = LargeMessages(most=1_000_000)
    routes = [bytes([i]) for i in range(20)]
    for route in routes:
        fill(large, route, 1_000)
        assert large.of(route) >= 1_000
        assert large.size < 1_000_000 + len(routes) * 1_000
    assert large.of(routes[0]) == 500_000
    assert large.of(routes[1]) == 250_000


def test_one_message_goes_however_large_it_is() -> None:
    large = LargeMessages(most=1_000)
    assert len(fill(large, b"a", 5_000)) == 1
    assert len(fill(large, b"b", 5_000)) == 1


def test_what_has_left_makes_room_for_all() -> None:
    """That of another route too."""
    large = LargeMessages(most=1_000_000)
    trackers = fill(large, b"a", 1_000)
    fill(large, b"b", 1_000)
    before = large.of(b"b")
    for tracker in trackers:
        tracker.done = True
    assert len(fill(large, b"b", 1_000)) == 250
    assert large.of(b"b") == before + 250_000 == large.size
    assert large.of(b"a") == 0
