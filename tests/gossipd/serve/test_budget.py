"""Budgets: what streams may take, and what is free."""

from gossipd.serve.budget import QUANTUM, Bucket, Budget
from tests.gossipd.gossipd_process import peer_info
from wire.metrics.tally import Tally

MESSAGE = bytes(1_000)


class Puller:
    """A peer with an endless stream."""

    work = 0

    def __init__(self) -> None:
        self.info = peer_info(1)
        self.pongs = [b"pong"]

    @property
    def has_free(self) -> bool:
        """Whether there is one left."""
        return bool(self.pongs)

    def pull_free(self, budget: int) -> list[bytes]:
        """All of them."""
        pongs, self.pongs = self.pongs, []
        return pongs

    def pull_paid(self, budget: int) -> list[bytes]:
        """As much as is wanted."""
        return [MESSAGE] * (budget // len(MESSAGE))


def served(budget: Budget, peers: dict[int, Puller], seconds: float, step: float = 0.01) -> dict[int, int]:
    """Bytes of gossip that each of these gets in so much time, each pulling whenever it may."""
    got = dict.fromkeys(peers, 0)
    for tick in range(int(seconds / step)):
        now = tick * step
        for conn_id, peer in peers.items():
            while not budget.wait(conn_id, now):
                got[conn_id] += sum(map(len, budget.pull(conn_id, peer, 10_000, now)))
    return got


def test_no_limit() -> None:
    budget = Budget(0, 0, Tally())
    peer = Puller()
    peer.pull_free(1)
    for _ in range(1_000):
        assert budget.wait(1, 0.0) == 0
        assert len(budget.pull(1, peer, 10_000, 0.0)) == 10


def test_pongs_are_free() -> None:
    budget = Budget(1_000, 0, Tally())
    peer = Puller()
    peer.pull_free(1)
    while budget.wait(1, 0.0) == 0:
        budget.pull(1, peer, 10_000, 0.0)
    assert budget.pull(1, peer, 10_000, 0.0) == []
    peer.pongs = [b"pong"]
    assert budget.pull(1, peer, 10_000, 0.0) == [b"pong"]


def test_a_peer_gets_its_rate() -> None:
    got = served(Budget(50_000, 0, Tally()), {1: Puller(), 2: Puller()}, 60)
    for size in got.values():
        assert 50_000 * 58 < size <= 50_000 * 62 + QUANTUM


def test_what_is_passed_over_is_paid_for() -> None:
    """A filter that matches nothing gives no byte, and is work all the same."""
    peer, budget = Puller(), Budget(50_000, 0, Tally())
    peer.pull_free(1)
    peer.pull_paid = lambda budget: []  # type: ignore[method-assign]
    peer.work = 10_000
    pulls = 0
    for now in range(60):
        while not budget.wait(1, now):
            assert budget.pull(1, peer, 10_000, now) == []
            pulls += 1
    assert 58 * 5 < pulls <= 64 * 5


def test_all_together_get_the_common_rate() -> None:
    got = served(Budget(50_000, 80_000, Tally()), {number: Puller() for number in range(4)}, 60)
    assert 80_000 * 58 < sum(got.values()) <= 80_000 * 62 + QUANTUM


def test_the_wait_is_as_long_as_it_must_be() -> None:
    bucket = Bucket(1_000, 0.0)
    bucket.take(2_000)
    assert bucket.wait(0.0) == 1.0
    assert bucket.wait(0.4) == 0.6
    assert bucket.wait(1.0) == 0.0


def test_who_has_left_leaves_nothing() -> None:
    budget = Budget(1_000, 0, Tally())
    for conn_id in range(10):
        budget.wait(conn_id, 0.0)
        budget.forget(conn_id)
    assert budget._peers == {}
