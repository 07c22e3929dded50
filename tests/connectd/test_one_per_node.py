"""Two connections of one node: the newest wins, and the older one must end first."""

import asyncio
from collections.abc import Callable

import pytest

from connectd.one_per_node import OnePerNode, crosses
from connectd.strangers import Established
from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.conftest import Dial
from tests.connectd.connectd_process import ConnectdProcess, Owner, peer_init
from wire.control.control_wire import PeerDisconnected, PeerInfo, PeerReconnected, PeersElsewhere
from wire.control.timing import Timing
from wire.secp256k1 import public_key

PRIVKEY = bytes([2]) * 32
PEER_ID = public_key(PRIVKEY)


async def again(connectd: ConnectdProcess) -> ScriptedPeer:
    """The same node once more."""
    return await ScriptedPeer.connect(connectd.target(), privkey=PRIVKEY)


async def duplicate_of(connectd: ConnectdProcess, owner: Owner) -> None:
    """The master hears that this connection must end."""
    message = await connectd.hear(PeerReconnected)
    assert (message.node_id, message.conn_id) == (owner.info.node_id, owner.info.conn_id)


@pytest.mark.bolt("B1-1")
async def test_the_newest_wins_when_the_old_one_has_ended(connectd: ConnectdProcess, dial: Dial) -> None:
    _, old = await dial(privkey=PRIVKEY)
    async with await again(connectd) as peer:
        await duplicate_of(connectd, old)
        await peer.say(bytes.fromhex("8001"))
        await connectd.barrier()
        assert connectd.said.empty(), "it waits, unread"
        await old.ends()
        new = await connectd.owner()
        assert new.info.node_id == PEER_ID
        assert new.info.conn_id > old.info.conn_id
        await new.peer.hear(0x8001)
        await new.ends()


async def test_of_several_waiting_ones_the_newest_stays(connectd: ConnectdProcess, dial: Dial) -> None:
    _, old = await dial(privkey=PRIVKEY)
    async with await again(connectd) as second:
        await duplicate_of(connectd, old)
        async with await again(connectd) as third:
            await second.hangs_up()
            async with await again(connectd) as fourth:
                await third.hangs_up()
                assert connectd.said.empty(), "told once"
                await old.ends()
                new = await connectd.owner()
                await asyncio.gather(new.peer.say(bytes.fromhex("8001")), fourth.hear(0x8001))
                await new.ends()
    await connectd.lives()


async def test_each_older_connection_is_told_of(connectd: ConnectdProcess, dial: Dial) -> None:
    _, first = await dial(privkey=PRIVKEY)
    async with await again(connectd), await again(connectd):
        await duplicate_of(connectd, first)
        await first.ends()
        second = await connectd.owner()
        async with await again(connectd):
            await duplicate_of(connectd, second)
            await second.ends()
            await (await connectd.owner()).ends()


async def test_late_word_about_an_older_connection_changes_nothing(connectd: ConnectdProcess, dial: Dial) -> None:
    _, first = await dial(privkey=PRIVKEY)
    await first.ends()
    _, second = await dial(privkey=PRIVKEY)
    first.report()
    connectd.master.send(PeerDisconnected(node_id=bytes([2]) * 33, conn_id=first.info.conn_id, reason="who?"))
    async with await again(connectd):
        await duplicate_of(connectd, second)
        await connectd.barrier()
        assert connectd.said.empty()
        await second.ends()
        await (await connectd.owner()).ends()


async def test_the_one_that_waits_for_its_gossip_fd_is_replaced_at_once(connectd: ConnectdProcess) -> None:
    connectd.gossip_gate.clear()
    async with await again(connectd) as first, await again(connectd) as second:
        await first.hangs_up()
        connectd.gossip_gate.set()
        owner = await connectd.owner()
        await asyncio.gather(owner.peer.say(bytes.fromhex("8001")), second.hear(0x8001))
        await connectd.barrier()
        assert connectd.said.empty()
        await owner.ends()


async def test_connections_of_an_earlier_connectd(connectd: ConnectdProcess) -> None:
    """They are found, and end before a newer one of the node goes on."""
    elsewhere = PeerInfo(PEER_ID, 7, "127.0.0.1:9735", True, None, b"", [])
    connectd.master.send(PeersElsewhere([elsewhere]))
    assert await connectd.reach(PEER_ID) == elsewhere
    async with await again(connectd):
        assert await connectd.hear(PeerReconnected) == PeerReconnected(PEER_ID, 7)
        connectd.master.send(PeerDisconnected(PEER_ID, 7, "it has come again"))
        new = await connectd.owner()
        connectd.master.send(PeersElsewhere([elsewhere]))  # heard of late
        assert await connectd.hear(PeerReconnected) == PeerReconnected(PEER_ID, 7)
        await new.ends()


async def test_what_a_dead_gossipd_was_given(new_connectd: Callable[[], ConnectdProcess]) -> None:
    """On the direct path: what the master has not heard of is lost, and it is told so."""
    connectd = new_connectd()
    await connectd.start(direct=True)
    async with await again(connectd), await ScriptedPeer.connect(connectd.target()):
        lost, kept = await connectd.owner(), await connectd.owner()
        if lost.info.node_id != PEER_ID:
            lost, kept = kept, lost
        connectd.new_link(kept.info.conn_id)
        told = await connectd.hear(PeerDisconnected)
        assert (told.node_id, told.conn_id) == (PEER_ID, lost.info.conn_id)
        assert (await connectd.reach(kept.info.node_id)).conn_id == kept.info.conn_id
        await lost.close()
        async with await again(connectd):
            await (await connectd.owner()).ends()
        await kept.ends()


