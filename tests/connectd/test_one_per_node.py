"""Two connections of one node: the newest wins, and the older one must end first."""

import asyncio
from collections.abc import Callable

import pytest

from connectd.one_per_node import OnePerNode, crosses
from connectd.strangers import Established
from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.conftest import Dial
from tests.connectd.house import House, Owner, peer_init
from wire.control.control_wire import PeerDisconnected, PeerInfo, PeerReconnected, PeersElsewhere
from wire.control.timing import Timing
from wire.secp256k1 import public_key

PRIVKEY = bytes([2]) * 32
PEER_ID = public_key(PRIVKEY)


async def again(house: House) -> ScriptedPeer:
    """The same node once more."""
    return await ScriptedPeer.connect(house.target(), privkey=PRIVKEY)


async def duplicate_of(house: House, owner: Owner) -> None:
    """The master hears that this connection must end."""
    message = await house.hear(PeerReconnected)
    assert (message.node_id, message.conn_id) == (owner.info.node_id, owner.info.conn_id)


@pytest.mark.bolt("B1-1")
async def test_the_newest_wins_when_the_old_one_has_ended(house: House, dial: Dial) -> None:
    _, old = await dial(privkey=PRIVKEY)
    async with await again(house) as peer:
        await duplicate_of(house, old)
        await peer.say(bytes.fromhex("8001"))
        await house.barrier()
        assert house.said.empty(), "it waits, unread"
        await old.ends()
        new = await house.owner()
        assert new.info.node_id == PEER_ID
        assert new.info.conn_id > old.info.conn_id
        await new.peer.hear(0x8001)
        await new.ends()


async def test_of_several_waiting_ones_the_newest_stays(house: House, dial: Dial) -> None:
    _, old = await dial(privkey=PRIVKEY)
    async with await again(house) as second:
        await duplicate_of(house, old)
        async with await again(house) as third:
            await second.hangs_up()
            async with await again(house) as fourth:
                await third.hangs_up()
                assert house.said.empty(), "told once"
                await old.ends()
                new = await house.owner()
                await asyncio.gather(new.peer.say(bytes.fromhex("8001")), fourth.hear(0x8001))
                await new.ends()
    await house.lives()


async def test_each_older_connection_is_told_of(house: House, dial: Dial) -> None:
    _, first = await dial(privkey=PRIVKEY)
    async with await again(house), await again(house):
        await duplicate_of(house, first)
        await first.ends()
        second = await house.owner()
        async with await again(house):
            await duplicate_of(house, second)
            await second.ends()
            await (await house.owner()).ends()


async def test_late_word_about_an_older_connection_changes_nothing(house: House, dial: Dial) -> None:
    _, first = await dial(privkey=PRIVKEY)
    await first.ends()
    _, second = await dial(privkey=PRIVKEY)
    first.report()
    house.master.send(PeerDisconnected(node_id=bytes([2]) * 33, conn_id=first.info.conn_id, reason="who?"))
    async with await again(house):
        await duplicate_of(house, second)
        await house.barrier()
        assert house.said.empty()
        await second.ends()
        await (await house.owner()).ends()


async def test_the_one_that_waits_for_its_gossip_fd_is_replaced_at_once(house: House) -> None:
    house.gossip_gate.clear()
    async with await again(house) as first, await again(house) as second:
        await first.hangs_up()
        house.gossip_gate.set()
        owner = await house.owner()
        await asyncio.gather(owner.peer.say(bytes.fromhex("8001")), second.hear(0x8001))
        await house.barrier()
        assert house.said.empty()
        await owner.ends()


async def test_connections_of_an_earlier_connectd(house: House) -> None:
    """They are found, and end before a newer one of the node goes on."""
    elsewhere = PeerInfo(PEER_ID, 7, "127.0.0.1:9735", True, None, b"", [])
    house.master.send(PeersElsewhere([elsewhere]))
    assert await house.reach(PEER_ID) == elsewhere
    async with await again(house):
        assert await house.hear(PeerReconnected) == PeerReconnected(PEER_ID, 7)
        house.master.send(PeerDisconnected(PEER_ID, 7, "it has come again"))
        new = await house.owner()
        house.master.send(PeersElsewhere([elsewhere]))  # heard of late
        assert await house.hear(PeerReconnected) == PeerReconnected(PEER_ID, 7)
        await new.ends()


