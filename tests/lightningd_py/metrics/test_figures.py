"""What daemons say is checked: one that was taken over says nothing of others, and fills no memory of the master's."""

import math

import pytest

from lightningd_py.metrics.figures import MOST_SERIES, Figures
from wire.control.control_wire import GetMetricsReply
from wire.metrics.declared import CHANNELS, PEER_ENDS, PING_SECONDS, UP

COUNTS = [1] * (len(PING_SECONDS.buckets) + 1)


def test_what_is_declared_is_taken_with_the_name_of_who_says_it() -> None:
    figures = Figures()
    for process in ("gossipd", "connectiond"):
        said = GetMetricsReply([(PEER_ENDS.name, ["silent"], 2.0)], [(PING_SECONDS.name, [], COUNTS, 3.5)])
        figures.take(process, said)
    figures.take("gossipd", GetMetricsReply([(CHANNELS.name, [], 7.0)], []))
    assert figures.values == {
        PEER_ENDS: {("gossipd", "silent"): 2.0, ("connectiond", "silent"): 2.0},
        CHANNELS: {(): 7.0},
    }
    assert figures.histograms[PING_SECONDS] == {("gossipd",): (COUNTS, 3.5), ("connectiond",): (COUNTS, 3.5)}
    assert not figures.rejected


@pytest.mark.parametrize(
    "value",
    [
        ("lightning_no_such_thing", [], 1.0),
        (UP.name, ["hsmd"], 0.0),
        (CHANNELS.name, ["one label too many"], 1.0),
        (CHANNELS.name, [], math.nan),
        (PING_SECONDS.name, [], 1.0),
        (PEER_ENDS.name, ["x" * 81], 1.0),
        (PEER_ENDS.name, ["two\nlines"], 1.0),
    ],
)
def test_what_is_not_declared_so_is_rejected_and_counted(value: tuple[str, list[str], float]) -> None:
    figures = Figures()
    figures.take("gossipd", GetMetricsReply([value, (CHANNELS.name, [], 1.0)], []))
    assert figures.values == {CHANNELS: {(): 1.0}}
    assert figures.rejected == {"gossipd": 1}


@pytest.mark.parametrize(
    "histogram",
    [
        (PING_SECONDS.name, [], COUNTS[1:], 1.0),
        (PING_SECONDS.name, [], [-1, *COUNTS[1:]], 1.0),
        (PING_SECONDS.name, [], COUNTS, math.inf),
        (CHANNELS.name, [], [], 1.0),
        ("lightning_no_such_thing", [], COUNTS, 1.0),
    ],
)
def test_a_histogram_has_its_buckets(histogram: tuple[str, list[str], list[int], float]) -> None:
    figures = Figures()
    figures.take("gossipd", GetMetricsReply([], [histogram]))
    assert not figures.histograms and figures.rejected == {"gossipd": 1}


def test_one_process_has_a_bound_and_takes_nothing_of_anothers() -> None:
    figures = Figures()
    many = [(PEER_ENDS.name, [str(number)], 1.0) for number in range(MOST_SERIES + 10)]
    figures.take("gossipd", GetMetricsReply(many, []))
    figures.take("connectiond", GetMetricsReply([(PEER_ENDS.name, ["silent"], 1.0)], []))
    assert len(figures.values[PEER_ENDS]) == MOST_SERIES + 1
    assert figures.rejected == {"gossipd": 10}


def test_the_first_value_counts() -> None:
    figures = Figures()
    figures.take("gossipd", GetMetricsReply([(CHANNELS.name, [], 1.0), (CHANNELS.name, [], 2.0)], []))
    assert figures.values == {CHANNELS: {(): 1.0}}
    assert figures.rejected == {"gossipd": 1}
