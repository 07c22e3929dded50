"""One connectd takes the place of another: what waits moves, and where the next one fails nothing has moved."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from connectd.moving import VERSION, MovedPlace
from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.connectd_process import FIRST_ID, PATIENCE, ConnectdProcess, Owner
from tests.connectd.doors.tors import FakeTor
from wire.control.control_channel import ControlChannel, RequestFailed
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    Activate,
    ActivateReply,
    ConnectdInitReply,
    ListeningSocket,
    MoveAll,
    MoveAllReply,
    MoveCandidateReply,
    MovePlace,
    MovePlaceReplyfail,
    PeerReconnected,
)
from wire.net.states import load

NewConnectd = Callable[[], ConnectdProcess]


def pair() -> tuple[Fd, Fd]:
    """The two ends of a socket between two daemons."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Fd(ours.detach()), Fd(theirs.detach())


def copies(connectd: ConnectdProcess) -> list[ListeningSocket]:
    """As the master gives them to the next one."""
    return [ListeningSocket(each.kind, Fd(os.dup(each.fd))) for each in connectd.listeners]


async def moved(old: ConnectdProcess, new: ConnectdProcess, **init: Any) -> MoveAllReply:
    """The master's part in it."""
    old_end, new_end = pair()
    async with asyncio.timeout(PATIENCE):
        told = new.init(bind=[], listeners=copies(old), predecessor_fd=new_end, conn_id=10 * FIRST_ID, **init)
        reply = await new.master.request(told, ConnectdInitReply)
        assert (reply.bindings, reply.listeners) == (old.bindings, [])
        new.bindings = reply.bindings
        left = await old.master.request(MoveAll(old_end), MoveAllReply)
        await new.master.request(Activate(direct=False), ActivateReply)
    return left


async def ended(connectd: ConnectdProcess) -> None:
    """Wait until it has ended by itself, quietly."""
    assert await asyncio.to_thread(connectd.process.wait, PATIENCE) == 0, connectd.log()
    connectd.master.close()
    assert "BROKEN" not in connectd.log(), connectd.log()


async def test_nothing_is_here(connectd: ConnectdProcess, new_connectd: NewConnectd) -> None:
    new = new_connectd()
    assert await moved(connectd, new) == MoveAllReply(0, 0, request_id=3)
    await ended(connectd)
    await new.lives()


async def test_one_that_waits_for_an_older_one_moves(connectd: ConnectdProcess, new_connectd: NewConnectd) -> None:
    """What it has said already is for its owner; the end of the older one is told to the new connectd."""
    older = await ScriptedPeer.connect(connectd.target())
    owner = await connectd.owner()
    newer = await ScriptedPeer.connect(connectd.target(), privkey=older.privkey)
    assert (await connectd.hear(PeerReconnected)).conn_id == owner.info.conn_id
    await newer.say(bytes.fromhex("8001ff"))
    new = new_connectd()
    reply = await moved(connectd, new)
    assert (reply.owned, reply.elsewhere) == (1, 1)
    await owner.close()
    Owner(new, owner.message, owner.peer).report()
    next_owner = await new.owner()
    assert (next_owner.info.node_id, next_owner.info.conn_id) == (newer.node_id, owner.info.conn_id + 1)
    assert await next_owner.peer.hear_raw() == bytes.fromhex("8001ff")
    await ended(connectd)
    await newer.say(bytes.fromhex("8003"))
    assert await next_owner.peer.hear_raw() == bytes.fromhex("8003")
    again = await ScriptedPeer.connect(new.target(), privkey=older.privkey)
    assert (await new.hear(PeerReconnected)).conn_id == next_owner.info.conn_id
    for peer in (older, newer, again):
        await peer.close()
    await next_owner.close()


async def test_the_end_of_a_handshake(connectd: ConnectdProcess, new_connectd: NewConnectd) -> None:
    """The old one finishes it, the new one gives it away; what the old one begins after that goes the same way."""
    peer = await ScriptedPeer.dial(connectd.target())
    dialled = await ScriptedPeer.listen()
    reaching = connectd.reaching(bytes.fromhex(dialled.target[:66]), dialled.target[67:])
    silent = await dialled.accept_silent()
    new = new_connectd()
    await moved(connectd, new)
    owners = []
    for each in (peer, silent):
        await each.shake_hands()
        await each.exchange_init()
        owners.append(await new.owner())
    assert (await reaching).conn_id == owners[1].info.conn_id
    await ended(connectd)
    for owner in owners:
        await owner.close()
    for each in (peer, silent):
        await each.close()
    await dialled.close()


async def test_onion_services_stay_up(new_connectd: NewConnectd) -> None:
    """The conversation with Tor moves: Tor hears nothing of it. If Tor hangs up later the next one adds them again."""
    async with FakeTor().running() as tor:
        old, new = new_connectd(), new_connectd()
        addr = [f"autotor:{tor.address}/torport=9735"]
        await old.start(addr=addr)
        await moved(old, new, addr=addr)
        await ended(old)
        assert len(tor.services()) == 1
        await tor.heard_of_services(1)
        tor.hang_up()
        await tor.heard_of_services(1)
        assert len(tor.services()) == 2
        await new.lives()


@pytest.mark.parametrize("how", ["dies", "refuses", "acknowledges what it did not get"])
async def test_the_old_one_goes_on_if_the_next_one_fails(connectd: ConnectdProcess, how: str) -> None:
    older = await ScriptedPeer.connect(connectd.target())
    owner = await connectd.owner()
    newer = await ScriptedPeer.connect(connectd.target(), privkey=older.privkey)
    await connectd.hear(PeerReconnected)
    old_end, our_end = pair()

    def hear(message: ControlMessage) -> None:
        assert isinstance(message, MovePlace)
        assert load(MovedPlace, message.state, VERSION).nodes[0].owned == owner.info
        message.close_fds()
        if how == "dies":
            channel.close()
        elif how != "refuses":
            channel.send(MoveCandidateReply(request_id=message.request_id + 1))
        else:
            channel.reply(message, MovePlaceReplyfail("no room"))

    channel = ControlChannel(socket.socket(fileno=our_end), "predecessor", hear, lambda reason: None)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(RequestFailed) as refused:
            await connectd.master.request(MoveAll(old_end), MoveAllReply)
    channel.close()
    reasons = {"dies": "successor has closed its end", "refuses": "no room"}
    assert str(refused.value) == reasons.get(how, "successor said move_candidate_reply, for which it was not asked")
    await owner.ends()
    next_owner = await connectd.owner()
    assert next_owner.info.node_id == newer.node_id
    await next_owner.ends()
    await connectd.lives()
    for peer in (older, newer):
        await peer.close()
