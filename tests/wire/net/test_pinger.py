"""When to ping, and when a peer is gone: without clocks."""

import math
from dataclasses import replace

import pytest

from wire.control.timing import Timing
from wire.net.pinger import MAX_PINGS, NO_PONG, TOR_PATIENCE, Pinger, Pings, Verdict, patience_for

TIMING = Timing()
LEAST, MOST = TIMING.ping_timer


def test_a_peer_that_talks_is_not_pinged() -> None:
    pinger = Pinger(0.0, TIMING)
    for now in range(0, 1_000, 50):
        pinger.heard_at = float(now)
        assert pinger.look(now + 59.9) is Verdict.NOTHING


def test_a_silent_one_is_pinged_and_its_pong_is_timed() -> None:
    pinger = Pinger(0.0, TIMING)
    assert pinger.look(60.0) is Verdict.PING
    pinger.heard_at = 60.25
    pinger.ponged(60.25)
    assert pinger.latency == 0.25
    assert pinger.look(90.0) is Verdict.NOTHING
    assert pinger.look(121.0) is Verdict.PING


@pytest.mark.bolt("B1-39")
def test_one_that_does_not_answer_is_gone() -> None:
    pinger = Pinger(0.0, TIMING)
    assert pinger.look(60.0) is Verdict.PING
    assert pinger.look(90.0) is Verdict.GONE


def test_traffic_is_life_even_without_the_pong() -> None:
    pinger = Pinger(0.0, TIMING)
    assert pinger.look(60.0) is Verdict.PING
    pinger.heard_at = 61.0
    assert pinger.look(90.0) is Verdict.NOTHING
    assert pinger.look(121.0) is Verdict.PING, "silent again: asked again"
    assert pinger.look(151.0) is Verdict.GONE
    assert pinger.latency is None


def test_pauses() -> None:
    pinger = Pinger(0.0, TIMING)
    assert (pinger.pause(0.0), pinger.pause(0.5)) == (LEAST, (LEAST + MOST) / 2)
    pinger.look(60.0)
    assert (pinger.pause(0.0), pinger.pause(0.999)) == (TIMING.pong_timeout, pytest.approx(45.0, abs=0.1))
    slow = Pinger(0.0, TIMING, patience_for("a" * 56 + ".onion:9735"))
    slow.look(60.0)
    assert slow.pause(0.0) == TOR_PATIENCE * TIMING.pong_timeout
    assert patience_for("1.2.3.4:9735") == 1.0


def test_never() -> None:
    pinger = Pinger(0.0, replace(TIMING, ping_idle=math.inf))
    assert pinger.look(1e9) is Verdict.NOTHING


@pytest.mark.bolt("B1-40")
def test_a_pong_that_nobody_waits_for() -> None:
    pinger = Pinger(0.0, TIMING)
    pinger.ponged(1.0)
    assert pinger.latency is None


def test_no_pong_is_waited_for_where_none_may_come() -> None:
    pings, answers = Pings(), list[int | None]()
    pings.said(NO_PONG, answers.append)
    assert answers == [0]


def test_pings_that_are_not_answered_are_bounded() -> None:
    pings, answers = Pings(), list[int | None]()
    for _ in range(MAX_PINGS + 1):
        pings.said(1, answers.append)
    assert answers == [None]
    assert pings.heard(9, 5) is None
    assert pings.heard(5, 1) is not None
    assert answers == [None, 5]
    pings.fail()
    assert answers == [None, 5, *[None] * (MAX_PINGS - 1)]
