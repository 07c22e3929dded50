"""Who announces most, and openings by block."""

from pathlib import Path

import pytest

from lightningd_py.observatory.history.habits import noisy, openings
from lightningd_py.observatory.history.spread import Window
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.reading import Record
from lightningd_py.tools.synthetic_map import TWO_WEEKS
from tests.lightningd_py.observatory.made_up_day import SECOND, T0, Day, make_day
from tests.lightningd_py.observatory.recorded import FakeFeed, Said, record
from wire.gossip_layout import UPDATE_TIMESTAMP


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return make_day(tmp_path_factory.mktemp("day"))


def test_messages_count_once_by_their_own_timestamp(day: Day, tmp_path: Path) -> None:
    raw = day.channels[5].updates[1]
    now = T0 // SECOND

    def at(seconds: int) -> bytes:
        return raw[:UPDATE_TIMESTAMP] + (now + seconds).to_bytes(4, "big") + raw[UPDATE_TIMESTAMP + 4 :]

    said = Said()
    frames = [said.arrival(at(seconds), T0 + seconds * SECOND) for seconds in (1, 2, 3, 3, 2, 99)]
    record(tmp_path, FakeFeed(frames))
    found = noisy(Record(tmp_path), Window(T0, T0 + 50 * SECOND), per_day=3)
    (row,) = found.channels
    assert (row["scid"], row["direction"], row["messages"], row["contents"]) == (day.scid(5), 1, 3, 1)
    assert row["per_day"] == pytest.approx(3 * 86400 / 50)
    assert found[2:] == (1, 1, 0, 0)


def test_whole_day(day: Day) -> None:
    found = noisy(Record(day.folder), Window(T0 - TWO_WEEKS * SECOND, T0 + SECOND), top=4)
    assert len(found.channels) == len(found.nodes) == 4
    assert (found.channels_seen, found.channels_above) == (20, 0)
    assert (found.nodes_seen, found.nodes_above) == (len(day.nodes), 0)


def test_open_window_is_one_sentence(day: Day) -> None:
    with pytest.raises(ObservatoryError, match="a stretch of time is needed"):
        noisy(Record(day.folder), Window(T0, T0))


def test_openings_are_those_that_came_later_than_the_checkpoint(day: Day) -> None:
    found = openings(Record(day.folder), Window(T0, T0 + 9999 * SECOND))
    assert sum(row["channels"] for row in found) == 2
    assert sum(row["capacity_sat"] for row in found) == sum(each.capacity_sat for each in day.channels[-2:])
    assert {row["block"] for row in found} == {day.scid(-1) >> 40, day.scid(-2) >> 40}
    assert min(row["first_seen_ns"] for row in found) // SECOND == T0 // SECOND + 1000
