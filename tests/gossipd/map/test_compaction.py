"""Online compaction: nothing is lost, no reader loses its place, and it can fail or be cut short anywhere."""

import contextlib
import errno
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gossipd.gossmap import Gossmap
from gossipd.map import compaction
from gossipd.map.compaction import Compaction
from gossipd.map.loading import load
from gossipd.store.file import successor_of
from gossipd.store.records import BEGINNING_SIZE, CHANNEL_DYING, COMPLETED, ENDED, HEADER, HEADER_SIZE, parse_ended
from gossipd.store.writer import GossipStore, StoreError
from tests.gossipd.faults import Countdown, Crash, in_a_process
from tests.gossipd.map.test_forget import STEPS, check_order, take
from tests.gossipd.writer import Writer, content_at, content_of, live_messages, scid


def fill(writer: Writer, channels: int = 6) -> None:
    """Some channels whose updates were replaced several times."""
    for channel in range(channels):
        writer.full_channel(channel, channel, channel + 1, 10)
    for timestamp in range(11, 15):
        for channel in range(channels):
            writer.update(channel, timestamp % 2, timestamp)
    for node in range(channels):
        writer.node(node, 20)
    writer.store.flush()


def change(writer: Writer) -> None:
    """What may go on meanwhile: of everything something."""
    writer.update(0, 0, 50)
    writer.forgetting.prune([scid(1)])
    writer.forgetting.spend([scid(2)], 100)
    writer.full_channel(20, 2, 30, 51)
    writer.node(30, 52)
    writer.store.flush()


def compact(writer: Writer) -> compaction.Moved:
    compacting = Compaction(writer.store, writer.index)
    while compacting.copy():
        pass
    compacting.sync()
    return finish(compacting)


def finish(compacting: Compaction) -> compaction.Moved:
    moved = compacting.finish()
    compacting.release()
    return moved


def test_compacted_store_holds_the_same_and_nothing_else(writer: Writer, path: Path) -> None:
    fill(writer)
    writer.forgetting.prune([scid(0)])
    writer.store.flush()
    content, size, uuid = writer.content(), writer.store.size, writer.store.uuid
    live = live_messages(writer.store)
    saved = writer.store.dead_bytes
    compact(writer)
    assert (writer.store.size, writer.store.dead_bytes) == (size - saved, 0)
    assert writer.store.uuid != uuid
    assert writer.content() == content
    assert live_messages(writer.store) == live
    writer.close()
    assert not successor_of(path).exists()
    assert content_at(path) == content


def test_old_file_sends_its_readers_on(writer: Writer, path: Path) -> None:
    fill(writer)
    old_end = writer.store.end
    with path.open("rb") as old:
        compact(writer)
        old.seek(old_end)
        record = old.read()
    assert HEADER.unpack_from(record)[0] == COMPLETED
    assert parse_ended(record[HEADER_SIZE:]) == (writer.store.end, writer.store.uuid)
    assert int.from_bytes(record[HEADER_SIZE : HEADER_SIZE + 2], "big") == ENDED


