"""Scores: what offences come to, how they wear off, and how good gossip makes up for them."""

from hypothesis import given
from hypothesis import strategies as st

from gossipd.peers.standing import (
    DISCONNECT_AT,
    IGNORE_AT,
    IGNORED_FOR,
    MAKES_UP,
    MOST_GONE,
    WEARS_OFF,
    Standing,
    Standings,
    Step,
)

NOW = 1_000_000.0


def test_each_step_is_taken_once_on_the_way_up() -> None:
    standing = Standing()
    steps = [standing.offend(NOW) for _ in range(int(DISCONNECT_AT))]
    assert [(number, step) for number, step in enumerate(steps, 1) if step] == [
        (IGNORE_AT, Step.IGNORE),
        (DISCONNECT_AT, Step.DISCONNECT),
    ]
    assert standing.is_ignored(NOW)
    assert standing.is_ignored(NOW + IGNORED_FOR - 1)
    assert not standing.is_ignored(NOW + IGNORED_FOR)


def test_offences_wear_off() -> None:
    standing = Standing()
    for number in range(1_000):
        assert standing.offend(NOW + number / WEARS_OFF) is None
    assert standing.points(NOW + 1e9) == 0


def test_good_gossip_makes_up_for_some() -> None:
    """An honest relay of the whole map gets nowhere, even if one message in twenty is bad."""
    standing = Standing()
    for number in range(100_000):
        if number % 20:
            standing.brought()
        else:
            assert standing.offend(NOW) is None
    assert standing.good == 95_000
    assert standing.points(NOW) <= 1 + MAKES_UP


def test_it_is_ignored_again_if_it_goes_on() -> None:
    standing = Standing()
    assert standing.offend(NOW, IGNORE_AT + 10) is Step.IGNORE
    assert standing.offend(NOW + IGNORED_FOR) is Step.IGNORE
    assert standing.is_ignored(NOW + 2 * IGNORED_FOR - 1)


def test_a_peer_that_must_not_be_hung_up_on_is_only_ignored() -> None:
    standing = Standing()
    steps = [standing.offend(NOW, may_end=False) for _ in range(1_000)]
    assert [step for step in steps if step] == [Step.IGNORE]
    assert standing.offend(NOW + IGNORED_FOR, may_end=False) is Step.IGNORE


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 10_000), st.booleans())))
def test_points_are_never_negative_and_the_steps_are_where_they_stand(history: list[tuple[float, float, bool]]) -> None:
    standing, now = Standing(), NOW
    for points, pause, brings in history:
        now += pause
        was_ignored = standing.is_ignored(now)
        step = standing.offend(now, points)
        total = standing.points(now)
        assert total >= points
        assert (step is Step.DISCONNECT) == (total >= DISCONNECT_AT)
        assert step is not Step.IGNORE or (total >= IGNORE_AT and not was_ignored)
        if brings:
            standing.brought()
        assert standing.points(now) >= 0


# those that leave


def test_a_node_that_comes_back_has_its_score() -> None:
    standings, standing = Standings(), Standing()
    standing.good = 7
    standing.offend(NOW, IGNORE_AT)
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
        standing.offend(NOW)
        standings.leave(number.to_bytes(4, "big"), standing, NOW)
    assert len(standings) == MOST_GONE
    assert standings.come(bytes(4)).points(NOW) == 0


def test_report() -> None:
    standing = Standing()
    standing.good, standing.redundant, standing.rate_limited, standing.bad = 1, 2, 3, 4
    standing.offend(NOW, IGNORE_AT)
    report = standing.report(9, NOW)
    assert (report.conn_id, report.good, report.redundant, report.rate_limited, report.bad) == (9, 1, 2, 3, 4)
    assert (report.score, report.ignored) == (IGNORE_AT, True)
