"""Scores: what offences cost, what they come to, and how they wear off."""

from hypothesis import given
from hypothesis import strategies as st

from gossipd.peers.score import (
    BAD_SIGNATURE,
    DISCONNECT_AT,
    IGNORE_AT,
    IGNORED_FOR,
    MOST_GONE,
    RATE_LIMITED,
    WARN_AT,
    WEARS_OFF,
    Standing,
    Standings,
    Step,
)

NOW = 1_000_000.0


def test_each_step_is_taken_once_on_the_way_up() -> None:
    standing = Standing()
    steps = [standing.offend(BAD_SIGNATURE, NOW) for _ in range(10)]
    assert steps == [None, None, Step.WARN, None, Step.IGNORE, None, None, None, None, Step.DISCONNECT]
    assert standing.is_ignored(NOW)
    assert standing.is_ignored(NOW + IGNORED_FOR - 1)
    assert not standing.is_ignored(NOW + IGNORED_FOR)


def test_offences_wear_off() -> None:
    standing = Standing()
    for number in range(100):
        assert standing.offend(BAD_SIGNATURE, NOW + number * BAD_SIGNATURE / WEARS_OFF) is None
    assert standing.points(NOW + 1e9) == 0


def test_it_is_ignored_again_if_it_goes_on() -> None:
    standing = Standing()
    assert standing.offend(IGNORE_AT, NOW) is Step.IGNORE
    assert standing.offend(BAD_SIGNATURE, NOW + IGNORED_FOR) is Step.IGNORE
    assert standing.is_ignored(NOW + 2 * IGNORED_FOR - 1)


def test_whoever_must_not_be_hung_up_on_is_only_ignored() -> None:
    standing = Standing()
    steps = [standing.offend(BAD_SIGNATURE, NOW, may_end=False) for _ in range(100)]
    assert [step for step in steps if step] == [Step.WARN, Step.IGNORE]
    assert standing.offend(BAD_SIGNATURE, NOW + IGNORED_FOR, may_end=False) is Step.IGNORE


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 10_000))))
def test_points_are_never_negative_and_the_steps_are_where_they_stand(history: list[tuple[float, float]]) -> None:
    standing, now = Standing(), NOW
    for points, pause in history:
        now += pause
        was_ignored = standing.is_ignored(now)
        step = standing.offend(points, now)
        total = standing.points(now)
        assert total >= points
        assert (step is Step.DISCONNECT) == (total >= DISCONNECT_AT)
        assert step is not Step.IGNORE or (total >= IGNORE_AT and not was_ignored)
        assert step is not Step.WARN or total >= WARN_AT


def test_what_is_small_takes_long() -> None:
    """A peer that relays another's chatter does not get far with ten a minute."""
    standing = Standing()
    steps = [standing.offend(RATE_LIMITED, NOW + number * 6) for number in range(10_000)]
    assert not any(steps)


# those that leave


def test_whoever_comes_back_has_its_score() -> None:
    standings, standing = Standings(), Standing()
    standing.good = 7
    standing.offend(IGNORE_AT, NOW)
    standings.leave(b"1", standing, NOW)
    back = standings.come(b"1")
    assert (back.points(NOW), back.is_ignored(NOW + 1), back.good) == (IGNORE_AT, True, 0)
    assert standings.come(b"1").points(NOW) == 0


def test_who_is_remembered() -> None:
    standings = Standings()
    standings.leave(b"well-behaved", Standing(), NOW)
    assert len(standings) == 0
    for number in range(MOST_GONE + 10):
        standing = Standing()
        standing.offend(1, NOW)
        standings.leave(number.to_bytes(4, "big"), standing, NOW)
    assert len(standings) == MOST_GONE
    assert standings.come(bytes(4)).points(NOW) == 0


def test_report() -> None:
    standing = Standing()
    standing.good, standing.redundant, standing.rate_limited, standing.bad = 1, 2, 3, 4
    standing.offend(IGNORE_AT, NOW)
    report = standing.report(9, NOW)
    assert (report.conn_id, report.good, report.redundant, report.rate_limited, report.bad) == (9, 1, 2, 3, 4)
    assert (report.score, report.ignored) == (IGNORE_AT, True)
