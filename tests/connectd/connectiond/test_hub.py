"""The hub without sockets: what a real process cannot be made to do in a certain order."""

import pytest

from connectd.connectiond import connections
from connectd.connectiond.delivery import RETRY
from tests.connectd.connectiond.connectiond_process import about, channel_id
from tests.connectd.connectiond.fake_bus import FakeBus
from wire.bus import bus_wire
from wire.bus.bus_message import BusError
from wire.bus.bus_wire import CREDIT, GiveBack, Hello, Message
from wire.peer_types import ALL_CHANNELS
from wire.peer_wire import ErrorMessage, WarningMessage

OPEN, REESTABLISH = 32, 136
FIRST, SECOND = about(REESTABLISH, channel_id(1)), about(REESTABLISH, channel_id(2))
ODD = b"\x80\x01"
A_DAY = 86_400.0


@pytest.fixture
def bus() -> FakeBus:
    """A hub and no service."""
    return FakeBus()


# a service without room


def test_message_that_finds_no_room_is_held_and_the_line_paused(bus: FakeBus) -> None:
    service = bus.service("one", credit=1)
    line = bus.give("one")
    assert bus.hub.heard(line, FIRST)
    assert not line.paused
    assert bus.hub.heard(line, SECOND)
    assert line.paused
    assert bus.heard("one") == [FIRST]
    bus.hub.received(service, bus_wire.Credit(1, 1))
    assert bus.heard("one") == [SECOND]
    assert not line.paused


def test_session_with_a_queue_gets_nothing_more(bus: FakeBus) -> None:
    """ZMQ has no room for it, whatever credit it has given."""
    service = bus.service("one")
    line = bus.give("one")
    service.queue.append(b"")
    bus.hub.heard(line, FIRST)
    bus.advance(10 * RETRY)
    assert line.paused
    assert bus.heard("one") == []
    service.queue.clear()
    bus.advance(RETRY)
    assert bus.heard("one") == [FIRST]
    assert not line.paused


def test_service_may_take_its_time_with_one_connection(bus: FakeBus) -> None:
    """The service withholds credit on this one for a day, and loses neither this one nor the others."""
    service = bus.service("one", credit=1)
    slow, other = bus.give("one"), bus.give("one")
    bus.hub.heard(slow, FIRST)
    bus.hub.heard(slow, SECOND)
    bus.advance(A_DAY)
    bus.hub.heard(other, FIRST)
    assert (slow.ended, other.ended) == (None, None)
    assert (slow.paused, other.paused) == (True, False)
    bus.told("one")
    bus.hub.received(service, bus_wire.Credit(1, 1))
    assert bus.heard("one") == [SECOND]
    assert not slow.paused


@pytest.mark.bolt("B1-31")
def test_error_for_all_waits_for_each_of_them(bus: FakeBus) -> None:
    one, two = bus.service("one", credit=1), bus.service("two", credit=0, take=(OPEN,))
    line = bus.give("one", FIRST)
    bus.hub.heard(line, about(OPEN, channel_id(3)))
    bus.hub.received(two, bus_wire.Credit(1, 1))
    error = ErrorMessage(ALL_CHANNELS, b"").encode()
    bus.hub.heard(line, error)
    assert line.paused
    bus.hub.received(two, bus_wire.Credit(1, 1))
    assert line.paused, "the first one has no room yet"
    bus.hub.received(one, bus_wire.Credit(1, 1))
    assert not line.paused
    assert bus.heard("one") == [FIRST, error]
    assert bus.heard("two") == [about(OPEN, channel_id(3)), error]


def test_error_for_all_of_which_one_gives_back_meanwhile(bus: FakeBus) -> None:
    one = bus.service("one", credit=1)
    bus.service("two", take=(OPEN,))
    line = bus.give("one", FIRST)
    bus.hub.heard(line, about(OPEN, channel_id(3)))
    error = ErrorMessage(ALL_CHANNELS, b"").encode()
    bus.hub.heard(line, error)
    bus.hub.received(one, GiveBack(1))
    assert bus.heard("two") == [about(OPEN, channel_id(3)), error]
    assert not line.paused


