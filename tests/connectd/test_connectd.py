"""The process among its neighbours: its end, its bounds, what it is told wrongly."""

import asyncio
import os
import signal
import time
from collections.abc import Callable

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.connectd_process import ConnectdProcess, peer_init
from wire.control.control_wire import Activate, GossipGetAddrsReply, PeerDisconnected, ReleasePeer
from wire.crypto_state import MAX_UNREAD

PRIVKEY = bytes([2]) * 32


async def test_it_goes_when_the_master_goes(connectd: ConnectdProcess) -> None:
    async with (
        await ScriptedPeer.dial(connectd.target()) as silent,
        await ScriptedPeer.listen(privkey=PRIVKEY) as listener,
    ):
        reaching = connectd.reaching(listener.node_id, listener.address)
        async with await listener.accept_silent() as dialled:
            assert connectd.ended() == 0
            await silent.hangs_up()
            await dialled.hangs_up()
        assert (await asyncio.gather(reaching, return_exceptions=True))[0] is not None
    assert "BROKEN" not in connectd.log()


async def test_a_handshake_goes_on_in_the_same_moment_as_the_master_goes(connectd: ConnectdProcess) -> None:
    """connectd is stopped until both have happened, so it meets them in one turn of its loop."""
    connectd.held = asyncio.Queue()
    async with await ScriptedPeer.dial(connectd.target()) as peer:
        shaking = asyncio.create_task(peer.shake_hands())
        asked = await connectd.held.get()
        connectd.process.send_signal(signal.SIGSTOP)
        await asyncio.to_thread(os.waitpid, connectd.process.pid, os.WUNTRACED)
        connectd.master.close()
        connectd.answer(asked)
        connectd.process.send_signal(signal.SIGCONT)
        assert connectd.ended() == 0
        await asyncio.gather(shaking, return_exceptions=True)
    assert "BROKEN" not in connectd.log()


async def test_it_cannot_go_on_without_hsmd(connectd: ConnectdProcess) -> None:
    connectd.hsm.close()
    assert await asyncio.to_thread(connectd.process.wait, 20) == 1
    assert "BROKEN  connectd: cannot go on: " in connectd.log()
    connectd.master.close()


async def test_a_neighbour_that_is_only_the_first_to_go_is_no_news(connectd: ConnectdProcess) -> None:
    connectd.hsm.close()
    connectd.link.close()
    assert connectd.ended() == 0
    assert "BROKEN" not in connectd.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_signals_are_for_the_master(connectd: ConnectdProcess, number: signal.Signals) -> None:
    os.kill(connectd.process.pid, number)
    await connectd.lives()


@pytest.mark.parametrize(
    "case", ["before init", "not for connectd", "a reply to nothing", "not the master's", "not gossipd's", "no message"]
)
async def test_wrong_words_break_it(new_connectd: Callable[[], ConnectdProcess], case: str) -> None:
    connectd = new_connectd()
    if case == "before init":
        connectd.master.send(PeerDisconnected(node_id=bytes(33), conn_id=1, reason=""))
    else:
        await connectd.start()
        match case:
            case "not for connectd":
                connectd.master.send(ReleasePeer(node_id=bytes(33), conn_id=1))
            case "a reply to nothing":
                connectd.link.send(GossipGetAddrsReply(addresses=[], request_id=77))
            case "not gossipd's":
                connectd.link.send(Activate(direct=False))
            case "no message":
                connectd.link._sock.send(b"?")
            case _:
                connectd.master.send(GossipGetAddrsReply(addresses=[]))
    status = await asyncio.to_thread(connectd.process.wait, 20)
    assert "BROKEN" in connectd.log()
    assert status == 1
    connectd.master.close()


async def test_what_comes_behind_init_goes_on_with_the_time_of_its_arrival(connectd: ConnectdProcess) -> None:
    async with await ScriptedPeer.dial(connectd.target(), privkey=PRIVKEY) as peer:
        await peer.shake_hands()
        connectd.gossip_gate.clear()
        before = time.time_ns()
        await peer.say(peer_init(), bytes.fromhex("8001") * 9)
        await connectd.barrier()
        after = time.time_ns()
        connectd.gossip_gate.set()
        owner = await connectd.owner()
        assert owner.message.state.unread
        assert before <= owner.message.state.read_at_ns <= after
        await owner.ends()


async def test_a_slow_gossipd_loses_nothing(connectd: ConnectdProcess) -> None:
    """What a peer pours in meanwhile stays in the kernel but for one bounded piece, and all of it arrives."""
    connectd.gossip_gate.clear()
    messages = [bytes.fromhex("8001") + number.to_bytes(4, "big") + bytes(994) for number in range(1_000)]
    async with await ScriptedPeer.dial(connectd.target(), privkey=PRIVKEY) as peer:
        await peer.shake_hands()
        pouring = asyncio.create_task(peer.say(peer_init(), *messages))
        await connectd.barrier()
        connectd.gossip_gate.set()
        owner = await connectd.owner()
        assert len(owner.message.state.unread) <= MAX_UNREAD
        for message in messages:
            assert (await owner.peer.hear(0x8001)).encode() == message
        await pouring
        await owner.ends()