@pytest.mark.parametrize("direct", [True, False])
async def test_who_comes_while_there_is_no_gossipd_waits_for_the_next(
    new_connectd: Callable[[], ConnectdProcess], direct: bool
) -> None:
    connectd = new_connectd()
    await connectd.start(direct=direct)
    connectd.gossip_gate.clear()
    async with await again(connectd) as first:
        if direct:
            await (await connectd.owner()).ends()
        else:
            await first.say(bytes.fromhex("8001"))
        connectd.link.close()
        async with await ScriptedPeer.connect(connectd.target()) as second:
            await connectd.barrier()
            assert connectd.said.empty()
            connectd.gossip_gate.set()
            connectd.new_link()
            for _ in range(1 if direct else 2):
                owner = await connectd.owner()
                assert owner.info.node_id in (first.node_id, second.node_id)
                await owner.ends()


async def test_nobody_waits_for_ever(new_connectd: Callable[[], ConnectdProcess]) -> None:
    connectd = new_connectd()
    await connectd.start(timing=Timing(connection_timeout=1.0))
    async with await again(connectd):
        old = await connectd.owner()
        async with await again(connectd) as second:
            await duplicate_of(connectd, old)
            await second.hangs_up()
        async with await again(connectd):
            await old.ends()
            await (await connectd.owner()).ends()


async def test_no_fd_is_left(connectd: ConnectdProcess, dial: Dial) -> None:
    await connectd.lives()
    await connectd.barrier()
    before = connectd.fds()
    _, old = await dial(privkey=PRIVKEY)
    async with await again(connectd) as second:
        await duplicate_of(connectd, old)
        async with await again(connectd):
            await second.hangs_up()
            await old.ends()
            await (await connectd.owner()).ends()
    await connectd.barrier()
    assert connectd.fds() == before


SMALL, LARGE = sorted([PRIVKEY, bytes([3]) * 32, bytes([4]) * 32], key=public_key)[::2]
"""Keys whose ids are on either side of the third one's."""
OURS = next(key for key in (PRIVKEY, bytes([3]) * 32, bytes([4]) * 32) if key not in (SMALL, LARGE))


@pytest.mark.parametrize(("key", "stays"), [(SMALL, "theirs"), (LARGE, "ours")], ids=["theirs stays", "ours stays"])
@pytest.mark.parametrize("first", ["theirs", "ours"])
async def test_of_two_dials_that_cross_both_nodes_keep_the_same(
    new_connectd: Callable[[], ConnectdProcess], key: bytes, stays: str, first: str
) -> None:
    connectd = new_connectd()
    connectd.privkey, connectd.node_id = OURS, public_key(OURS)
    await connectd.start()
    async with await ScriptedPeer.listen(privkey=key) as listener:
        reaching = connectd.reaching(listener.node_id, listener.address)
        async with (
            await listener.accept_silent() as ours,
            await ScriptedPeer.dial(connectd.target(), privkey=key) as theirs,
        ):
            dials = {"theirs": theirs, "ours": ours}
            await said_init(dials.pop(first))
            owner = await connectd.owner()
            (second,) = dials.values()
            if first == stays == "theirs":
                await second.hangs_up()  # the dial was given up
            elif first == stays:
                await said_init(second)
                await second.hangs_up()
            else:
                await said_init(second)
                await duplicate_of(connectd, owner)
                await owner.ends()
                owner = await connectd.owner()
            assert owner.info.incoming == (stays == "theirs")
            assert (await reaching).node_id == listener.node_id
            await owner.ends()


async def test_the_one_that_gives_way_goes_on_if_the_other_has_ended(
    new_connectd: Callable[[], ConnectdProcess],
) -> None:
    connectd = new_connectd()
    connectd.privkey, connectd.node_id = OURS, public_key(OURS)
    await connectd.start()
    async with (
        await ScriptedPeer.listen(privkey=LARGE) as listener,
        await ScriptedPeer.dial(connectd.target(), privkey=LARGE) as theirs,
    ):
        reaching = connectd.reaching(listener.node_id, listener.address)
        async with await listener.accept_silent() as ours:
            await said_init(ours)
            owner = await connectd.owner()
            await said_init(theirs)
            await theirs.say(bytes.fromhex("8001"))
            assert (await reaching) == owner.info
            await owner.ends()
            owner = await connectd.owner()
            assert owner.info.incoming
            await owner.peer.hear(0x8001)
            await owner.ends()


async def said_init(peer: ScriptedPeer) -> None:
    """Whichever side it is on."""
    await peer.shake_hands()
    await peer.say(peer_init())


@pytest.mark.parametrize(
    ("incoming", "begun", "gives_way"),
    [(True, 100.0, True), (True, 110.0, True), (True, 110.1, False), (False, 100.0, False)],
)
def test_only_what_crosses_gives_way(incoming: bool, begun: float, gives_way: bool) -> None:
    def info(incoming: bool) -> PeerInfo:
        return PeerInfo(b"\3" * 33, 1, "", incoming, None, b"", [])

    assert crosses(info(False), 100.0, info(incoming), begun, b"\2" * 33) == gives_way


async def test_inbound_peers_count_for_their_source() -> None:
    """Until their end is reported, those that the connectd before us gave away, too."""
    established = Established()
    table = OnePerNode(b"\2" * 33, lambda *_: None, lambda _: None, established)
    first, second = (
        PeerInfo(bytes([3, each]) + bytes(31), each, "192.0.2.1:9", True, None, b"", []) for each in (1, 2)
    )
    for peer in (first, second, first):
        table.lives_elsewhere(peer)
    assert established.count("192.0.2.1") == 2
    assert not table.disconnected(first.node_id, 77)
    assert table.disconnected(first.node_id, 1)
    assert established.count("192.0.2.1") == 1