def test_error_for_all_comes_to_who_has_a_channel_and_gave_its_part_back(bus: FakeBus) -> None:
    bus.service("one")
    two = bus.service("two")
    line = bus.give("one")
    bus.registers("two", channels=((channel_id(3), line.peer.node_id),))
    bus.hub.received(two, GiveBack(1))
    bus.told("two")
    bus.hub.heard(line, WarningMessage(ALL_CHANNELS, b"").encode())
    assert bus.told("two") == []
    error = ErrorMessage(ALL_CHANNELS, b"").encode()
    bus.hub.heard(line, error)
    taken, message = bus.told("two")
    assert isinstance(taken, bus_wire.TakePeer)
    assert isinstance(message, Message) and (message.seq, message.message) == (1, error)
    assert bus.heard("one") == [WarningMessage(ALL_CHANNELS, b"").encode(), error]


def test_held_message_of_one_who_gives_back_is_somebody_elses(bus: FakeBus) -> None:
    one = bus.service("one", credit=0)
    bus.service("two", take=(OPEN,))
    line = bus.give("one")
    assert bus.hub.heard(line, FIRST)
    bus.registers("two", node_ids=(line.peer.node_id,), take=(OPEN,))
    bus.told("two")
    bus.hub.received(one, GiveBack(1))
    assert ("owner", 1, "two") in bus.master.log
    assert bus.heard("two") == [FIRST]
    assert not line.paused


def test_channel_that_is_nobodys_is_its_nodes_service_before_the_types(bus: FakeBus) -> None:
    """As the master decides it; an opening is the type's."""
    bus.service("node")
    bus.service("type", take=(OPEN, REESTABLISH))
    line = bus.give("type")
    bus.registers("node", node_ids=(line.peer.node_id,))
    opening = about(OPEN, channel_id(1))
    assert bus.hub.heard(line, FIRST) and bus.hub.heard(line, opening)
    assert bus.heard("node") == [FIRST]
    assert bus.heard("type") == [opening]


def test_held_message_goes_up_when_the_last_one_gives_back(bus: FakeBus) -> None:
    one = bus.service("one", credit=0)
    line = bus.give("one")
    bus.hub.heard(line, FIRST)
    bus.hub.received(one, GiveBack(1))
    assert bus.master.log[-1] == ("returned", 1, FIRST)
    bus.advance(A_DAY)
    assert line.ended is None


def test_held_message_goes_up_when_the_master_wants_the_connection(bus: FakeBus) -> None:
    bus.service("one", credit=0)
    lines = [bus.give("one"), bus.give("one")]
    for line in lines:
        bus.hub.heard(line, FIRST)
    bus.told("one")
    bus.hub.give_back(1)
    bus.hub.give_all_back()
    assert bus.master.log[-2:] == [("returned", 1, FIRST), ("returned", 2, FIRST)]
    assert bus.told("one") == [bus_wire.PeerGivenBack(1), bus_wire.PeerGivenBack(2)]


def test_error_that_is_held_goes_up_as_a_copy_only(bus: FakeBus) -> None:
    one = bus.service("one", credit=0)
    line = bus.give("one")
    error = ErrorMessage(ALL_CHANNELS, b"").encode()
    bus.hub.heard(line, error)
    bus.hub.received(one, GiveBack(1))
    assert bus.master.log[-2:] == [("copy", 1, error), ("returned", 1, None)]


def test_error_for_a_channel_that_is_nobodys_is_whose_who_takes_errors(bus: FakeBus) -> None:
    bus.service("one")
    bus.service("two", take=(17,))
    line = bus.give("one")
    error = ErrorMessage(channel_id(7), b"").encode()
    bus.hub.heard(line, error)
    assert bus.heard("two") == []
    bus.routes.replace([(17, "take")])
    bus.hub.heard(line, error)
    assert bus.heard("two") == [error]
    assert bus.heard("one") == []


