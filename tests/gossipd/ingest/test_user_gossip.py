"""Gossip by hand: one answer for each message, whatever becomes of it."""

import pytest

from gossipd.ingest.updates import MAX_FUTURE
from gossipd.ingest.user_gossip import UserGossip
from tests.gossipd.bench import CHANNEL, PRUNE, Bench
from tests.gossipd.messages import NOW, announcement, node_announcement, spoilt, update
from wire.types import NETWORKS

BITCOIN = NETWORKS["bitcoin"]


class User:
    """Adds messages and notes the answers."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.user_gossip = UserGossip()
        self.answers: list[str | None] = []
        bench.on_settled = self.user_gossip.settled

    def add(self, message: bytes) -> list[str | None]:
        """addgossip; the answers that have come."""
        self.user_gossip.add(message, self.bench.ingest, self.answers.append)
        return self.answers

    def add_and_check(self, message: bytes) -> str | None:
        """The one answer, after its check."""
        self.answers.clear()
        self.add(message)
        self.bench.signatures.run()
        (answer,) = self.answers
        return answer


@pytest.fixture
def user(bench: Bench) -> User:
    """A user of an empty map."""
    return User(bench)


def test_taken(user: User) -> None:
    for message in (*CHANNEL, node_announcement(0)):
        assert user.add_and_check(message) is None
    assert user.bench.records() == [*CHANNEL, node_announcement(0)]


def test_known_and_early_ones_are_welcome(user: User) -> None:
    assert user.add_and_check(node_announcement(0)) is None, "it waits for its channel"
    for message in CHANNEL:
        user.add_and_check(message)
    for message in (*CHANNEL, node_announcement(0)):
        assert user.add_and_check(message) is None


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (b"", "unknown_0 is no gossip message"),
        (bytes.fromhex("0012 0000 0000"), "ping is no gossip message"),
        (announcement()[:100], "channel_announcement is too short"),
        (announcement(one=1, two=0), "channel_announcement 100x1x0: node ids are not in ascending order"),
        (announcement(chain_hash=BITCOIN), "it is for another chain"),
        (spoilt(announcement(), 3), "channel_announcement 100x1x0: bad node_signature_1"),
        (update(), "its channel is not known"),
        (update(chain_hash=BITCOIN), "it is for another chain"),
    ],
)
def test_refused(user: User, message: bytes, answer: str) -> None:
    assert user.add_and_check(message) == answer


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (update(message_flags=3), "it says that it is not to be passed on"),
        (update(timestamp=NOW + MAX_FUTURE + 1), "its timestamp is more than a day ahead"),
        (update(timestamp=NOW - int(PRUNE) - 1), "its timestamp is too old: such a channel is pruned"),
        (spoilt(update(), 3), "channel_update 100x1x0/0: bad signature"),
    ],
)
def test_update_of_a_known_channel_refused(user: User, message: bytes, answer: str) -> None:
    user.add_and_check(CHANNEL[0])
    assert user.add_and_check(message) == answer


def test_same_message_twice_at_once(user: User) -> None:
    """Both get the answer of the one check."""
    wrong = spoilt(CHANNEL[0], 3)
    user.add(wrong)
    user.add(wrong)
    assert user.answers == []
    user.bench.signatures.run()
    assert user.answers == ["channel_announcement 100x1x0: bad node_signature_1"] * 2
    assert user.bench.signatures.checked == [wrong]


def test_nobody_is_left_waiting(user: User) -> None:
    for message in (*CHANNEL, spoilt(update(timestamp=NOW + 1), 3), node_announcement(1), update(9)):
        user.add(message)
    user.bench.signatures.run()
    assert len(user.answers) == 6
    assert user.user_gossip._waiting == {}
