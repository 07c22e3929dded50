"""Stale channels go after two weeks, by an injected clock."""

import pytest

from gossipd.map import prune as pruning
from gossipd.map.prune import FIRST_CHECK, Pruning
from tests.gossipd.writer import MapAround, Writer, scid

PRUNE = 1_209_600
START = 1_700_000_000.0


class Clock:
    """What time it is; `pass_time` moves it and lets the pruning look."""

    def __init__(self, writer: Writer, prune_after: float = PRUNE) -> None:
        self.now = START
        self.clock = 0.0
        self.writer = writer
        around = MapAround(now=lambda: self.now, clock=lambda: self.clock)
        self.pruning = Pruning(writer.store, writer.index, writer.forgetting, prune_after, around)

    def pass_time(self, seconds: float) -> list[int]:
        """The channels that are there after so many seconds."""
        self.now += seconds
        self.clock += seconds
        return self.channels()

    def jump(self, seconds: float) -> list[int]:
        """Those that are there after the wall clock was set so much ahead."""
        self.now += seconds
        return self.channels()

    def channels(self) -> list[int]:
        """The pruning looks; those that are there then."""
        self.pruning.tick()
        return sorted((number >> 40) - 100 for number in self.writer.index.channels)


def at(age: float) -> int:
    return int(START - age)


@pytest.mark.bolt("B7-103")
def test_older_of_both_updates_decides(writer: Writer) -> None:
    for channel, ages in enumerate([(0, 0), (PRUNE + 1, 0), (0, PRUNE + 1), (PRUNE - 7_200, 0)]):
        writer.full_channel(channel, channel, channel + 1, at(PRUNE + 2))
        for direction, age in enumerate(ages):
            writer.update(channel, direction, at(age))
    clock = Clock(writer)
    assert clock.pass_time(FIRST_CHECK - 1) == [0, 1, 2, 3], "not before what is missing had time to come"
    assert clock.pass_time(1) == [0, 3]
    assert clock.pass_time(7_200) == [0, 3]
    assert clock.pass_time(PRUNE / 4) == [0]
    assert scid(1) in writer.forgetting.pruned
    assert scid(1) not in writer.forgetting.closed


@pytest.mark.bolt("B7-103")
def test_direction_that_never_spoke_counts_from_the_first_update_on(writer: Writer) -> None:
    for channel, first in enumerate([PRUNE + 10, PRUNE - 7_200]):
        writer.channel(channel, 1, 2 + channel, at(first))
        writer.update(channel, 0, at(first))
        writer.update(channel, 0, at(5))
    assert Clock(writer).pass_time(FIRST_CHECK) == [1]


def test_channel_without_any_update_has_time_until_the_second_check(writer: Writer) -> None:
    writer.channel(1, 1, 2)
    clock = Clock(writer)
    writer.channel(2, 1, 3)
    writer.channel(3, 1, 4)
    assert clock.pass_time(FIRST_CHECK) == [2, 3]
    writer.update(2, 0, int(clock.now))
    writer.channel(4, 1, 4)
    assert clock.pass_time(PRUNE / 4) == [2, 4]


def test_dying_channel_has_its_own_end(writer: Writer) -> None:
    writer.full_channel(1, 1, 2, at(PRUNE))
    writer.forgetting.spend([scid(1)], 100)
    assert Clock(writer).pass_time(FIRST_CHECK) == [1]


def test_batches(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    for channel in range(5):
        writer.full_channel(channel, 1, 2, at(PRUNE))
    clock = Clock(writer)
    assert [len(clock.pass_time(seconds)) for seconds in (FIRST_CHECK, 0, 0, 0)] == [3, 1, 0, 0]


def test_short_times_for_tests(writer: Writer) -> None:
    """--dev-fast-gossip-prune: 90 s."""
    writer.full_channel(1, 1, 2, at(80))
    clock = Clock(writer, 90)
    assert clock.pass_time(22) == [1]
    assert clock.pass_time(1) == []


def test_clock_jumps_ahead(writer: Writer, caplog: pytest.LogCaptureFixture) -> None:
    """A sleep, or a wrong clock: nothing goes, until what is fresh had the time to come."""
    for channel in range(5):
        writer.full_channel(channel, 1, 2, at(0))
    clock = Clock(writer)
    assert clock.pass_time(FIRST_CHECK) == [0, 1, 2, 3, 4]
    assert len(clock.jump(2 * PRUNE)) == 5
    assert "the clock has jumped by 2419200 s: no channel is pruned for 3600 s" in caplog.text
    assert len(clock.pass_time(FIRST_CHECK - 1)) == 5
    for channel in range(3):
        for direction in (0, 1):
            writer.update(channel, direction, int(clock.now))
    assert clock.pass_time(1) == [0, 1, 2]


def test_clock_that_was_fast_is_set_right(writer: Writer) -> None:
    """Pruning goes on by the monotonic clock."""
    for channel in range(2):
        writer.full_channel(channel, 1, 2, at(channel * (PRUNE - 7_200)))
    clock = Clock(writer)
    clock.now = START + 365 * 86_400
    clock.channels()
    assert clock.jump(-365 * 86_400) == [0, 1]
    assert clock.pass_time(FIRST_CHECK) == [0, 1]
    assert clock.pass_time(PRUNE / 4) == [0]


def test_clock_jumps_in_the_midst_of_the_work(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 1)
    for channel in range(3):
        writer.full_channel(channel, 1, 2, at(PRUNE))
    clock = Clock(writer)
    assert len(clock.pass_time(FIRST_CHECK)) == 2
    assert len(clock.jump(-86_400)) == len(clock.pass_time(1)) == 2


def test_channel_that_is_refreshed_before_its_batch(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 1)
    for channel in range(2):
        writer.full_channel(channel, 1, 2, at(PRUNE))
    clock = Clock(writer)
    assert clock.pass_time(FIRST_CHECK) == [1]
    for direction in (0, 1):
        writer.update(1, direction, int(clock.now))
    assert clock.pass_time(1) == [1]


def test_large_share_of_the_map_goes_only_when_it_is_found_twice(
    writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    for channel in range(60):
        writer.full_channel(channel, 1, 2, at(PRUNE if channel < 40 else 0))
    clock = Clock(writer)
    assert len(clock.pass_time(FIRST_CHECK)) == 60
    assert "40 of 60 channels seem to be stale: is the clock right?" in caplog.text
    assert len(clock.jump(PRUNE)) == 60
    assert len(clock.pass_time(PRUNE / 4)) == 60, "the clock has jumped between the two checks"
    assert len(clock.pass_time(PRUNE / 4)) == 0


def test_wrong_clock_and_no_peers(writer: Writer) -> None:
    """A map of which all looks stale stays for days, which is time to set the clock right."""
    for channel in range(60):
        writer.full_channel(channel, 1, 2, at(0))
    clock = Clock(writer)
    clock.jump(100 * PRUNE)
    assert len(clock.pass_time(FIRST_CHECK)) == 60
    clock.jump(-100 * PRUNE)
    assert len(clock.pass_time(PRUNE / 4)) == 60