# leaving


def test_connection_waits_until_what_was_said_has_gone_out(bus: FakeBus) -> None:
    one = bus.service("one")
    line = bus.give("one")
    for seq in (1, 2, 3):
        bus.hub.received(one, Message(1, seq, ODD))
    bus.hub.received(one, GiveBack(1))
    assert line.paused
    bus.hub.sent(line, 2)
    assert ("returned", 1, None) not in bus.master.log
    bus.hub.sent(line, 1)
    assert bus.master.log[-1] == ("returned", 1, None)


def test_somebody_wants_the_connection_while_it_leaves(bus: FakeBus) -> None:
    one = bus.service("one", credit=0)
    bus.service("two")
    line = bus.give("one")
    bus.hub.received(one, Message(1, 1, ODD))
    bus.hub.heard(line, FIRST)
    bus.hub.received(one, GiveBack(1))
    bus.advance(2 * RETRY)
    assert bus.heard("two") == []
    bus.registers("two", channels=((channel_id(1), line.peer.node_id),))
    assert bus.master.log[-1] == ("owner", 1, "two")
    assert bus.heard("two") == [FIRST]
    assert not line.paused
    bus.hub.sent(line, 1)
    assert ("returned", 1, None) not in bus.master.log


# ends in the midst of something


def test_service_is_gone_when_its_message_comes(bus: FakeBus) -> None:
    bus.service("one")
    line, other = bus.give("one"), bus.give("one")
    bus.post.unreachable.add("one")
    assert not bus.hub.heard(line, FIRST), "nothing more may be decrypted"
    assert line.ended == ("service one has left", [])
    assert other.ended is None, "not in the midst of another one"
    bus.advance(0)
    assert other.ended == ("service one has left: it is gone", [])
    ended = [entry for entry in bus.master.log if entry[0] == "disconnected"]
    assert [conn_id for _, conn_id, _ in ended] == [1, 2]


def test_new_session_does_not_inherit_the_old_ones_connections(bus: FakeBus) -> None:
    old = bus.service("one")
    line = bus.give("one")
    bus.post.cut_off(old, "goodbye")
    new = bus.service("one")
    bus.advance(0)
    assert line.ended == ("service one has left: goodbye", [])
    assert bus.told("one") == [], "it never had a part in it"
    bus.hub.received(new, Message(1, 1, ODD))  # the service was told: what was on the way is no mistake
    fresh = bus.give("one")
    bus.hub.received(new, Message(fresh.peer.conn_id, 1, ODD))
    assert fresh.said == [ODD]


def test_part_begins_with_new_numbers(bus: FakeBus) -> None:
    one = bus.service("one", take=(OPEN,))
    bus.service("two")
    line = bus.give("two", FIRST)
    bus.hub.heard(line, about(OPEN, channel_id(5)))
    bus.hub.received(one, Message(1, 1, ODD))
    bus.hub.received(one, GiveBack(1))
    bus.told("one")
    bus.hub.heard(line, about(OPEN, channel_id(5)))
    taken, message = bus.told("one")
    assert isinstance(taken, bus_wire.TakePeer)
    assert isinstance(message, Message)
    assert message.seq == 1
    bus.hub.received(one, Message(1, 1, ODD))
    bus.hub.sent(line, 1)  # of its first part: credit for a part that has ended
    assert bus.told("one") == []


def test_ticket_may_be_on_its_way(bus: FakeBus) -> None:
    def catches_up() -> None:
        bus.registers("one", ticket=b"t" * 16)

    bus.master.catches_up = catches_up
    assert bus.hub.admit(Hello("one", b"t" * 16)).service == "one"
    with pytest.raises(BusError, match="ticket"):
        bus.hub.admit(Hello("one", b"x" * 16))