def test_readers_are_sent_on_only_when_the_new_file_is_there(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower that is quick would open the old file again, and take it for the new one."""
    fill(writer)
    old_end = writer.store.end
    flags: list[int] = []
    replace = Path.replace

    def looked_at(source: Path, target: Path) -> Path:
        flags.append(HEADER.unpack_from(path.read_bytes(), old_end)[0])
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", looked_at)
    compact(writer)
    assert flags == [0]


def test_what_happens_meanwhile_is_there(writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "SLICE_RECORDS", 10)
    fill(writer)
    compacting = Compaction(writer.store, writer.index)
    assert compacting.copy()
    change(writer)
    writer.update(3, 0, 60)  # in no file yet
    content = writer.content()
    finish(compacting)
    assert writer.content() == content
    check_order(writer)
    assert writer.store.dead_bytes > 0
    dead = writer.store.dead_bytes
    writer.close()
    again = Writer(path)
    assert (again.content(), again.store.dead_bytes) == (content, dead)
    again.close()


def test_timestamp_that_is_set_meanwhile(writer: Writer, path: Path) -> None:
    offset = writer.channel(1, 1, 2)
    writer.store.flush()
    compacting = Compaction(writer.store, writer.index)
    compacting.copy()
    writer.store.set_timestamp(offset, 77)
    finish(compacting)
    assert [record[1] for record in live_messages(writer.store)] == [77]
    writer.close()
    assert len(content_at(path)) == 3


@given(before=STEPS, meanwhile=STEPS, after=STEPS, slices=st.integers(0, 6), where=st.integers(0, 1000))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_compaction_at_any_moment(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: list[tuple[str, int, int]],
    meanwhile: list[tuple[str, int, int]],
    after: list[tuple[str, int, int]],
    slices: int,
    where: int,
) -> None:
    monkeypatch.setattr(compaction, "SLICE_RECORDS", 3)
    path = tmp_path / os.urandom(8).hex()
    writer = Writer(path)
    with Gossmap(path) as follower:
        for number, step in enumerate(before, 1):
            take(writer, step, number)
        writer.store.flush()
        compacting = Compaction(writer.store, writer.index)
        for number, step in enumerate(meanwhile, 50):
            take(writer, step, number)
            if number - 50 < slices:
                compacting.copy()
        follower.refresh()
        writer.store.flush()
        starts = record_starts(writer.store)
        place = starts[where % len(starts)]
        rest = live_messages(writer.store, place)
        moved = finish(compacting)
        assert live_messages(writer.store, moved.place(place)) == rest
        for number, step in enumerate(after, 100):
            take(writer, step, number)
        writer.store.flush()
        check_order(writer)
        follower.refresh()
        follower.refresh()
        assert content_of(follower) == writer.content()
    content, dead = writer.content(), writer.store.dead_bytes
    writer.close()
    again = Writer(path)
    assert (again.content(), again.store.dead_bytes) == (content, dead)
    again.close()


def record_starts(store: GossipStore) -> list[int]:
    """Where records begin, the end included."""
    starts = [1]
    while starts[-1] < store.end:
        starts.append(store.scan(starts[-1], 1)[1])
    return starts


def test_places_move(writer: Writer) -> None:
    first = writer.channel(1, 1, 2)
    update = writer.update(1, 0, 10)
    writer.update(1, 0, 11)
    writer.store.flush()
    end = writer.store.end
    moved = compact(writer)
    assert moved.place(first) == BEGINNING_SIZE
    assert moved.place(update) == writer.index.update_off[0][writer.index.channels[scid(1)]]
    assert moved.place(end) == writer.store.end
    assert moved.place(1) == BEGINNING_SIZE


def test_dying_channel_moves_and_goes_in_its_time(writer: Writer) -> None:
    fill(writer)
    writer.forgetting.spend([scid(3)], 100)
    compact(writer)
    assert writer.forgetting.block(172) == 1
    writer.store.flush()
    assert not [raw for raw, _, _ in live_messages(writer.store) if raw[:2] == CHANNEL_DYING.to_bytes(2, "big")]
    check_order(writer)


def test_lock_moves_along(writer: Writer, path: Path) -> None:
    fill(writer)
    compact(writer)
    with pytest.raises(StoreError, match="in use by another process"):
        GossipStore.open(path)


def test_second_compaction(writer: Writer, path: Path) -> None:
    fill(writer)
    for _ in range(3):
        compact(writer)
        change_again = writer.content()
        writer.update(0, 1, 100 + len(change_again))
        writer.store.flush()
    content = writer.content()
    compact(writer)
    assert writer.content() == content
    assert content_at_after(writer, path) == content


def content_at_after(writer: Writer, path: Path) -> dict[str, tuple[bytes, ...]]:
    writer.close()
    return content_at(path)


CALLS = ["pwrite", "fsync", "replace", "rename", "ftruncate", "unlink"]


def break_calls(patch: pytest.MonkeyPatch, countdown: Countdown) -> None:
    """All that changes files fails when its time has come."""
    for name in CALLS:
        patch.setattr(os, name, countdown.wrap(getattr(os, name)))


def compact_with_changes(writer: Writer, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(compaction, "SLICE_RECORDS", 10)
    compacting = Compaction(writer.store, writer.index)
    try:
        compacting.copy()
        change(writer)
        while compacting.copy():
            pass
        compacting.sync()
        finish(compacting)
    except OSError:
        compacting.abandon()
        raise


def test_killed_at_any_call(tmp_path: Path) -> None:
    """Whatever the moment, the next daemon finds one whole store, and a follower finds its way to it."""
    reference = Writer(tmp_path / "reference")
    fill(reference)
    completed = reference.content()
    change(reference)
    changed = reference.content()
    reference.close()
    found = []
    for at in range(100):
        path = tmp_path / str(at)
        writer = Writer(path)
        fill(writer)
        writer.close()

        def die_compacting(path: Path = path, at: int = at) -> None:
            writer = Writer(path)
            with pytest.MonkeyPatch.context() as patch:
                break_calls(patch, Countdown(at, Crash()))
                compact_with_changes(writer, patch)

        with Gossmap(path) as follower:
            done = in_a_process(die_compacting)
            follower.refresh()
            again = Writer(path)
            check_order(again)
            assert not successor_of(path).exists()
            found.append(again.content())
            follower.refresh()
            follower.refresh()
            assert content_of(follower) == found[-1]
            again.close()
        if done:
            break
    assert done
    first = found.index(changed)
    assert found == [completed] * first + [changed] * (len(found) - first)


def test_disk_full_at_any_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compaction is abandoned, the store goes on, and nothing that was in it is lost."""
    for at in range(100):
        path = tmp_path / str(at)
        writer = Writer(path)
        fill(writer)
        countdown = Countdown(at, OSError(errno.ENOSPC, "No space left on device"))
        with monkeypatch.context() as patch, Gossmap(path) as follower:
            for name in ("pwrite", "fsync", "replace", "rename"):
                patch.setattr(os, name, countdown.wrap(getattr(os, name)))
            with contextlib.suppress(OSError):
                compact_with_changes(writer, patch)
            patch.undo()
            writer.store.flush()
            if scid(20) not in writer.index.channels:
                change(writer)
            writer.update(3, 1, 90)
            writer.store.flush()
            content = writer.content()
            follower.refresh()
            follower.refresh()
            assert content_of(follower) == content
            assert not successor_of(path).exists()
            compact(writer)
            assert writer.content() == content
            writer.close()
            assert content_at(path) == content
        if countdown.left > 0:
            break
    assert countdown.left > 0


def test_what_a_cut_compaction_left_is_removed(path: Path) -> None:
    load(path)[0].close()
    successor_of(path).write_bytes(b"\x10half")
    load(path)[0].close()
    assert not successor_of(path).exists()
