"""Two connections of one node: the newest wins, and the older one must end first."""

import asyncio
from collections.abc import Callable

import pytest

from lightningd_py.scripted_peer import ScriptedPeer
from tests.connectd.conftest import Dial
from tests.connectd.house import House, Owner
from wire.control_wire import PeerDisconnected, PeerReconnected
from wire.secp256k1 import public_key
from wire.timing import Timing

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
