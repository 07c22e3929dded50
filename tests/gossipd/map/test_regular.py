"""Records of one shape taken in together: compared with the loop that takes one at a time."""

from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.map import regular
from gossipd.map.index import MapIndex
from gossipd.store.records import (
    COMPLETED,
    DELETED,
    DYING,
    amount_message,
    delete_channel_message,
    dying_message,
    ended_message,
    pack_record,
)
from tests.gossipd.made import CHANNELS, NODES, scid

FEATURES = CHANNELS[1].announcement[:258] + b"\0\1\2" + CHANNELS[1].announcement[260:]
MADE_UP = [CHANNELS[0].announcement[:300] + bytes([number]) + CHANNELS[0].announcement[301:] for number in range(40)]
"""Unsigned channels of the same two nodes."""


def whole(number: int, amount: int = 5) -> list[bytes]:
    channel = CHANNELS[number]
    return [pack_record(each, 7) for each in (channel.announcement, amount_message(amount), *channel.updates)]


ODD = st.sampled_from(
    [
        *(pack_record(CHANNELS[number].updates[direction], 9) for number in range(4) for direction in (0, 1)),
        *(pack_record(CHANNELS[number].announcement, 9) for number in range(4)),
        *(pack_record(raw, 9) for raw in NODES[:3]),
        pack_record(CHANNELS[2].updates[0] + b"more", 9),
        pack_record(CHANNELS[2].updates[0][:100], 9),
        pack_record(FEATURES, 9),
        pack_record(amount_message(1 << 60 | 5), 0),
        pack_record(delete_channel_message(scid(1)), 0),
        pack_record(dying_message(scid(2), 900), 0),
        pack_record(ended_message(5, bytes(32)), 0),
        pack_record(CHANNELS[3].updates[1], 9, COMPLETED | DELETED),
        pack_record(CHANNELS[3].updates[1], 9, COMPLETED | DYING),
        pack_record(CHANNELS[3].updates[1], 9, 0),
        pack_record(CHANNELS[3].updates[1], 9)[:-1] + b"\xff",
        pack_record(amount_message(5), 0)[:-3],
    ]
)
REGULAR = st.sampled_from(
    [
        [each for number in range(6) for each in whole(number)],
        [each for number in range(6, 12) for each in whole(number)[:2]],
        [pack_record(raw, 3) for raw in CHANNELS[1].updates for _ in range(3)],
        [pack_record(CHANNELS[number].updates[number % 2], 8) for number in range(12)],
        [*whole(3), *whole(4, amount=1 << 57 | 8), *whole(3)],
        [*whole(5)[:2], pack_record(CHANNELS[6].updates[0], 1), pack_record(CHANNELS[5].updates[1], 1)],
        [*whole(7)[:2], *(pack_record(CHANNELS[7].updates[1], time) for time in (1, 2))],
        [record for raw in MADE_UP for record in (pack_record(raw, 1), pack_record(amount_message(6), 0))],
    ]
)
STORES = st.lists(st.one_of(ODD.map(lambda record: [record]), REGULAR), max_size=9).map(
    lambda pieces: bytes(5) + b"".join(record for piece in pieces for record in piece)
)


def known(index: MapIndex, end: int) -> dict[str, Any]:
    """All that an index says, whatever its rows."""
    channels = {
        scid: (
            *(column[row] for column in (index.scid, index.announce_off, index.amount_sat)),
            *(column[row] for column in (*index.update_off, *index.update_ts)),
            index.node_ids[index.node1[row]],
            index.node_ids[index.node2[row]],
        )
        for scid, row in index.channels.items()
    }
    nodes = {
        node_id: [index.node_ids[row], *(column[row] for column in index.node_columns())]
        for node_id, row in index.nodes.items()
    }
    rest = (index.dying, index.ended, index.passed_over, sorted(index.dead), index.sorted_scids())
    return {"end": end, "channels": channels, "nodes": nodes, "rest": rest}


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regular, "FEWEST", 2)
    monkeypatch.setattr(regular, "MOST", 4)


@given(store=STORES, cut=st.integers(0, 3_000))
def test_what_is_read_together_is_what_is_read_one_by_one(store: bytes, cut: int) -> None:
    """In one go, and with a break anywhere, as a follower reads it."""
    indexes = MapIndex(), MapIndex(), MapIndex()
    indexes[1]._regular = None
    found = []
    for index in indexes:
        end = 5
        if index is indexes[2]:
            end = index.read_records(store, 5, min(len(store), 5 + cut))
        if not index.ended:
            end = index.read_records(store, end, len(store))
        index.drop_lonely_nodes()
        found.append(known(index, end))
    assert found[0] == found[1]
    if not indexes[2].ended or cut > len(store):
        assert found[2] == found[1]


def test_rows_that_were_read_together_are_used_and_freed_like_others() -> None:
    index = MapIndex()
    store = b"".join(record for number in range(8) for record in whole(number))
    assert index.read_records(store, 0, len(store)) == len(store)
    gone = index.remove_channel(index.channels[scid(3)])
    assert len(gone) >= 3
    row = index.add_channel(77, b"a", b"b", 100)
    assert (index.scid[row], index.amount_sat[row], index.update_off[0][row]) == (77, -1, 0)
    assert all(type(column) is array and len(column) == len(index.scid) for column in index.channel_columns())
    assert len(index.node_ids) == len(index.node_ts) == len(index.node_announce_off) == len(index.node_channels)


def test_what_is_regular_is_not_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the fast way would be none."""
    store = b"".join(record for number in range(12) for record in whole(number))
    ones: list[int] = []
    one_by_one = MapIndex._read_run

    def counted(index: MapIndex, data: bytes, start: int, end: int, announced: int, until: int) -> tuple[int, int]:
        reached = one_by_one(index, data, start, end, announced, until)
        ones.append(reached[0] - start)
        return reached

    monkeypatch.setattr(MapIndex, "_read_run", counted)
    index = MapIndex()
    assert index.read_records(store, 0, len(store)) == len(store)
    assert len(index.channels) == 12
    assert sum(ones) < len(store) / 3
