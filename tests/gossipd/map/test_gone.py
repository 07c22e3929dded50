"""Channels that are gone are remembered: in memory, within bounds, and in a file that outlives any end."""

import errno
import signal
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.map import gone
from gossipd.map.gone import ENDING, Gone, Remembered
from gossipd.store import file
from tests.gossipd.gossipd_process import HEIGHT, GossipdProcess, GossipdProcesses
from tests.gossipd.map.barriers import stored
from tests.gossipd.messages import NOW, announcement, scid, update
from tests.gossipd.test_chain import with_channels
from tests.gossipd.writer import Writer
from wire.control.control_wire import (
    ChainReorganised,
    ChainReorganisedReply,
    NewBlockheight,
    OutpointsSpent,
    OutpointsSpentReply,
)

NOTE = 13
"""Bytes of one in the file."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gossip_store.gone"


def test_remembered_is_bounded_and_forgets_the_oldest() -> None:
    remembered = Remembered(3)
    for number in (1, 2, 3, 1, 4):
        remembered.add(number)
    assert len(remembered) == 3
    assert [number in remembered for number in (1, 2, 3, 4)] == [True, False, True, True]


STEPS = st.lists(st.tuples(st.sampled_from(["close", "prune", "undo", "undo all", "reopen"]), st.integers(1, 6)))


@given(steps=STEPS, most=st.integers(1, 8))
def test_reopened_it_is_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], most: int
) -> None:
    """Also when the file is rewritten in between."""
    path = tmp_path_factory.mktemp("gone") / "file"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gone, "MAX_NOTES", most)
        remembered = Gone(path, 4)
        for step, number in steps:
            match step:
                case "close":
                    remembered.closed.add(number)
                case "prune":
                    remembered.pruned.add(number)
                case "undo":
                    remembered.closed.discard(number)
                case "undo all":
                    remembered.closed.clear()
            again = Gone(path, 4) if step == "reopen" else remembered
            assert [set(again.closed), set(again.pruned)] == [set(remembered.closed), set(remembered.pruned)]
            remembered = again
            assert path.stat().st_size <= NOTE * max(most, 8)


@pytest.mark.parametrize("left", range(2 * NOTE, 3 * NOTE))
def test_a_cut_tail_is_passed_over(path: Path, left: int) -> None:
    first = Gone(path)
    for number in (1, 2, 3):
        first.closed.add(number)
    path.write_bytes(path.read_bytes()[:left])
    second = Gone(path)
    second.closed.add(4)
    assert list(Gone(path).closed) == [1, 2, 4]


def test_a_damaged_one_ends_it(path: Path) -> None:
    first = Gone(path)
    for number in (1, 2, 3):
        first.pruned.add(number)
    content = bytearray(path.read_bytes())
    content[NOTE + 5] ^= 1
    path.write_bytes(content)
    assert list(Gone(path).pruned) == [1]


def test_a_disk_that_fails_for_a_while(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    remembered = Gone(path)
    with monkeypatch.context() as patch:
        patch.setattr(gone, "write_all", full)
        patch.setattr(file, "write_all", full)
        for number in (1, 2):
            remembered.closed.add(number)
    assert len(caplog.records) == 1
    assert [*Gone(path).closed] == []
    remembered.closed.add(3)
    assert [*Gone(path).closed] == [1, 2, 3]


# in gossipd


async def comes_back(gossipd: GossipdProcess) -> dict[str, int]:
    """The channel is announced again, with an update that is as old as the first."""
    peer = await gossipd.connect()
    await peer.say(announcement(0), update(0))
    await peer.sync()
    return await gossipd.settled()


def kill(gossipd: GossipdProcess) -> None:
    gossipd.process.send_signal(signal.SIGKILL)
    gossipd.process.wait()
    gossipd.master.close()


async def closed_and_killed(gossipds: GossipdProcesses) -> None:
    """A channel is spent and forgotten, and gossipd is killed."""
    gossipd = await with_channels(gossipds, 2)
    await gossipd.master.request(OutpointsSpent(HEIGHT + 1, [scid(0)]), OutpointsSpentReply)
    gossipd.master.send(NewBlockheight(HEIGHT + 73))
    assert (await stored(gossipd))["channels"] == 1
    kill(gossipd)


async def test_a_closed_channel_does_not_come_back_after_a_crash(gossipds: GossipdProcesses) -> None:
    """Without a chain that could be asked."""
    await closed_and_killed(gossipds)
    again = gossipds.new()
    await again.start()
    status = await comes_back(again)
    assert (status["channels"], status["closed"]) == (1, 2)


async def test_a_store_that_is_begun_anew_takes_everything(gossipds: GossipdProcesses) -> None:
    await closed_and_killed(gossipds)
    again = gossipds.new()
    again.store.unlink()
    await again.start()
    assert (await comes_back(again))["channels"] == 1


async def test_a_reorganisation_is_remembered_too(gossipds: GossipdProcesses) -> None:
    gossipd = await with_channels(gossipds, 2)
    await gossipd.master.request(OutpointsSpent(HEIGHT + 1, [scid(0)]), OutpointsSpentReply)
    gossipd.master.send(NewBlockheight(HEIGHT + 73))
    await gossipd.master.request(ChainReorganised(HEIGHT, [scid(0)]), ChainReorganisedReply)
    kill(gossipd)
    again = gossipds.new()
    await again.start()
    assert (await comes_back(again))["channels"] == 2


def test_a_pruned_channel_is_noted_before_it_goes(tmp_path: Path) -> None:
    """Whatever of the store is lost."""
    store = tmp_path / "gossip_store"
    writer = Writer(store, Gone(store.with_name(store.name + ENDING)))
    writer.full_channel(1, 1, 2, NOW)
    writer.store.flush()
    writer.forgetting.prune([scid(1), scid(7)])
    assert list(Gone(store.with_name(store.name + ENDING)).pruned) == [scid(1)]
    writer.close()
