"""Strangers who are slow, who stop half-way, who break off: at each act and at INIT. And many of them."""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from tests.connectd.connectd_process import ConnectdProcess, peer_init
from tests.connectd.test_connectd_limits import Crowd, crowds, within
from wire.control.privilege import raise_fd_limit
from wire.control.timing import Timing
from wire.noise import ACT_ONE_SIZE, ACT_THREE_SIZE

__all__ = ["crowds"]

STAGES = ("act one", "act three", "init")
DEADLINE = 0.6
PACE = 0.05
SILENT = 1_200
MEMORY_OF_ONE = 20_000
"""Bytes that a silent connection may cost connectd."""


async def stage_bytes(stage: str, peer: ScriptedPeer) -> bytes:
    """Do all that comes before this stage; the bytes of which it consists."""
    if stage == "act one":
        return bytes(ACT_ONE_SIZE)
    held: list[bytes] = []

    def hold(act: str, data: bytes) -> bytes:
        if act != stage:
            return data
        held.append(data)
        return b""

    await peer.shake_hands(hold)
    return held[0] if held else peer.encrypt(peer_init())


@pytest.mark.parametrize("stage", STAGES)
async def test_a_byte_now_and_then_does_not_stretch_the_deadline(
    new_connectd: Callable[[], ConnectdProcess], stage: str
) -> None:
    connectd = new_connectd()
    await connectd.start(timing=Timing(connection_timeout=DEADLINE))
    async with await ScriptedPeer.dial(connectd.target()) as peer:
        begin = time.monotonic()
        data = await stage_bytes(stage, peer)
        with contextlib.suppress(ConnectionError, PeerClosed):
            for byte in data[: int(2 * DEADLINE / PACE)]:
                await peer.send_raw(bytes([byte]))
                await asyncio.sleep(PACE)
        await peer.hangs_up()
        assert time.monotonic() - begin >= DEADLINE
    await connectd.barrier()
    assert f"{'init' if stage == 'init' else 'handshake'}: timed out" in connectd.log()


@pytest.mark.parametrize("size", [1, -1], ids=["after a byte", "before the last byte"])
@pytest.mark.parametrize("stage", STAGES)
async def test_reset_in_the_midst(connectd: ConnectdProcess, stage: str, size: int) -> None:
    peer = await ScriptedPeer.dial(connectd.target())
    await peer.send_raw((await stage_bytes(stage, peer))[:size])
    peer._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await peer.close()
    await connectd.lives()


@pytest.mark.parametrize("stage", STAGES)
async def test_half_closed_in_the_midst(connectd: ConnectdProcess, stage: str) -> None:
    async with await ScriptedPeer.dial(connectd.target()) as peer:
        await peer.send_raw((await stage_bytes(stage, peer))[:-1])
        peer.write_eof()
        await peer.hangs_up()
    await connectd.lives()


async def test_half_closed_after_init_is_a_peer_all_the_same(connectd: ConnectdProcess) -> None:
    """What it said before is for its owner, who also finds out that nothing more will come."""
    async with await ScriptedPeer.dial(connectd.target()) as peer:
        await peer.shake_hands()
        await peer.say(peer_init(), b"\x80\x01")
        peer.write_eof()
        owner = await connectd.owner()
        await owner.peer.hear(0x8001)
        await owner.ends()


async def test_our_own_id_comes_in(connectd: ConnectdProcess) -> None:
    async with await ScriptedPeer.dial(connectd.target(), privkey=connectd.privkey) as peer:
        await peer.shake_hands()
        await peer.say(peer_init())
        await peer.hangs_up()
    await connectd.lives()
    assert "that is our own id" in connectd.log()


def memory(connectd: ConnectdProcess) -> int:
    """Bytes of connectd's memory that are its own."""
    status = Path(f"/proc/{connectd.process.pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


async def test_many_silent_ones(connectd: ConnectdProcess, crowds: Callable[[ConnectdProcess], Crowd]) -> None:
    """More than may be in their handshake. Those who talk come in at once, whatever the others do, and after it."""
    raise_fd_limit()
    await connectd.lives()
    before = memory(connectd)
    crowd = crowds(connectd)
    await crowd.come(SILENT // 2)
    with within(1.0):
        await connectd.lives()
    await crowd.come(SILENT // 2, say=bytes(ACT_THREE_SIZE))
    with within(1.0):
        await connectd.lives()
    assert memory(connectd) - before < SILENT * MEMORY_OF_ONE
    await connectd.lives()
