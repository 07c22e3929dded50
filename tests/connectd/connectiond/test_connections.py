"""What services had on the way when a connection ended is no mistake of theirs: how long that is remembered."""

import pytest

from connectd.connectiond import connections
from tests.connectd.connectiond.connectiond_process import about, channel_id
from tests.connectd.connectiond.fake_bus import FakeBus
from wire.bus.bus_message import BusError
from wire.bus.bus_wire import Message

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
