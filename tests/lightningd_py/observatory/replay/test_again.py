"""A record said again into a feed: another recorder of it has the same arrivals."""

import threading
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.observatory.replay.again import heard, replay_into_feed
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.query import Query, asking
from lightningd_py.observatory.tables.reading import Record
from lightningd_py.tools.feed_client import Feed
from tests.harness.observatories import until
from tests.lightningd_py.observatory.made_up_day import SECOND, T0, make_day
from tests.lightningd_py.observatory.recorded import FakeFeed, record, rows
from wire.bus.feed import FeedError

WINDOW = (T0 + 6000 * SECOND, T0 + 6100 * SECOND)


def without_connection(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted(tuple(str(value) for value in row.values()) for row in rows)


def test_recorder_of_a_replay_has_the_same_arrivals(tmp_path: Path) -> None:
    day = make_day(tmp_path)
    path = tmp_path / "feed"
    frames: list[tuple[bytes, bytes]] = []

    def take() -> None:
        feed = _opened(path)
        try:
            while (message := feed.frames(20.0)) is not None:
                frames.append(message)
        except FeedError:
            feed.close()

    taker = threading.Thread(target=take)
    taker.start()
    count = replay_into_feed(Record(day.folder), WINDOW, path, 1e6, "east")
    taker.join()
    assert count == len(frames)
    record(tmp_path / "again", FakeFeed(frames), vantage="east")
    before = [row for row in rows(day.folder, "arrivals") if WINDOW[0] <= row["time_ns"] <= WINDOW[1]]
    again = rows(tmp_path / "again", "arrivals")
    assert without_connection(again) == without_connection([row for row in before if row["vantage"] == "east"])


def _opened(path: Path) -> Feed:
    """The publisher may not be there yet. One try: it begins with the first subscriber."""
    until(path.exists, "the socket")
    return Feed(path, ["gossip."])


def test_feed_that_nobody_takes_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = make_day(tmp_path)
    monkeypatch.setattr("lightningd_py.observatory.replay.again.WAIT", 0.01)
    with pytest.raises(ObservatoryError, match="there is no subscriber of the feed on"):
        replay_into_feed(Record(day.folder), WINDOW, tmp_path / "feed", 1.0)
    with pytest.raises(ObservatoryError, match="cannot be published on"):
        replay_into_feed(Record(day.folder), WINDOW, tmp_path / "no/such/folder", 1.0)


def test_heard_is_in_the_order_of_time_and_has_its_message(tmp_path: Path) -> None:
    day = make_day(tmp_path)

    def ask(query: Query) -> list[tuple[int, bytes]]:
        return [(each.time_ns, each.raw) for each in heard(query, *WINDOW)]

    found = asking(Record(day.folder), ask)
    assert found == sorted(found, key=lambda each: each[0]) and len(found) > 50
    assert {raw for _, raw in found} <= {channel.updates[0] for channel in day.channels}
