"""Propagation and first responders of a day in which each peer's delay is known."""

import hashlib

import pytest

from lightningd_py.observatory.history.spread import Window, first_responders, propagation_of, propagation_of_top
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.reading import Record
from tests.lightningd_py.observatory.made_up_day import MS, PEERS, SECOND, T0, Day, make_day
from wire.scid import scid_to_text


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return make_day(tmp_path_factory.mktemp("day"))


def test_percentiles_are_those_of_the_first_receipts(day: Day) -> None:
    """Peers 0, 1, 2 at east and west: 0, 50, 100, 150, 200, 250 ms. What is said twice counts once; sync does not."""
    sha256 = hashlib.sha256(day.channels[0].updates[0]).hexdigest()
    found = propagation_of(Record(day.folder), sha256, Window())
    (row,) = found.messages
    assert (row["first_seen_ns"], row["first_vantage"], row["first_peer"]) == (T0 + 6000 * SECOND, "east", PEERS[0])
    assert (row["peers"], row["vantage_points"], row["max_ns"]) == (6, 2, 250 * MS)
    assert (row["p50_ns"], row["p95_ns"]) == (100 * MS, 250 * MS)
    assert found.delays == [0, 50 * MS, 100 * MS, 150 * MS, 200 * MS, 250 * MS]
    assert propagation_of(Record(day.folder), sha256[:8], Window()).messages == [row]


def test_first_sync_counts_if_it_is_wanted(day: Day) -> None:
    sha256 = hashlib.sha256(day.channels[0].updates[0]).hexdigest()
    (row,) = propagation_of(Record(day.folder), sha256, Window(sync=True)).messages
    assert row["first_seen_ns"] == T0 + 100 * SECOND


def test_message_by_its_channel_or_its_node(day: Day) -> None:
    record = Record(day.folder)
    (row,) = propagation_of(record, scid_to_text(day.scid(1)), Window()).messages
    assert (row["peers"], row["max_ns"]) == (4, 150 * MS)
    from wire.gossip_layout import node_id_of

    (row,) = propagation_of(record, node_id_of(day.nodes[0]).hex(), Window()).messages
    assert row["type"] == 257


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("1x1x1", "was not heard in that time"),
        ("1x1xz", "is no short_channel_id"),
        ("nonsense", "is no hash in hex, no short_channel_id and no node_id"),
        ("ab", "8 to 64 digits of hex"),
        ("00" * 32, "was not heard in that time"),
    ],
)
def test_what_is_no_message_is_one_sentence(day: Day, name: str, sentence: str) -> None:
    with pytest.raises(ObservatoryError, match=sentence):
        propagation_of(Record(day.folder), name, Window())


def test_top_are_those_that_most_have_said(day: Day) -> None:
    found = propagation_of_top(Record(day.folder), 3, Window(T0 + 6000 * SECOND, None), 6)
    assert [row["peers"] for row in found.messages] == [6, 6, 6]
    assert (found.all["messages"], found.all["receipts"], found.all["max_ns"]) == (10, 60, 250 * MS)


def test_nothing_in_the_window_is_nothing(day: Day) -> None:
    found = propagation_of_top(Record(day.folder), 3, Window(T0 - 9 * SECOND, T0 - 8 * SECOND), 2)
    assert (found.messages, found.all["messages"], found.all["p50_ns"], found.delays) == ([], 0, None, [])


def test_first_responders(day: Day) -> None:
    found = first_responders(Record(day.folder), Window(T0 + 6000 * SECOND, T0 + 8999 * SECOND))
    assert [(row["vantage"], row["peer"]) for row in found[:1]] == [("east", PEERS[0])]
    best = found[0]
    assert (best["firsts"], best["messages"], best["share_first"], best["mean_rank"]) == (20, 20, 1.0, 0.0)
    by_peer = {(row["vantage"], row["peer"]): row for row in found}
    assert by_peer["west", PEERS[2]]["messages"] == 10
    assert by_peer["west", PEERS[1]]["p50_ns"] == 150 * MS
