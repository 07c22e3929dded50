"""A gossip_store or GSP as the map of a time."""

from pathlib import Path

import pytest

from lightningd_py.observatory.exchange.importing import Importing, import_messages, import_store
from lightningd_py.observatory.history.map_then import counts, map_then
from lightningd_py.observatory.record.lock import Lock
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.reading import Record
from tests.lightningd_py.observatory.made_up_day import T0, signed
from tests.lightningd_py.observatory.recorded import update


def test_messages_in_any_order_are_a_map(tmp_path: Path) -> None:
    channels, nodes = signed()
    old = channels[0].updates[0]
    messages = [update(1), b"\x01\x00short", old, *nodes, *(raw for each in channels for raw in each.updates[::-1])]
    messages += [channel.announcement for channel in channels[:-1]]
    with Importing(tmp_path, "archive") as into:
        left_out = import_messages(into, messages, "archive", T0)
    then = map_then(Record(tmp_path), T0)
    assert counts(then)[:2] == (19, 38)
    assert left_out == 4, "rubbish, an announcement cut short, and the updates of a channel that is not announced"
    assert then.since_ns == T0


def test_store_of_cln_or_ours(tmp_path: Path) -> None:
    from lightningd_py.observatory.exchange.stores import StoredChannel, write_store

    channels, nodes = signed()
    write_store(tmp_path / "store", (StoredChannel(each.announcement, each.updates, 5) for each in channels), nodes)
    with Importing(tmp_path / "record", "old") as into:
        import_store(into, tmp_path / "store", "old", T0)
    found = counts(map_then(Record(tmp_path / "record"), T0 + 1))
    assert (found.channels, found.directions, found.capacity_sat) == (20, 40, 100)


def test_what_is_no_store_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"\xee")
    sentence = "is no gossip_store that can be read"
    with pytest.raises(ObservatoryError, match=sentence), Importing(tmp_path / "record", "old") as into:
        import_store(into, tmp_path / "store", "old", T0)


def test_two_writers_of_a_vantage_point_are_refused(tmp_path: Path) -> None:
    lock = Lock(tmp_path, "here")
    with pytest.raises(ObservatoryError, match=f"another recorder writes to {tmp_path} as here"):
        Importing(tmp_path, "here")
    with Importing(tmp_path, "there"):
        lock.close()
    Lock(tmp_path, "here").close()
