"""Which of the map is our own: what peers are told of our channels, and when."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gossipd.messages import KEYS, NOW, announcement, node_announcement, scid, update
from tests.gossipd.us import Us


@pytest.fixture
def us(tmp_path: Path) -> Iterator[Us]:
    us = Us(tmp_path / "gossip_store")
    yield us
    us.store.close()


@pytest.mark.bolt("B7-97")
@pytest.mark.parametrize("other", [0, 2])
def test_our_channels_are_told(us: Us, other: int) -> None:
    """With our update, in that order, and without the other side's, which is not ours to tell."""
    ours = us.channel(other=other, updates="both")
    assert us.told == ours
    assert us.said() is not None
    assert list(us.own.messages()) == [*ours, us.told[0]]


def test_a_later_update_goes_alone(us: Us) -> None:
    announced, _ = us.channel()
    us.told.clear()
    row = us.index.channels[scid(0)]
    newer = update(0, 1, NOW + 9)
    us.writer.write_update(row, 1, NOW + 9, newer)
    us.writer.write_update(row, 0, NOW + 9, update(0, 0, NOW + 9))
    assert us.told == [newer]
    assert list(us.own.messages()) == [announced, newer]


def test_a_channel_of_which_we_have_said_nothing_waits(us: Us) -> None:
    us.channel(updates="theirs")
    assert us.told == []
    assert list(us.own.messages()) == []
    us.writer.write_update(us.index.channels[scid(0)], 1, NOW, update(0, 1))
    assert us.told == [announcement(0, 0, 1), update(0, 1)]


def test_others_are_not_told_of(us: Us) -> None:
    row = us.writer.write_channel(announcement(5, 2, 3), scid(5), (KEYS[2][1], KEYS[3][1]), NOW, 1_000)
    us.writer.write_update(row, 0, NOW, update(5, 0, node=2))
    us.writer.write_node(us.index.nodes[KEYS[2][1]], NOW, node_announcement(2))
    assert us.told == []
    assert list(us.own.messages()) == []


def test_our_own_is_found_again_at_the_start(us: Us) -> None:
    ours = us.channel(0) + us.channel(1, 2)
    us.channel(2, updates="theirs")
    us = us.again()
    assert sorted(us.own.messages()) == sorted(ours)
    us.store.close()
