"""When a connection is in its first sync, and when it tells news. Time is injected."""

import pytest

from gossipd.ask.phases import LIVE, LIVE_RATE, LONGEST, SYNC, Phases

QUIET = 10.0


class Talkers:
    """Connections, and how many messages each has said."""

    def __init__(self) -> None:
        self.now = 500.0
        self.said: dict[int, int] = {}
        self.asked: int | None = None
        self.phases = Phases(lambda: self.now, QUIET, lambda conn_id: self.said.get(conn_id, 0), lambda: self.asked)

    def pass_time(self, seconds: float, **said: int) -> None:
        """In one step a second; each connection (`c7`) says so many messages in each."""
        for _ in range(int(seconds)):
            self.now += 1
            for name, count in said.items():
                conn_id = int(name[1:])
                self.said[conn_id] = self.said.get(conn_id, 0) + count
            self.phases.tick()


@pytest.fixture
def talkers() -> Talkers:
    talkers = Talkers()
    talkers.phases.begin(7)
    return talkers


def test_one_that_says_little_is_live_after_a_while(talkers: Talkers) -> None:
    assert talkers.phases.of(7) == SYNC
    talkers.pass_time(QUIET - 1)
    assert talkers.phases.of(7) == SYNC
    talkers.pass_time(1)
    assert talkers.phases.of(7) == LIVE
    talkers.pass_time(QUIET, c7=10_000)
    assert talkers.phases.of(7) == LIVE, "much news is news"


def test_one_that_streams_all_it_has_is_in_sync_until_it_has_said_it(talkers: Talkers) -> None:
    talkers.pass_time(95, c7=1_000)
    assert talkers.phases.of(7) == SYNC
    talkers.pass_time(2 * QUIET, c7=int(LIVE_RATE) - 1)
    assert talkers.phases.of(7) == LIVE


def test_one_that_is_never_quiet_is_live_in_the_end(talkers: Talkers) -> None:
    talkers.pass_time(LONGEST * QUIET - 1, c7=1_000)
    assert talkers.phases.of(7) == SYNC
    talkers.pass_time(QUIET, c7=1_000)
    assert talkers.phases.of(7) == LIVE


def test_what_answers_a_question_of_ours_is_no_news(talkers: Talkers) -> None:
    talkers.pass_time(QUIET)
    talkers.asked = 7
    assert talkers.phases.of(7) == SYNC
    assert talkers.phases.is_live(7)
    talkers.asked = None
    assert talkers.phases.of(7) == LIVE


def test_one_that_is_asked_for_all_again_is_in_sync_again(talkers: Talkers) -> None:
    talkers.pass_time(QUIET)
    talkers.phases.begin(7)
    assert talkers.phases.of(7) == SYNC


def test_a_connection_that_moves_is_counted_again(talkers: Talkers) -> None:
    """From its owner's fd to a gossip fd, say, where fewer messages have come."""
    talkers.pass_time(QUIET, c7=1_000)
    talkers.said[7] = 3
    talkers.pass_time(QUIET)
    assert talkers.phases.of(7) == SYNC
    talkers.pass_time(QUIET)
    assert talkers.phases.of(7) == LIVE


def test_who_comes_and_goes_leaves_nothing(talkers: Talkers) -> None:
    for conn_id in range(1_000):
        talkers.phases.begin(conn_id)
        talkers.phases.end(conn_id)
    assert not talkers.phases._syncing
