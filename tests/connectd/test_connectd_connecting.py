"""Peers come and go through the real connectd, in both directions and over every kind of socket."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.conftest import Dial
from tests.connectd.connectd_process import FIRST_ID, ConnectdProcess, peer_init
from wire.control.control_channel import RequestFailed
from wire.control.control_wire import (
    Activate,
    ActivateReply,
    ChangeNodeRegistrations,
    ConnectdInitReply,
    HandlePeer,
    PeerConnected,
    SetFeatures,
)
from wire.features import Features, default_init_features
from wire.noise import ACT_ONE_SIZE, ACT_TWO_SIZE, Initiator
from wire.peer_wire import GossipTimestampFilter
from wire.secp256k1 import public_key
from wire.types import NETWORKS

PRIVKEY = bytes([2]) * 32
PEER_ID = public_key(PRIVKEY)


def addresses(tmp_path: Path) -> dict[str, str]:
    return {"ipv4": "127.0.0.1:0", "ipv6": "[::1]:0", "unix": str(tmp_path / "sock")}


@pytest.mark.parametrize("kind", ["ipv4", "ipv6", "unix"])
async def test_a_peer_dials_us(new_connectd: Callable[[], ConnectdProcess], tmp_path: Path, kind: str) -> None:
    connectd = new_connectd()
    await connectd.start(bind=[addresses(tmp_path)[kind]])
    async with await ScriptedPeer.connect(connectd.target(), privkey=PRIVKEY) as peer:
        owner = await connectd.owner()
        assert owner.info.node_id == PEER_ID
        assert owner.info.conn_id == FIRST_ID
        assert owner.info.incoming
        assert owner.info.networks == [NETWORKS["regtest"]]
        assert Features(owner.info.features) == default_init_features()
        assert owner.info.address.startswith(connectd.bindings[0].rpartition(":")[0])
        await asyncio.gather(peer.say(bytes.fromhex("8001")), owner.peer.hear(0x8001))
        await asyncio.gather(owner.peer.say(bytes.fromhex("8003")), peer.hear(0x8003))
        await owner.ends()


@pytest.mark.parametrize("kind", ["ipv4", "ipv6", "unix"])
async def test_we_dial_a_peer(connectd: ConnectdProcess, tmp_path: Path, kind: str) -> None:
    async with await ScriptedPeer.listen(addresses(tmp_path)[kind], privkey=PRIVKEY) as listener:
        info, peer = await asyncio.gather(connectd.reach(PEER_ID, listener.address), listener.accept())
        owner = await connectd.owner()
        async with peer:
            assert owner.info == info
            assert (info.node_id, info.incoming, info.address) == (PEER_ID, False, listener.address)
            assert peer.their_id == connectd.node_id
            await asyncio.gather(peer.say(bytes.fromhex("8001")), owner.peer.hear(0x8001))
            await owner.ends()


@pytest.mark.bolt("B1-20", "B1-22", "B1-23", "B1-24", "B1-25", "B1-26")
async def test_our_init(dial: Dial) -> None:
    peer, _ = await dial()
    assert peer.their_init is not None
    assert peer.their_init.features == default_init_features().to_bytes()
    assert list(Features(peer.their_init.globalfeatures).bits()) == [
        bit for bit in default_init_features().bits() if bit < 13
    ]
    assert peer.their_init.networks == [NETWORKS["regtest"]]
    assert peer.their_init.remote_addr is None, "a loopback address is private"


async def test_what_our_init_says_changes_with_the_services(connectd: ConnectdProcess, dial: Dial) -> None:
    """From the next connection on."""
    with_storage = default_init_features() | Features.of([43])
    connectd.master.send(SetFeatures(with_storage.to_bytes()))
    peer, _ = await dial()
    assert peer.their_init is not None
    assert peer.their_init.all_features() == with_storage


async def test_all_bindings_are_told_with_their_ports(
    new_connectd: Callable[[], ConnectdProcess], tmp_path: Path
) -> None:
    connectd = new_connectd()
    path = str(tmp_path / "sock")
    await connectd.start(bind=["127.0.0.1:0", "[::1]:0", path], announce=["1.2.3.4:9735"])
    hosts = [binding.rpartition(":")[0] for binding in connectd.bindings]
    assert hosts[:2] == ["127.0.0.1", "[::1]"]
    assert connectd.bindings[2] == path
    for number in range(3):
        async with await ScriptedPeer.connect(connectd.target(number)):
            await (await connectd.owner()).ends()


async def test_nothing_is_accepted_before_activate(new_connectd: Callable[[], ConnectdProcess]) -> None:
    connectd = new_connectd()
    reply = await connectd.master.request(connectd.init(announce=["1.2.3.4:9735"]), ConnectdInitReply)
    connectd.listeners += reply.listeners
    assert reply.announceable == ["1.2.3.4:9735"]
    connectd.bindings = reply.bindings
    early = asyncio.create_task(ScriptedPeer.connect(connectd.target()))
    await connectd.barrier()
    assert connectd.said.empty()
    assert not early.done()
    await connectd.master.request(Activate(direct=False), ActivateReply)
    async with await early:
        await (await connectd.owner()).ends()


async def test_port_in_use(connectd: ConnectdProcess, new_connectd: Callable[[], ConnectdProcess]) -> None:
    second = new_connectd()
    with pytest.raises(RequestFailed) as failed:
        await second.start(bind=connectd.bindings)
    assert str(failed.value) == f"Cannot bind {connectd.bindings[0]}: Address already in use"
    assert second.ended() == 0
    await connectd.lives()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("not an address", "is neither an IP address nor a host name"),
        ("192.0.2.1:1", "Cannot assign requested address"),
        ("no-such-host.invalid:1", "Cannot bind no-such-host.invalid:1: "),
        ("a" * 56 + ".onion:1", "can only be announced"),
        ("ws:127.0.0.1:0", "there is no websocketd"),
        ("/no/such/directory/sock", "No such file or directory"),
    ],
)
async def test_addresses_that_cannot_be_bound(
    new_connectd: Callable[[], ConnectdProcess], address: str, reason: str
) -> None:
    connectd = new_connectd()
    with pytest.raises(RequestFailed) as failed:
        await connectd.start(bind=[address])
    assert str(failed.value).startswith("Cannot bind ")
    assert reason in str(failed.value)


async def test_direct_path(new_connectd: Callable[[], ConnectdProcess]) -> None:
    connectd = new_connectd()
    await connectd.start(direct=True)
    async with await ScriptedPeer.connect(connectd.target(), privkey=PRIVKEY) as peer:
        owner = await connectd.owner()
        assert isinstance(owner.message, HandlePeer)
        assert owner.message.send == []
        assert owner.message.gossip_fd is None
        assert owner.message.gossip_state is None
        assert owner.info.node_id == PEER_ID
        assert connectd.gossip_fds == {}
        await asyncio.gather(peer.say(bytes.fromhex("8001")), owner.peer.hear(0x8001))
        await owner.ends()


@pytest.mark.bolt("B1-41")
async def test_a_registered_node_is_not_on_the_direct_path(new_connectd: Callable[[], ConnectdProcess]) -> None:
    connectd = new_connectd()
    await connectd.start(direct=True)
    connectd.master.send(ChangeNodeRegistrations([PEER_ID], []))
    await connectd.barrier()
    async with await ScriptedPeer.connect(connectd.target(), privkey=PRIVKEY):
        owner = await connectd.owner()
        assert isinstance(owner.message, PeerConnected)
        await owner.ends()
    connectd.master.send(ChangeNodeRegistrations([], [PEER_ID]))
    await connectd.barrier()
    async with await ScriptedPeer.connect(connectd.target(), privkey=PRIVKEY):
        owner = await connectd.owner()
        assert isinstance(owner.message, HandlePeer)
        await owner.ends()


@pytest.mark.bolt("B8-44", "B8-54")
async def test_a_hundred_messages_behind_init_travel_unread(connectd: ConnectdProcess) -> None:
    peer = await ScriptedPeer.dial(connectd.target(), privkey=PRIVKEY)
    async with peer:
        await peer.shake_hands()
        init = peer_init()
        messages = [bytes.fromhex("8001") + number.to_bytes(2, "big") for number in range(100)]
        await peer.say(init, *messages)
        owner = await connectd.owner()
        for message in messages:
            assert (await owner.peer.hear(0x8001)).encode() == message
        await owner.ends()


@pytest.mark.bolt("B8-44")
async def test_everything_in_single_bytes(connectd: ConnectdProcess) -> None:
    async with await ScriptedPeer.dial(connectd.target(), privkey=PRIVKEY) as peer:
        send_at_once = peer.send_raw

        async def one_by_one(data: bytes) -> None:
            for byte in data:
                await send_at_once(bytes([byte]))

        peer.send_raw = one_by_one  # type: ignore[method-assign]
        await peer.shake_hands()
        await peer.exchange_init()
        owner = await connectd.owner()
        assert owner.info.node_id == PEER_ID
        await owner.ends()


async def test_what_the_peer_said_before_it_hung_up_is_for_its_owner(connectd: ConnectdProcess) -> None:
    connectd.gossip_gate.clear()
    peer = await ScriptedPeer.connect(connectd.target(), privkey=PRIVKEY)
    await peer.say(GossipTimestampFilter(NETWORKS["regtest"], 0, 1))
    await peer.close()
    await connectd.barrier()
    connectd.gossip_gate.set()
    owner = await connectd.owner()
    await owner.peer.hear(GossipTimestampFilter)
    assert await owner.peer.hangs_up() == []
    await owner.ends()


@pytest.mark.bolt("B8-48")
async def test_each_handshake_has_a_fresh_ephemeral_key(connectd: ConnectdProcess) -> None:
    dialled, answered = [], []
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        for _ in range(2):
            reaching = connectd.reaching(listener.node_id, listener.address)
            async with await listener.accept_silent() as peer:
                dialled.append((await peer.read_raw(ACT_ONE_SIZE))[1:34])
            await connectd.refused(reaching)
    assert dialled[0] != dialled[1]
    act_one = Initiator(listener.node_id, connectd.node_id, ephemeral=bytes([9]) * 32).act_one()
    for _ in range(2):
        async with await ScriptedPeer.dial(connectd.target()) as peer:
            await peer.send_raw(act_one)
            answered.append((await peer.read_raw(ACT_TWO_SIZE))[1:34])
    assert answered[0] != answered[1]


async def test_our_own_id(connectd: ConnectdProcess) -> None:
    peer = await ScriptedPeer.dial(connectd.target(), privkey=connectd.privkey)
    async with peer:
        await peer.shake_hands()
        await peer.say(peer_init())
        await peer.hangs_up()
    await connectd.lives()
    assert "that is our own id" in connectd.log()


async def test_no_fd_is_left(connectd: ConnectdProcess) -> None:
    await connectd.lives()
    await connectd.barrier()
    before = connectd.fds()
    for _ in range(5):
        await connectd.lives()
        async with await ScriptedPeer.dial(connectd.target()) as peer:
            await peer.send_raw(bytes(50))
            await peer.hangs_up()
        with pytest.raises(RequestFailed):
            await connectd.reach(PEER_ID, "127.0.0.1:1")
    await connectd.barrier()
    assert connectd.fds() == before
