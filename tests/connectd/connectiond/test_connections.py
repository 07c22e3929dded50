"""What services had on the way when a connection ended is no mistake of theirs; and who hears first of its end."""

import pytest

from connectd.connectiond import connections
from tests.connectd.connectiond.connectiond_process import about, channel_id
from tests.connectd.connectiond.fake_bus import FakeBus
from wire.bus.bus_message import BusError, BusMessage
from wire.bus.bus_wire import GiveBack, Message
from wire.bus.sessions import Session

MESSAGE = about(136, channel_id(1))


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> FakeBus:
    """A hub that remembers three parts."""
    monkeypatch.setattr(connections, "MOST_REMEMBERED", 3)
    return FakeBus()


def test_the_oldest_of_the_service_with_most_of_them_is_forgotten(bus: FakeBus) -> None:
    one, busy = bus.service("one"), bus.service("busy")
    for service in ("one", "busy", "busy", "busy"):
        bus.hub.ended(bus.give(service), "the peer hung up")
    for session, conn_id in ((one, 1), (busy, 3), (busy, 4)):
        bus.hub.received(session, Message(conn_id, 1, MESSAGE))
    with pytest.raises(BusError, match="connection 2 is not busy's"):
        bus.hub.received(busy, Message(2, 1, MESSAGE))
    with pytest.raises(BusError, match="connection 1 is not busy's"):
        bus.hub.received(busy, Message(1, 1, MESSAGE))


@pytest.fixture
def known_by_then(bus: FakeBus, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[object]]:
    """What the master had heard when a service was told: by the name of the message."""
    known: dict[str, list[object]] = {}
    send = bus.post.send

    def noting(session: Session, message: BusMessage) -> bool:
        known[message.name()] = list(bus.master.log)
        return send(session, message)

    monkeypatch.setattr(bus.post, "send", noting)
    return known


def test_the_master_hears_of_an_end_before_services_do(bus: FakeBus, known_by_then: dict[str, list[object]]) -> None:
    """A service that asks the master on CTL what it has just been told on MSG gets the same answer."""
    bus.service("one")
    bus.hub.ended(bus.give("one"), "the peer hung up")
    assert ("disconnected", 1, "the peer hung up") in known_by_then["peer_disconnected"]


def test_the_master_has_a_connection_again_before_services_know(
    bus: FakeBus, known_by_then: dict[str, list[object]]
) -> None:
    bus.service("one")
    bus.give("one")
    bus.hub.give_back(1)
    assert ("returned", 1, None) in known_by_then["peer_given_back"]


def test_the_master_hears_who_stands_for_it_before_a_service_has_given_it_back(
    bus: FakeBus, known_by_then: dict[str, list[object]]
) -> None:
    one = bus.service("one")
    bus.service("two", take=(64,))
    bus.hub.heard(bus.give("one"), about(64, channel_id(2)))
    bus.hub.received(one, GiveBack(1))
    assert ("owner", 1, "two") in known_by_then["peer_given_back"]
