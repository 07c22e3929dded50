"""Records read together: the same as those read one by one, or the same complaint."""

import os
from pathlib import Path

import pytest

from gossipd.gossmap import Gossmap
from gossipd.store.file import StoreError
from gossipd.store.read_only import Ahead, StoreFile
from tests.gossipd.made import CHANNELS, full, scid
from wire.gossip_layout import CHANNEL_ANNOUNCEMENT, channel_scid


def opened_at(path: Path) -> StoreFile:
    """A store with the whole small map. Its fd is closed when the last one who looks at it has gone."""
    full(path)
    return StoreFile(path, os.open(path, os.O_RDONLY))


def test_channels_that_are_read_together_are_what_they_are_alone(path: Path) -> None:
    full(path)
    with Gossmap(path) as gossmap:
        wanted = [scid(3), 12345, scid(0), scid(11)]
        found = gossmap.channels_at(wanted)
        assert [channel.short_channel_id for channel in found] == [scid(3), scid(0), scid(11)]
        for channel in found:
            alone = gossmap.channel(channel.short_channel_id)
            assert alone is not None
            assert channel.announcement == alone.announcement
            assert channel.node_ids == alone.node_ids
            assert channel.is_dying == alone.is_dying
            assert [channel.direction(number) for number in (0, 1)] == [alone.direction(number) for number in (0, 1)]
        assert gossmap.channels_at([12345]) == []


def test_what_lies_far_apart_is_not_read_together(path: Path) -> None:
    opened = opened_at(path)
    assert isinstance(opened.ahead([47, 500]), Ahead)
    assert opened.ahead([47, 5_000_000]) is opened


def test_what_is_not_whole_in_memory_or_lies_elsewhere_is_read(path: Path) -> None:
    opened = opened_at(path)
    data, at = path.read_bytes(), 47
    for start, size in ((at, 30), (at, len(data)), (at + 1, len(data)), (0, at + 5)):
        ahead = Ahead(opened, start, data[start : start + size])
        assert ahead.message(at, CHANNEL_ANNOUNCEMENT, channel_scid, scid(0)) == CHANNELS[0].announcement
        assert ahead.flags(at) == opened.flags(at)


@pytest.mark.parametrize("whom", [scid(1), None])
def test_what_was_written_over_meanwhile_is_an_error(path: Path, whom: int | None) -> None:
    """Another message lies there, or none."""
    opened = opened_at(path)
    ahead = opened.ahead([47])
    with pytest.raises(StoreError, match="was changed from outside"):
        ahead.message(47 if whom else 48, CHANNEL_ANNOUNCEMENT, channel_scid, whom or scid(0))
    assert opened.is_damaged
