"""connectiond on its own: the ways to it and from it, and a service that is slow."""

import asyncio
import shutil
from pathlib import Path

import pytest
import zmq.auth

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.proxies import GRANTED, USER_PASSWORD, FakeProxy
from tests.harness.connectionds import Connectionds

ODD = bytes.fromhex("9c41") + b"odd"
ONION = "a" * 55 + "d.onion:9735"
LISTENS = ("--listen", "127.0.0.1:0")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_it_dials_and_is_dialled_over(connectionds: Connectionds, host: str) -> None:
    """Two of them, and a service at each."""
    one = connectionds.start("--listen", f"{host}:0")
    other = connectionds.start("--connect", one.target)
    async with one.service() as ours, other.service() as theirs:
        await ours.join()
        await theirs.join()
        here, there = await ours.msg.hear("take_peer"), await theirs.msg.hear("take_peer")
        assert (here["incoming"], there["incoming"]) == (True, False)
        await ours.say(here["conn_id"], ODD)
        assert await theirs.hear_peer(there["conn_id"]) == ODD
        assert await asyncio.to_thread(other.stop) == 0


async def test_all_that_is_listed_is_listened_on(connectionds: Connectionds, tmp_path: Path) -> None:
    door = tmp_path / "door"
    one = connectionds.start("--listen", "127.0.0.1:0", "[::1]:0", str(door))
    assert len(one.bindings) == 3
    for binding in one.bindings:
        async with await ScriptedPeer.connect(f"{one.node_id}@{binding}") as peer:
            await peer.sync()
    assert await asyncio.to_thread(one.stop) == 0
    assert not door.exists()


async def test_an_onion_address_is_reached_through_the_proxy(connectionds: Connectionds) -> None:
    async with await ScriptedPeer.listen() as listener:
        proxy = FakeProxy(USER_PASSWORD, b"\1\0", GRANTED, target=listener.address)
        async with proxy.running():
            one = connectionds.begin("--connect", f"{listener.node_id.hex()}@{ONION}", "--proxy", proxy.address)
            async with await listener.accept() as peer, one.ready().service() as service:
                await service.join()
                assert (await service.msg.hear("take_peer"))["address"] == ONION
                await peer.sync()
                assert await asyncio.to_thread(one.stop) == 0
    assert ONION.partition(":")[0].encode() in proxy.said[0][2]


async def test_tcp_is_for_those_whose_key_is_there(connectionds: Connectionds, tmp_path: Path) -> None:
    """Both buses on tcp, with CURVE."""
    one = connectionds.start(*LISTENS, "--ctl", "tcp://127.0.0.1:0", "--msg", "tcp://127.0.0.1:0")
    public, secret = zmq.auth.create_certificates(tmp_path, "alice")
    shutil.copy(public, one.directory / "curve" / "clients")
    async with await ScriptedPeer.connect(one.target) as peer:
        keys = (*zmq.auth.load_certificate(secret), zmq.auth.load_certificate(one.directory / "curve/server.key")[0])
        async with one.service("alice", curve=keys) as service:
            await service.join()
            conn_id = (await service.msg.hear("take_peer"))["conn_id"]
            await service.say(conn_id, ODD)
            assert (await peer.hear()).encode() == ODD


@pytest.mark.parametrize("mode", [(), ("--threaded",)])
async def test_a_slow_service_loses_nothing(connectionds: Connectionds, mode: tuple[str, ...]) -> None:
    """The service has room for two messages at a time: the rest waits, and at last with the peer."""
    one = connectionds.start(*LISTENS, *mode)
    async with one.service(credit=2) as service, await ScriptedPeer.connect(one.target) as peer:
        await service.join()
        conn_id = (await service.msg.hear("take_peer"))["conn_id"]
        long = ODD + bytes(20_000)
        saying = asyncio.create_task(peer.say(*[long + b"%d" % number for number in range(150)]))
        for number in range(150):
            assert await service.hear_peer(conn_id) == long + b"%d" % number
        await saying
        await peer.sync()
