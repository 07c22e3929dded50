"""One connectiond takes the place of another: what moves, and what waits."""

from tests.connectd.connectiond.connectiond_process import (
    ConnectiondProcess,
    about,
)
from tests.connectd.connectiond.restarts import (
    FIRST,
    REESTABLISH,
    SECOND,
    UPDATE_FEE,
    answers,
    begins,
    ended_well,
    hears,
    hears_until,
    is_back,
    is_back_with_news,
    says_hello,
    with_a_peer,
)
from tests.gossipd.gossipd_process import peer_info
from wire.bus import bus_wire
from wire.bus.bus_wire import CREDIT, Restart
from wire.control.control_wire import (
    PeerGivenBack,
    ServicePresence,
)


async def test_all_goes_on(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    """Numbers and credit each way, whose channel is which, what waits for a service and what waits for a peer."""
    service, other = await bus.service("one", credit=3), await bus.service("two")
    for name in ("one", "two"):
        new.registers(name)
    peer, quiet = await bus.give("one"), await bus.give("one")
    for each in (peer, quiet):
        await service.takes(each)
    await service.tell(peer, about(REESTABLISH, FIRST))
    await hears(peer, about(REESTABLISH, FIRST))
    said = [about(UPDATE_FEE, FIRST, bytes([number])) for number in range(5)]
    await peer.say(*said)
    await service.hears(peer, *said[:3])  # two are held: it gives no credit
    await other.hears_nothing()

    moving = begins(bus, new)
    for one in (service, other):
        await answers(one)
    reply = await moving
    assert (reply.owned, reply.elsewhere, reply.lost) == (2, 0, 0)
    await ended_well(bus)
    for one in (service, other):
        await is_back(one)
    assert await new.conn_ids() == [1, 2]
    await service.say(bus_wire.Credit(peer.conn_id, 100))
    await service.hears(peer, *said[3:], first=4)
    await peer.say(about(UPDATE_FEE, FIRST, b"more"), about(UPDATE_FEE, FIRST, b"and more"))
    await service.hears(peer, about(UPDATE_FEE, FIRST, b"more"), about(UPDATE_FEE, FIRST, b"and more"), first=6)
    await service.tell(peer, about(UPDATE_FEE, FIRST, b"second"))
    await hears(peer, about(UPDATE_FEE, FIRST, b"second"))
    await quiet.say(about(UPDATE_FEE, SECOND))
    await service.hears(quiet, about(UPDATE_FEE, SECOND))
    new.ends_well()


async def test_words_for_a_peer_that_does_not_read(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    """They move as they are, and their credit comes when they go out at the new one."""
    service, peer = await with_a_peer(bus, new)
    words = [about(UPDATE_FEE, FIRST, bytes([number]) * 30_000) for number in range(CREDIT)]
    await service.tell(peer, *words)
    moving = begins(bus, new)
    await hears_until(service, Restart)
    await says_hello(service)
    assert (await moving).owned == 1
    await is_back_with_news(service)
    await hears(peer, *words)
    await service.tell(peer, about(UPDATE_FEE, FIRST, b"one more"))
    await hears(peer, about(UPDATE_FEE, FIRST, b"one more"))
    new.ends_well()


async def test_what_happens_while_it_is_away(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    """The service hears of it after its welcome: a connection that has ended, and one that has come."""
    service = await bus.service("one", node_ids=(peer_info(3).node_id,))
    new.registers("one", node_ids=(peer_info(3).node_id,))
    peer, other = await bus.give("one"), await bus.give("one")
    for each in (peer, other):
        await service.takes(each)
    moving = begins(bus, new)
    await answers(service)
    await moving
    other.sock.close()
    assert "closed" in await new.disconnected(other)
    new._last_conn_id = 2
    third = await new.give("one")
    await is_back(service)
    assert "closed" in await service.was_disconnected(other)
    await service.takes(third)
    await service.tell(other, about(UPDATE_FEE, FIRST))  # it has crossed with the end
    await service.tell(peer, about(UPDATE_FEE, FIRST))
    await hears(peer, about(UPDATE_FEE, FIRST))
    new.ends_well()


async def test_service_that_gives_back_while_its_words_wait(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    """The connection goes to gossipd from the new one, behind them."""
    service, peer = await with_a_peer(bus, new)
    words = [about(UPDATE_FEE, FIRST, bytes([number]) * 60_000) for number in range(40)]
    await service.tell(peer, *words)
    await service.say(bus_wire.GiveBack(peer.conn_id))
    await service.hear(bus_wire.PeerGivenBack)
    moving = begins(bus, new)
    await hears_until(service, Restart)
    await says_hello(service)
    assert (await moving).owned == 1
    await is_back(service)
    await hears(peer, *words)
    assert (await new.hear(ServicePresence)).here
    given = await new.hear(PeerGivenBack)
    assert given.conn_id == peer.conn_id
    given.close_fds()
    new.ends_well()


async def test_nothing_is_waited_for_without_services(bus: ConnectiondProcess, new: ConnectiondProcess) -> None:
    assert (await begins(bus, new)).owned == 0
    await ended_well(bus)
    service = await new.service("late")
    peer = await new.give("late")
    await service.takes(peer)
    new.ends_well()
