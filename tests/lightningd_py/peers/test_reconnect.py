"""When kept nodes are dialled: without clocks and sockets."""

from hypothesis import given
from hypothesis import strategies as st

from lightningd_py.peers.reconnect import JITTER, Reconnect
from wire.control.timing import Timing

A, B = bytes([2]) * 33, bytes([3]) * 33
TIMING = Timing()


def core(chance: float = 0.0) -> Reconnect:
    return Reconnect(TIMING, lambda: chance)


def test_a_node_that_is_not_there_is_dialled_at_once_and_then_ever_more_seldom() -> None:
    nodes = core()
    nodes.keep(A, 100.0, connected=False)
    now, waits = 100.0, []
    for _ in range(11):
        assert nodes.next_due is not None
        waits.append(nodes.next_due - now)
        now = nodes.next_due
        assert nodes.take_due(now - 0.001) == []
        assert nodes.take_due(now) == [A]
        assert nodes.take_due(now + 1_000) == [], "it is being dialled"
        nodes.failed(A, now, "no")
    assert waits == [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert (nodes.nodes[A].tries, nodes.nodes[A].error) == (11, "no")


@given(st.floats(0, 1, exclude_max=True))
def test_jitter_only_adds(chance: float) -> None:
    nodes = core(chance)
    nodes.keep(A, 0.0, connected=False)
    nodes.take_due(0.0)
    nodes.failed(A, 0.0, "")
    assert nodes.next_due is not None
    assert 1.0 <= nodes.next_due <= 1.0 + JITTER


def test_a_short_connection_does_not_set_the_wait_back_and_a_long_one_does() -> None:
    nodes = core()
    nodes.keep(A, 0.0, connected=False)
    for _ in range(4):
        nodes.take_due(1e9)
        nodes.failed(A, 0.0, "")
    nodes.connected(A, 100.0)
    assert nodes.next_due is None
    nodes.ended(A, 399.0, "it hung up")
    assert nodes.next_due == 399.0 + 16
    nodes.connected(A, 500.0)
    assert nodes.nodes[A].tries == 0
    nodes.ended(A, 800.0, "it hung up")
    assert nodes.next_due == 801.0


def test_one_that_is_connected_is_not_dialled() -> None:
    nodes = core()
    nodes.keep(A, 0.0, connected=True)
    nodes.keep(A, 0.0, connected=False)
    assert nodes.next_due is None
    nodes.failed(A, 1.0, "an older dial, overtaken")
    assert nodes.next_due is None


def test_others_do_not_matter() -> None:
    nodes = core()
    nodes.connected(B, 0.0)
    nodes.ended(B, 1.0, "")
    nodes.failed(B, 2.0, "")
    nodes.let_go(B)
    nodes.keep(A, 0.0, connected=False)
    nodes.let_go(A)
    assert A not in nodes
    assert nodes.next_due is None
