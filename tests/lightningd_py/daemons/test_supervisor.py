"""The daemons, real ones: started with their sockets, missed when they die, ended in order."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lightningd_py.daemons import supervisor as module
from lightningd_py.daemons.daemon import Daemon, ask
from lightningd_py.daemons.supervisor import Supervisor
from lightningd_py.errors import StartError
from wire.control.control_message import ControlMessage
from wire.control.control_wire import GossipdInit, GossipdInitReply, Heartbeat, HsmInit, HsmInitReply
from wire.control.timing import Timing
from wire.log.style import LogStyle
from wire.types import NETWORKS


class Deaths:
    """Who has died, as the supervisor tells it."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.first = asyncio.Event()

    def __call__(self, name: str, exit_status: int) -> None:
        self.told.append((name, exit_status))
        self.first.set()


@pytest.fixture
async def deaths() -> Deaths:
    return Deaths()


@pytest.fixture
async def supervisor(deaths: Deaths) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(LogStyle, deaths, Timing(heartbeat=0.1, control_timeout=2.0))
    yield supervisor
    await supervisor.end()


@pytest.fixture
async def daemons(supervisor: Supervisor) -> tuple[Daemon, Daemon, Daemon]:
    """hsmd, connectd, gossipd."""
    return supervisor.start(said_too_early, said_too_early)


def said_too_early(message: ControlMessage) -> None:
    pytest.fail(f"{message.name()} was said unasked")


def gossipd_init(store: Path) -> GossipdInit:
    return GossipdInit(NETWORKS["regtest"], bytes([2]) * 33, str(store), False, Timing(), "me", bytes(3), b"", [])


async def test_daemons_that_were_told_nothing_end_quietly(
    supervisor: Supervisor,
    daemons: tuple[Daemon, Daemon, Daemon],
    deaths: Deaths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CHILD_END_TIME", 60.0)  # they are still being loaded
    await supervisor.end()
    assert [daemon.process.exit_status for daemon in daemons] == [0, 0, 0]
    assert deaths.told == []
    await supervisor.end()


async def test_asking(daemons: tuple[Daemon, Daemon, Daemon], tmp_path: Path) -> None:
    hsmd, _, gossipd = daemons
    reply = await ask(hsmd.channel, HsmInit(str(tmp_path / "hsm_secret"), None), HsmInitReply)
    assert len(reply.node_id) == 33
    opened = await ask(gossipd.channel, gossipd_init(tmp_path / "gossip_store"), GossipdInitReply)
    assert (opened.channels, opened.nodes, opened.note) == (0, 0, "")


async def test_a_refusal_is_one_sentence(daemons: tuple[Daemon, Daemon, Daemon], tmp_path: Path) -> None:
    hsmd, _, gossipd = daemons
    with pytest.raises(StartError, match="no/such/place"):
        await ask(hsmd.channel, HsmInit("/no/such/place/hsm_secret", None), HsmInitReply)
    with pytest.raises(StartError, match="no/such/place"):
        await ask(gossipd.channel, gossipd_init(Path("/no/such/place/gossip_store")), GossipdInitReply)


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_a_death_is_told_once(daemons: tuple[Daemon, Daemon, Daemon], deaths: Deaths, which: int) -> None:
    daemon = daemons[which]
    os.kill(daemon.process.pid, signal.SIGKILL)
    with pytest.raises(StartError, match=f"{daemon.name} ended at the start"):
        await ask(daemon.channel, HsmInit("", None), HsmInitReply)
    await asyncio.wait_for(deaths.first.wait(), 60)
    assert deaths.told == [(daemon.name, -signal.SIGKILL)]


async def test_a_daemon_that_does_not_end_is_killed(
    supervisor: Supervisor,
    daemons: tuple[Daemon, Daemon, Daemon],
    deaths: Deaths,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CHILD_END_TIME", 0.05)
    gossipd = daemons[2]
    os.kill(gossipd.process.pid, signal.SIGSTOP)
    await supervisor.end()
    assert gossipd.process.exit_status == -signal.SIGKILL
    assert deaths.told == []


async def hears(daemon: Daemon) -> None:
    """Wait until it has begun: before that it cannot show where it is, and dies of being asked."""
    heard = asyncio.Event()
    daemon.channel.on_heartbeat = heard.set
    daemon.channel.send(Heartbeat())
    await asyncio.wait_for(heard.wait(), 60)


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_a_daemon_that_hangs_is_killed(
    supervisor: Supervisor,
    daemons: tuple[Daemon, Daemon, Daemon],
    deaths: Deaths,
    which: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The others, which answer, live on."""
    for daemon in daemons:
        await hears(daemon)
        supervisor.watch(daemon.channel)
    os.kill(daemons[which].process.pid, signal.SIGSTOP)
    await asyncio.wait_for(deaths.first.wait(), 60)
    assert deaths.told == [(daemons[which].name, -signal.SIGKILL)]
    assert [daemon.process.running for daemon in daemons] == [number != which for number in range(3)]
    assert f"{daemons[which].name} has not answered for 2 s" in caplog.text
