"""The command `connectiond` on its own: real processes, a scripted peer, a service of pyzmq and msgpack only."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.tools.scripted_peer import ScriptedListener, ScriptedPeer
from tests.harness import processes
from tests.harness.bus_client import BusRefused, BusService
from tests.harness.connectionds import Connectiond, Connectionds
from wire.features import Features
from wire.peer_wire import ErrorMessage
from wire.secp256k1 import public_key

CHANNEL = bytes([7]) * 32
OPEN_CHANNEL = b"\0\x20" + bytes(32) + CHANNEL + b"and so on"
ODD = bytes.fromhex("9c41") + b"odd"
GOSSIP = bytes.fromhex("0102") + b"an update"
PRIVKEY = bytes([5]) * 32
NOBODY = public_key(bytes([99]) * 32)
MODES = {"processes": (), "threads": ("--threaded",)}
LISTENS = ("--listen", "127.0.0.1:0")


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """A process for each connection, or a thread."""
    return MODES[request.param]


@pytest.fixture
def listening(connectionds: Connectionds, mode: tuple[str, ...]) -> Connectiond:
    return connectionds.start(*LISTENS, *mode)


@pytest.fixture
async def service(listening: Connectiond) -> AsyncIterator[BusService]:
    """One that wants everything."""
    async with listening.service() as service:
        await service.join()
        yield service


async def test_everything_that_a_peer_says_goes_to_the_service(listening: Connectiond, service: BusService) -> None:
    async with await ScriptedPeer.connect(listening.target) as peer:
        taken = await service.msg.hear("take_peer")
        assert (taken["node_id"], taken["incoming"]) == (peer.node_id, True)
        await peer.say(GOSSIP, OPEN_CHANNEL, ODD)
        assert [await service.hear_peer(taken["conn_id"]) for _ in range(3)] == [GOSSIP, OPEN_CHANNEL, ODD]
        refusal = ErrorMessage(CHANNEL, b"no channels today").encode()
        await service.say(taken["conn_id"], refusal)
        assert (await peer.hear(ErrorMessage)).channel_id == CHANNEL
        await peer.sync()


async def test_init_promises_no_gossip(listening: Connectiond) -> None:
    async with await ScriptedPeer.connect(listening.target) as peer:
        assert peer.their_init is not None
        offered = Features(peer.their_init.features)
        assert offered.offers("option_data_loss_protect") and offered.offers("option_static_remotekey")
        assert not offered.offers("gossip_queries")


async def test_what_is_offered_stands_in_init(connectionds: Connectionds) -> None:
    offering = connectionds.start(*LISTENS, "--offer", "gossip_queries", "--offer", "1001")
    async with await ScriptedPeer.connect(offering.target) as peer:
        assert peer.their_init is not None
        assert Features(peer.their_init.features).has(7) and Features(peer.their_init.features).has(1001)


async def test_a_connection_waits_for_a_service_with_its_pings_answered(listening: Connectiond) -> None:
    async with await ScriptedPeer.connect(listening.target) as peer:
        await peer.say(OPEN_CHANNEL)
        await peer.sync()
        async with listening.service() as service:
            await service.join()
            conn_id = (await service.msg.hear("take_peer"))["conn_id"]
            assert await service.hear_peer(conn_id) == OPEN_CHANNEL
            await peer.say(ODD)
            assert await service.hear_peer(conn_id) == ODD


async def test_a_peer_that_says_much_while_nobody_is_here_is_disconnected(listening: Connectiond) -> None:
    async with await ScriptedPeer.connect(listening.target) as peer:
        await peer.say(*[ODD] * 300)
        await peer.hangs_up()
        await listening.logged("it says much, and no service is here to hear it")


async def test_thousands_of_messages_each_way_and_none_is_lost(listening: Connectiond, service: BusService) -> None:
    async with await ScriptedPeer.connect(listening.target) as peer:
        conn_id = (await service.msg.hear("take_peer"))["conn_id"]
        for start in range(0, 2000, 100):
            numbers = range(start, start + 100)
            await peer.say(*[ODD + b"%d" % number for number in numbers])
            for number in numbers:
                heard = await service.hear_peer(conn_id)
                assert heard == ODD + b"%d" % number
                await service.say(conn_id, heard)
            assert [(await peer.hear()).encode() for _ in numbers] == [ODD + b"%d" % number for number in numbers]


@pytest.fixture
async def listener() -> AsyncIterator[ScriptedListener]:
    """A node that can be dialled."""
    async with await ScriptedPeer.listen() as listener:
        yield listener


async def test_ctl_connects_lists_and_disconnects(
    listening: Connectiond, service: BusService, listener: ScriptedListener
) -> None:
    await service.ask("register", events=True)
    asking = asyncio.create_task(service.ask("connect", node_id=listener.node_id, address=listener.address))
    async with await listener.accept() as peer:
        connected = (await asking)["peer"]
        assert (connected["node_id"], connected["incoming"]) == (listener.node_id, False)
        assert (await service.ctl.hear("peer_connected"))["peer"]["owner"] == "connectiond"
        assert (await service.ctl.hear("peer_owner"))["owner"] == "channels"
        assert [peer["owner"] for peer in (await service.ask("list_peers"))["peers"]] == ["channels"]
        await service.ask("disconnect", node_id=listener.node_id, reason="enough")
        await peer.hangs_up()
    assert (await service.msg.hear("peer_disconnected"))["reason"] == "enough"
    assert (await service.ctl.hear("peer_disconnected"))["node_id"] == listener.node_id
    assert (await service.ask("list_peers"))["peers"] == []


async def test_what_ctl_refuses_is_one_sentence(listening: Connectiond, service: BusService) -> None:
    refused: list[tuple[dict[str, Any], str]] = [
        ({"kind": "connect", "node_id": bytes(33)}, "no node id"),
        ({"kind": "connect", "node_id": bytes.fromhex(listening.node_id)}, "our own"),
        ({"kind": "connect", "node_id": NOBODY, "address": "1:2:3:4"}, "neither an IP address nor a host name"),
        ({"kind": "connect", "node_id": NOBODY}, "no address known"),
        ({"kind": "connect", "node_id": NOBODY, "address": "127.0.0.1:1"}, "refused"),
        ({"kind": "disconnect", "node_id": NOBODY}, "not connected"),
        ({"kind": "register", "take": [18]}, "ping is answered here"),
        ({"kind": "register", "copy": [513]}, "the rest is the node's"),
        ({"kind": "release_peer", "node_id": NOBODY}, "is for a node"),
    ]
    for message, reason in refused:
        with pytest.raises(BusRefused, match=reason):
            await service.ask(**message)
    assert (await service.ask("list_registrations"))["services"][0]["take"] == []


async def test_whoever_wants_less_gets_what_it_wants(listening: Connectiond) -> None:
    """One service with a node, one with a message type, and one for all the rest."""
    async with listening.service("nodes") as nodes, listening.service("types") as types, listening.service() as rest:
        await nodes.join()
        await nodes.ask("register", node_ids=[public_key(PRIVKEY)])
        await types.join()
        await types.ask("register", take=[32])
        await rest.join()
        async with await ScriptedPeer.connect(listening.target, privkey=PRIVKEY) as peer:
            conn_id = (await nodes.msg.hear("take_peer"))["conn_id"]
            await peer.say(ODD)
            assert await nodes.hear_peer(conn_id) == ODD
        async with await ScriptedPeer.connect(listening.target) as peer:
            conn_id = (await rest.msg.hear("take_peer"))["conn_id"]
            await peer.say(GOSSIP, OPEN_CHANNEL, ODD)
            assert [await rest.hear_peer(conn_id) for _ in range(2)] == [GOSSIP, ODD]
            assert (await types.msg.hear("take_peer"))["conn_id"] == conn_id
            assert await types.hear_peer(conn_id) == OPEN_CHANNEL


async def test_a_connection_given_back_waits_for_another_service(listening: Connectiond, service: BusService) -> None:
    async with await ScriptedPeer.connect(listening.target) as peer:
        conn_id = (await service.msg.hear("take_peer"))["conn_id"]
        await service.msg.say("give_back", conn_id=conn_id)
        await service.msg.hear("peer_given_back")
        await peer.say(ODD)
        await peer.sync()
        async with listening.service("another") as another:
            await another.join()
            assert (await another.msg.hear("take_peer"))["conn_id"] == conn_id
            assert await another.hear_peer(conn_id) == ODD


async def test_a_service_that_dies_takes_its_connections_with_it(listening: Connectiond) -> None:
    service = listening.service()
    await service.join()
    async with await ScriptedPeer.connect(listening.target) as peer:
        await service.msg.hear("take_peer")
        service.close()
        await peer.hangs_up()
    async with listening.service() as again, await ScriptedPeer.connect(listening.target):
        await again.join()
        await again.msg.hear("take_peer")


async def test_the_newest_connection_of_a_node_wins(listening: Connectiond, service: BusService) -> None:
    async with await ScriptedPeer.connect(listening.target, privkey=PRIVKEY) as older:
        first = (await service.msg.hear("take_peer"))["conn_id"]
        async with await ScriptedPeer.connect(listening.target, privkey=PRIVKEY) as newer:
            await older.hangs_up()
            assert (await service.msg.hear("peer_disconnected"))["conn_id"] == first
            second = (await service.msg.hear("take_peer"))["conn_id"]
            await newer.say(ODD)
            assert await service.hear_peer(second) == ODD


async def test_no_more_connections_than_may_be(connectionds: Connectionds) -> None:
    small = connectionds.start(*LISTENS, "--max-connections", "1")
    async with small.service() as service:
        await service.join()
        async with await ScriptedPeer.connect(small.target):
            await service.msg.hear("take_peer")
            waiting = await ScriptedPeer.dial(small.target)
        await service.msg.hear("peer_disconnected")
        async with waiting:
            await waiting.shake_hands()
            await waiting.exchange_init()
            await service.msg.hear("take_peer")


async def test_a_process_that_dies_closes_its_connection_only(connectionds: Connectionds) -> None:
    one = connectionds.start(*LISTENS)
    async with one.service() as service, await ScriptedPeer.connect(one.target, privkey=PRIVKEY) as unlucky:
        await service.join()
        await service.msg.hear("take_peer")
        (process,) = one.children("connectd.connectiond.lines.carrier")
        async with await ScriptedPeer.connect(one.target) as other:
            conn_id = (await service.msg.hear("take_peer"))["conn_id"]
            os.kill(process, signal.SIGKILL)
            await unlucky.hangs_up()
            assert (await service.msg.hear("peer_disconnected"))["node_id"] == public_key(PRIVKEY)
            await other.say(ODD)
            assert await service.hear_peer(conn_id) == ODD


async def test_each_process_has_its_own_fds_only(connectionds: Connectionds) -> None:
    one = connectionds.start(*LISTENS)
    async with await ScriptedPeer.connect(one.target) as peer, await ScriptedPeer.connect(one.target) as another:
        await peer.sync()
        await another.sync()
        for pid in one.children("connectd.connectiond.lines.carrier"):
            processes.look_into(pid)
            assert len(processes.sockets(pid)) == 4, "its control socket, its peer, and a pair of its loop's own"
            assert "NoNewPrivs:\t1" in processes.status(pid)


def link_of(fd: int) -> str:
    """What an fd of ours is."""
    return str(Path(f"/proc/self/fd/{fd}").readlink())


async def test_no_process_has_what_our_parent_left_open(connectionds: Connectionds) -> None:
    reading, writing = os.pipe()
    try:
        one = connectionds.start(*LISTENS, pass_fds=[reading])
        left = link_of(reading)
        async with await ScriptedPeer.connect(one.target) as peer:
            await peer.sync()
            processes.look_into(one.process.pid)
            assert left in processes.links(one.process.pid)
            started = processes.children(one.process.pid)
            assert len(started) == 2, "hsmd, and the connection's process"
            for pid in started:
                assert left not in processes.links(pid)
    finally:
        os.close(reading)
        os.close(writing)


async def test_threads_need_no_process(connectionds: Connectionds) -> None:
    one = connectionds.start(*LISTENS, "--threaded")
    async with await ScriptedPeer.connect(one.target) as peer:
        await peer.sync()
        assert one.children("connectd.connectiond.lines.carrier") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_everything_in_order(listening: Connectiond, service: BusService, number: int) -> None:
    async with await ScriptedPeer.connect(listening.target) as peer:
        await service.msg.hear("take_peer")
        await peer.sync()
        listening.send_signal(signal.Signals(number), whole_group=True)
        await peer.hangs_up()
    assert await asyncio.to_thread(listening.wait) == 0
    assert (await service.msg.hear("peer_disconnected"))["reason"] == "connectiond ends"
    await service.ctl.hear("goodbye")
    assert listening.left_behind() == []


async def test_a_signal_ends_what_has_only_begun(
    connectionds: Connectionds, listener: ScriptedListener, mode: tuple[str, ...]
) -> None:
    """Handshakes, in and out, and one whose peer has not said INIT."""
    one = connectionds.start(*LISTENS, *mode)
    other = connectionds.begin("--connect", listener.target, *mode)
    async with (
        await ScriptedPeer.dial(one.target) as silent,
        await ScriptedPeer.dial(one.target) as nearly,
        await listener.accept_silent() as dialled,
    ):
        await nearly.shake_hands()
        await nearly.hear()
        one.send_signal(signal.SIGTERM)
        other.send_signal(signal.SIGTERM)
        for peer in (silent, nearly, dialled):
            await peer.hangs_up()
    assert await asyncio.to_thread(one.wait) == 0
    assert await asyncio.to_thread(other.wait) == 0


async def test_kill_leaves_no_process(connectionds: Connectionds) -> None:
    """And the next one in the same directory is not kept out by what is left of its sockets."""
    one = connectionds.start(*LISTENS)
    async with await ScriptedPeer.connect(one.target) as peer:
        await peer.sync()
        one.process.kill()
        await peer.hangs_up()
    assert await asyncio.to_thread(one.wait) == -signal.SIGKILL
    connectionds.expect_end(one)
    assert connectionds.start(*LISTENS, name="c1").node_id == one.node_id


async def test_a_passphrase_is_read_from_standard_input(connectionds: Connectionds, tmp_path: Path) -> None:
    ids = set()
    for words, status in ((b"open sesame\n", 0), (b"open sesame\n", 0), (b"barley\n", 1)):
        (tmp_path / "stdin").write_bytes(words)
        with (tmp_path / "stdin").open("rb") as stdin:
            one = connectionds.begin(*LISTENS, "--hsm-passphrase", name="secret", stdin=stdin)
        if status == 0:
            ids.add(one.ready().node_id)
            one.send_signal(signal.SIGTERM)
        assert await connectionds.ended(one) == status
    assert len(ids) == 1
    assert "passphrase" in one.lines[-1]


async def test_hsmds_death_is_the_end(connectionds: Connectionds) -> None:
    one = connectionds.start(*LISTENS)
    (hsmd,) = one.children("lightningd_py.hsm.hsmd")
    os.kill(hsmd, signal.SIGKILL)
    assert await connectionds.ended(one) == 1
    assert one.lines[-1] == "connectiond: hsmd has ended with status -9"


async def test_connect_reaches_a_node(
    connectionds: Connectionds, listener: ScriptedListener, mode: tuple[str, ...]
) -> None:
    one = connectionds.begin("--connect", listener.target, *mode)
    async with await listener.accept() as peer:
        async with one.ready().service() as service:
            await service.join()
            taken = await service.msg.hear("take_peer")
            assert (taken["node_id"], taken["incoming"]) == (listener.node_id, False)
            await service.say(taken["conn_id"], ODD)
            assert (await peer.hear()).encode() == ODD
        await peer.hangs_up()
    assert await connectionds.ended(one) == 1
    assert one.lines[-1].startswith(f"connectiond: the connection with {listener.node_id.hex()} has ended: ")


async def test_connect_tells_why_a_node_cannot_be_reached(connectionds: Connectionds, unused_ports: list[int]) -> None:
    one = connectionds.begin("--connect", f"{NOBODY.hex()}@127.0.0.1:{unused_ports[0]}")
    assert await connectionds.ended(one) == 1
    assert one.lines[-1].startswith(f"connectiond: {NOBODY.hex()} cannot be reached: ")
    assert "Connection refused" in one.lines[-1]


async def test_the_key_stays_the_same_and_may_be_elsewhere(connectionds: Connectionds, tmp_path: Path) -> None:
    first = connectionds.start(*LISTENS)
    assert await asyncio.to_thread(first.stop) == 0
    secret = first.directory / "hsm_secret"
    assert secret.stat().st_mode & 0o777 == 0o400
    elsewhere = connectionds.start(*LISTENS, "--hsm-secret", str(secret))
    assert elsewhere.node_id == first.node_id
    assert not (elsewhere.directory / "hsm_secret").exists()


async def test_what_is_wrong_with_a_place_is_one_sentence(connectionds: Connectionds, tmp_path: Path) -> None:
    holder = connectionds.start(*LISTENS)
    (tmp_path / "file").touch()
    for options, reason in (
        (("--listen", holder.bindings[0]), "Cannot bind .*Address already in use"),
        ((*LISTENS, "--ctl", f"ipc://{holder.directory}/ctl"), "another process listens there"),
        ((*LISTENS, "--hsm-secret", "/no/such/directory/hsm_secret"), "hsm_secret"),
        ((*LISTENS, "--dir", f"{tmp_path}/file/dir"), "(Not a directory|File exists)"),
    ):
        one = connectionds.begin(*options)
        assert await connectionds.ended(one) == 1
        assert re.search(f"^connectiond: .*{reason}", one.lines[-1]), one.log