def test_connection_is_nobodys_whose_service_is_not_here(bus: FakeBus) -> None:
    bus.give("one", FIRST)
    bus.give("one")
    assert bus.master.log == [("returned", 1, FIRST), ("returned", 2, None)]


def test_connection_for_an_absent_service_is_anothers_who_has_a_channel(bus: FakeBus) -> None:
    bus.service("two")
    node_id = bus.give("nobody").peer.node_id
    bus.registers("two", channels=((channel_id(1), node_id),))
    line = bus.give("one", SECOND)
    assert bus.master.log[-1] == ("owner", 2, "two")
    assert bus.heard("two") == [SECOND], "the only one who may know of it"
    assert not line.paused


def test_credit_is_given_for_what_has_gone_out_to_whom_it_belongs(bus: FakeBus) -> None:
    one, two = bus.service("one"), bus.service("two", take=(OPEN,))
    line = bus.give("one")
    bus.hub.heard(line, about(OPEN, channel_id(3)))
    for seq in range(1, CREDIT + 1):
        bus.hub.received(one, Message(1, seq, ODD))
        bus.hub.say(1, ODD)
        bus.hub.received(two, Message(1, seq, ODD))
    for name in ("one", "two"):
        bus.told(name)
    bus.hub.sent(line, 3 * CREDIT // 2 - 1)
    assert bus.told("one") == [bus_wire.Credit(1, CREDIT // 2)]
    assert bus.told("two") == []
    bus.hub.sent(line, 3 * CREDIT // 2 + 1)
    assert bus.told("one") == [bus_wire.Credit(1, CREDIT // 2)]
    assert bus.told("two") == [bus_wire.Credit(1, CREDIT // 2)] * 2


# give_back


def test_give_back_that_crosses_with_a_message_has_no_effect(bus: FakeBus) -> None:
    service = bus.service("one")
    line = bus.give("one")
    bus.hub.heard(line, FIRST)
    bus.hub.received(service, GiveBack(1, heard=0))
    bus.hub.heard(line, SECOND)
    bus.hub.received(service, GiveBack(1, heard=1))
    assert bus.heard("one") == [FIRST, SECOND]
    with pytest.raises(BusError, match="message 3 has not been sent, 2 was the last"):
        bus.hub.received(service, GiveBack(1, heard=3))
    bus.hub.received(service, GiveBack(1, heard=2))
    assert bus.master.log[-1] == ("returned", 1, None)


# peers that take nothing


def test_what_waits_for_peers_is_bounded_with_a_share_for_each_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service with the most loses the connection on which nothing has moved for longest, and no other notices."""
    monkeypatch.setattr(connections, "MOST_WAITING", 1_000)
    bus = FakeBus()
    greedy, modest = bus.service("greedy"), bus.service("modest")
    other = bus.give("modest")
    stuck, moving = bus.give("greedy"), bus.give("greedy")
    bus.hub.received(modest, Message(other.peer.conn_id, 1, ODD + bytes(98)))
    for seq in (1, 2):
        bus.hub.received(greedy, Message(stuck.peer.conn_id, seq, ODD + bytes(198)))
        bus.hub.received(greedy, Message(moving.peer.conn_id, seq, ODD + bytes(198)))
        bus.hub.sent(moving, 1)
    assert (stuck.ended, moving.ended, other.ended) == (None, None, None), "what has gone out does not count"
    for seq in (3, 4, 5):
        bus.hub.received(greedy, Message(moving.peer.conn_id, seq, ODD + bytes(198)))
    assert stuck.ended == ("400 bytes wait for the peer, and 1000 may for all", [])
    assert (moving.ended, other.ended) == (None, None)
    bus.hub.sent(moving, 3)
    for seq in (6, 7, 8):
        bus.hub.received(greedy, Message(moving.peer.conn_id, seq, ODD + bytes(198)))
    assert (moving.ended, other.ended) == (None, None), "what was waiting there is forgotten"
