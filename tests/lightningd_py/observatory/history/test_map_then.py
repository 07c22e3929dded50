"""The map as of each time of a day whose changes are known; and written in every format."""

from pathlib import Path

import pytest

from lightningd_py.observatory.history.map_then import counts, difference, map_then, vantage_points
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.reading import Record
from tests.lightningd_py.observatory.made_up_day import SECOND, T0, Day, make_day
from tests.lightningd_py.observatory.recorded import FakeFeed, Said, record, update


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return make_day(tmp_path_factory.mktemp("day"))


def at(seconds: int) -> int:
    return T0 + seconds * SECOND


@pytest.mark.parametrize("vantage", ["east", "west"])
@pytest.mark.parametrize(
    ("seconds", "channels", "directions"),
    [(0, 18, 36), (999, 18, 36), (1001, 19, 38), (2999, 19, 38), (3001, 18, 36), (4001, 19, 37), (9999, 19, 37)],
)
def test_sizes_at_each_time(day: Day, vantage: str, seconds: int, channels: int, directions: int) -> None:
    then = map_then(Record(day.folder), at(seconds), vantage)
    assert counts(then)[:3] == (channels, directions, len(day.nodes))
    assert then.vantage == vantage


def test_dying_channel_is_dying_until_it_goes(day: Day) -> None:
    record_ = Record(day.folder)
    assert map_then(record_, at(1999)).channels[day.scid(0)].dying_at is None
    assert map_then(record_, at(2001)).channels[day.scid(0)].dying_at == 900
    assert day.scid(0) not in map_then(record_, at(3001)).channels


def test_difference_is_what_has_changed(day: Day) -> None:
    record_ = Record(day.folder)
    found = difference(map_then(record_, at(0)), map_then(record_, at(9999)))
    assert found.channels_added == [day.scid(-2), day.scid(-1)]
    assert found.channels_removed == [day.scid(0)]
    assert found.updates_changed == [(day.scid(1), 1)]
    assert found.updates_added == [(day.scid(-2), 0), (day.scid(-2), 1), (day.scid(-1), 0)]
    assert found.updates_removed == [(day.scid(0), 0), (day.scid(0), 1)]
    assert found[5:] == ([], [], [])


def test_time_before_the_first_record_is_one_sentence(day: Day) -> None:
    with pytest.raises(ObservatoryError, match=r"is before the first map that was recorded: 2026-09-21T14:13:19"):
        map_then(Record(day.folder), T0 - 2 * SECOND)
    with pytest.raises(ObservatoryError, match="no whole map of nowhere was recorded"):
        map_then(Record(day.folder), at(5), "nowhere")


def test_vantage_points_are_those_with_a_map(day: Day) -> None:
    assert vantage_points(Record(day.folder)) == ["east", "west"]


def test_checkpoint_that_was_not_finished_counts_for_nothing(tmp_path: Path) -> None:
    day = make_day(tmp_path)
    said = Said()
    half = record(day.folder, FakeFeed([said.arrival(update(1), T0)]), vantage="east", now_ns=at(6000))
    assert half == []
    from lightningd_py.observatory.exchange.importing import Importing
    from lightningd_py.observatory.record.checkpoint import Checkpoint

    with Importing(day.folder, "east") as into:
        for (table, row), _ in zip(Checkpoint(tmp_path / "gossip_store", "east", at(7000)), range(7), strict=False):
            into.add(table, row)
    assert counts(map_then(Record(day.folder), at(9999), "east"))[:2] == (19, 37)


def test_no_record_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ObservatoryError, match="nothing was recorded in"):
        Record(tmp_path)
