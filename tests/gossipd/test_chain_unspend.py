"""A spend that a reorganisation undoes leaves the map as it was, for every reader."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipd.chain import unspend
from gossipd.gossmap import Gossmap
from tests.gossipd.map.test_forget import check_order, sendable
from tests.gossipd.writer import Writer, content_at, content_of, scid


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    writer = Writer(path)
    writer.full_channel(1, 1, 2, 10)
    writer.channel(2, 2, 3, 10)
    writer.update(2, 1, 11)
    for node in (1, 2, 3):
        writer.node(node, 20)
    writer.store.flush()
    yield writer
    writer.close()


@pytest.mark.parametrize("spent", [[1], [2], [1, 2]])
def test_the_map_is_as_it_was(writer: Writer, path: Path, spent: list[int]) -> None:
    before = writer.content()
    scids = [scid(number) for number in spent]
    with Gossmap(path) as follower:
        writer.forgetting.spend(scids, 500)
        writer.store.flush()
        follower.refresh()
        assert unspend(writer.store, writer.index, writer.forgetting, [*scids, scid(9)]) == len(spent)
        writer.store.flush()
        follower.refresh()
        assert content_of(follower) == writer.content() == before
    check_order(writer)
    assert sorted(sendable(writer)) == sorted(
        ["channel 1", "channel 2", "node 1", "node 2", "node 3", "update 1/0", "update 1/1", "update 2/1"]
    )
    writer.close()
    assert content_at(path) == before


def test_it_may_be_spent_again(writer: Writer) -> None:
    writer.forgetting.spend([scid(1)], 500)
    unspend(writer.store, writer.index, writer.forgetting, [scid(1)])
    assert writer.forgetting.block(572) == 0
    assert writer.forgetting.spend([scid(1)], 600) == 1
    assert writer.forgetting.block(672) == 1
    assert scid(1) in writer.forgetting.closed
    unspend(writer.store, writer.index, writer.forgetting, [scid(1)])
    assert scid(1) not in writer.forgetting.closed, "it may be announced again"


def test_an_amount_is_learnt_later(writer: Writer, path: Path) -> None:
    writer.channel(3, 1, 3)
    for number in (1, 3):
        offset = writer.index.announce_off[writer.index.channels[scid(number)]]
        writer.store.set_amount(offset, 777_000 + number)
    writer.store.flush()
    with Gossmap(path) as gossmap:
        assert {channel.capacity_sat for channel in gossmap.channels()} == {777_001, 1_002, 777_003}
