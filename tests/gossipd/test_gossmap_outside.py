"""The library over a file that somebody cuts, grows, writes over or replaces while it is read: StoreError, never death.

What it shows meanwhile is true, or it is not shown.
"""

import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gossipd.gossmap import Gossmap, StoreError
from gossipd.store.records import amount_message, beginning, pack_record
from tests.gossipd.made import CHANNELS, NODES, NOW, PARSED, full, scid

READER = """
import sys
from gossipd.gossmap import Gossmap, StoreError
gossmap = None
for line in sys.stdin:
    try:
        gossmap = gossmap or Gossmap(sys.argv[1])
        gossmap.refresh()
        for channel in gossmap.channels():
            channel.announcement, channel.is_dying, channel.direction(0), channel.direction(1)
        print(len(list(gossmap.nodes())), flush=True)
    except (OSError, StoreError) as error:
        print(error, flush=True)
"""
ROUNDS = 200
TRUE = {raw for channel in CHANNELS for raw in (channel.announcement, *channel.updates)} | set(NODES)


def looks(gossmap: Gossmap) -> list[Callable[[], object]]:
    """Each way to look at each thing that is on the map now."""
    found: list[Callable[[], object]] = [gossmap.refresh, lambda: [node.announcement for node in gossmap.nodes()]]
    for channel in list(gossmap.channels()):
        found += [
            lambda c=channel: c.announcement,  # type: ignore[misc]
            lambda c=channel: c.is_dying,  # type: ignore[misc]
            lambda c=channel: [half.raw for n in (0, 1) if (half := c.direction(n)) is not None],  # type: ignore[misc]
        ]
    return found


def said(look: Callable[[], object]) -> list[object]:
    """What there is to see; nothing where the library says that it cannot be seen."""
    with contextlib.suppress(StoreError):
        seen = look()
        return seen if isinstance(seen, list) else [seen]
    return []


@pytest.mark.parametrize("size", [0, 1, 47, 500, 2_000])
@pytest.mark.parametrize("look", range(0, 60, 3))
def test_cut_between_any_two_looks(path: Path, monkeypatch: pytest.MonkeyPatch, look: int, size: int) -> None:
    full(path)
    count = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def cut_before(*arguments: Any) -> Any:
            nonlocal count
            if count == look:
                os.truncate(path, size)
            count += 1
            return real(*arguments)

        return cut_before

    for name in ("pread", "preadv", "fstat"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    with contextlib.suppress(StoreError), Gossmap(path) as gossmap:
        for each in looks(gossmap):
            assert {seen for seen in said(each) if isinstance(seen, bytes)} <= TRUE | {b""}
    assert count > look


def test_cut_and_grown_again(path: Path) -> None:
    """As gossipd does with its store: what is missing is not there, and the rest is read again."""
    full(path)
    whole = path.stat().st_size
    with Gossmap(path) as gossmap:
        channels = list(gossmap.channels())
        first = channels[0].announcement
        os.truncate(path, 1_000)
        os.truncate(path, whole)
        assert not gossmap.refresh()
        assert channels[0].announcement == first
        for look in (lambda: channels[-1].announcement, lambda: channels[-1].direction(0)):
            with pytest.raises(StoreError, match="was changed from outside while it was read"):
                look()
        assert gossmap.refresh()
        assert 0 < len(list(gossmap.channels())) < len(channels)
        assert all(channel.announcement in TRUE for channel in gossmap.channels())
        assert not gossmap.refresh()


def test_written_over(path: Path) -> None:
    """The same file, another content: it is read from its beginning, and what was given out says that it is gone."""
    full(path)
    content = path.read_bytes()
    with Gossmap(path) as gossmap:
        channels = list(gossmap.channels())
        other = beginning(b"2" * 32) + pack_record(amount_message(1), 0)
        other += pack_record(CHANNELS[3].announcement, NOW) + bytes(len(content))
        path.write_bytes(other)
        assert gossmap.refresh()
        assert [channel.short_channel_id for channel in gossmap.channels()] == [scid(3)]
        for channel in channels:
            with pytest.raises(StoreError, match="was changed from outside"):
                channel.direction(0)


def test_another_message_in_the_same_place(path: Path) -> None:
    """Whole, with its CRC, of the same length and type: but about another channel."""
    (one, parsed), *others = zip(CHANNELS, PARSED, strict=True)
    two, _ = next(pair for pair in others if len(pair[0].announcement) == len(one.announcement))

    def content(made: Any) -> bytes:
        return beginning(bytes(32)) + b"".join(pack_record(raw, NOW) for raw in (made.announcement, made.updates[0]))

    path.write_bytes(content(one))
    with Gossmap(path) as gossmap:
        (channel,) = gossmap.channels()
        assert channel.short_channel_id == parsed.short_channel_id
        (number,) = (number for number in (0, 1) if channel.direction(number) is not None)
        path.write_bytes(content(two))
        for look in (lambda: channel.announcement, lambda: channel.direction(number)):
            with pytest.raises(StoreError, match="was changed from outside"):
                look()


def test_after_it_was_given_back(path: Path) -> None:
    full(path)
    gossmap = Gossmap(path)
    (channel, *_) = gossmap.channels()
    gossmap.close()
    with pytest.raises(StoreError, match="was given back"):
        gossmap.refresh()
    assert channel.announcement in TRUE


def harm(path: Path, content: bytes, chance: random.Random) -> None:
    """One of what an outsider may do to the file; it is the whole one again now and then."""
    match chance.randrange(5):
        case 0 | 1:
            os.truncate(path, chance.randrange(len(content)))
        case 2:
            os.truncate(path, len(content))
        case 3:
            path.write_bytes(content)
        case _:
            path.with_name("new").write_bytes(content)
            path.with_name("new").replace(path)


def test_reader_lives_on(path: Path) -> None:
    """In a process of its own, which a look at a mapping would end; the file is harmed in the midst of its looks."""
    full(path)
    content, chance = path.read_bytes(), random.Random(1)
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert reader.stdin is not None and reader.stdout is not None
    with reader:
        for _ in range(ROUNDS):
            print("look", file=reader.stdin, flush=True)
            harm(path, content, chance)
            assert reader.stdout.readline()
        path.with_name("new").write_bytes(content)
        path.with_name("new").replace(path)
        print("look", file=reader.stdin, flush=True)
        assert reader.stdout.readline() == f"{len(NODES)}\n"
        reader.stdin.close()
    assert reader.returncode == 0