async def test_what_a_dead_gossipd_was_given(new_house: Callable[[], House]) -> None:
    """On the direct path: what the master has not heard of is lost, and it is told so."""
    house = new_house()
    await house.start(direct=True)
    async with await again(house), await ScriptedPeer.connect(house.target()):
        lost, kept = await house.owner(), await house.owner()
        if lost.info.node_id != PEER_ID:
            lost, kept = kept, lost
        house.new_link(kept.info.conn_id)
        told = await house.hear(PeerDisconnected)
        assert (told.node_id, told.conn_id) == (PEER_ID, lost.info.conn_id)
        assert (await house.reach(kept.info.node_id)).conn_id == kept.info.conn_id
        await lost.close()
        async with await again(house):
            await (await house.owner()).ends()
        await kept.ends()


@pytest.mark.parametrize("direct", [True, False])
async def test_who_comes_while_there_is_no_gossipd_waits_for_the_next(
    new_house: Callable[[], House], direct: bool
) -> None:
    house = new_house()
    await house.start(direct=direct)
    house.gossip_gate.clear()
    async with await again(house) as first:
        if direct:
            await (await house.owner()).ends()
        else:
            await first.say(bytes.fromhex("8001"))
        house.link.close()
        async with await ScriptedPeer.connect(house.target()) as second:
            await house.barrier()
            assert house.said.empty()
            house.gossip_gate.set()
            house.new_link()
            for _ in range(1 if direct else 2):
                owner = await house.owner()
                assert owner.info.node_id in (first.node_id, second.node_id)
                await owner.ends()


async def test_nobody_waits_for_ever(new_house: Callable[[], House]) -> None:
    house = new_house()
    await house.start(timing=Timing(connection_timeout=1.0))
    async with await again(house):
        old = await house.owner()
        async with await again(house) as second:
            await duplicate_of(house, old)
            await second.hangs_up()
        async with await again(house):
            await old.ends()
            await (await house.owner()).ends()


async def test_no_fd_is_left(house: House, dial: Dial) -> None:
    await house.lives()
    await house.barrier()
    before = house.fds()
    _, old = await dial(privkey=PRIVKEY)
    async with await again(house) as second:
        await duplicate_of(house, old)
        async with await again(house):
            await second.hangs_up()
            await old.ends()
            await (await house.owner()).ends()
    await house.barrier()
    assert house.fds() == before


SMALL, LARGE = sorted([PRIVKEY, bytes([3]) * 32, bytes([4]) * 32], key=public_key)[::2]
"""Keys whose ids are on either side of the third one's."""
OURS = next(key for key in (PRIVKEY, bytes([3]) * 32, bytes([4]) * 32) if key not in (SMALL, LARGE))


@pytest.mark.parametrize(("key", "stays"), [(SMALL, "theirs"), (LARGE, "ours")], ids=["theirs stays", "ours stays"])
@pytest.mark.parametrize("first", ["theirs", "ours"])
async def test_of_two_dials_that_cross_both_nodes_keep_the_same(
    new_house: Callable[[], House], key: bytes, stays: str, first: str
) -> None:
    house = new_house()
    house.privkey, house.node_id = OURS, public_key(OURS)
    await house.start()
    async with await ScriptedPeer.listen(privkey=key) as listener:
        reaching = house.reaching(listener.node_id, listener.address)
        async with (
            await listener.accept_silent() as ours,
            await ScriptedPeer.dial(house.target(), privkey=key) as theirs,
        ):
            dials = {"theirs": theirs, "ours": ours}
            await said_init(dials.pop(first))
            owner = await house.owner()
            (second,) = dials.values()
            if first == stays == "theirs":
                await second.hangs_up()  # the dial was given up
            elif first == stays:
                await said_init(second)
                await second.hangs_up()
            else:
                await said_init(second)
                await duplicate_of(house, owner)
                await owner.ends()
                owner = await house.owner()
            assert owner.info.incoming == (stays == "theirs")
            assert (await reaching).node_id == listener.node_id
            await owner.ends()


async def test_the_one_that_gives_way_goes_on_if_the_other_has_ended(new_house: Callable[[], House]) -> None:
    house = new_house()
    house.privkey, house.node_id = OURS, public_key(OURS)
    await house.start()
    async with (
        await ScriptedPeer.listen(privkey=LARGE) as listener,
        await ScriptedPeer.dial(house.target(), privkey=LARGE) as theirs,
    ):
        reaching = house.reaching(listener.node_id, listener.address)
        async with await listener.accept_silent() as ours:
            await said_init(ours)
            owner = await house.owner()
            await said_init(theirs)
            await theirs.say(bytes.fromhex("8001"))
            assert (await reaching) == owner.info
            await owner.ends()
            owner = await house.owner()
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
