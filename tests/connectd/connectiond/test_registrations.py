"""The registrations as connectiond knows them."""

from connectd.connectiond.registrations import ServiceRegistrations
from tests.connectd.connectiond.connectiond_process import registrations_of

NODE, OTHER = b"\2" * 33, b"\3" * 33
CHANNEL, CHANNEL_2 = b"\1" * 32, b"\2" * 32
TICKET = b"t" * 16


def test_whose_what_is() -> None:
    registrations = ServiceRegistrations()
    registrations.change(registrations_of("one", node_ids=(NODE,), take=(32,)))
    registrations.change(registrations_of("two", channels=((CHANNEL, NODE),), take=(64,)))
    assert (registrations.of_node(NODE), registrations.of_type(32), registrations.of_type(64)) == ("one", "one", "two")
    assert (registrations.of_channel(NODE, CHANNEL), registrations.of_channel(OTHER, CHANNEL)) == ("two", None)
    assert registrations.concerned(NODE) == ["one", "two"]
    assert registrations.concerned(OTHER) == []


def test_what_comes_and_what_goes() -> None:
    registrations = ServiceRegistrations()
    assert registrations.change(registrations_of("one", node_ids=(NODE,), take=(32,))) == {NODE}
    registrations.change(registrations_of("two", channels=((CHANNEL, OTHER),)))
    more = registrations_of("one", node_ids=(NODE,), channels=((CHANNEL_2, OTHER),))
    more.without_take = [32, 33]
    assert registrations.change(more) == {OTHER}
    assert (registrations.of_type(32), registrations.of_node(NODE)) == (None, "one")
    moved = registrations_of("one", channels=((CHANNEL_2, NODE),))
    moved.without_node_ids = [NODE]
    assert registrations.change(moved) == set()
    assert (registrations.of_node(NODE), registrations.concerned(NODE)) == (None, ["one"])
    assert registrations.of_channel(OTHER, CHANNEL_2) is None
    less = registrations_of("two")
    less.without_channel_ids = [CHANNEL, CHANNEL_2]
    registrations.change(less)
    assert registrations.concerned(OTHER) == []
    assert registrations.of_channel(NODE, CHANNEL_2) == "one"


def test_ticket() -> None:
    registrations = ServiceRegistrations()
    assert not registrations.ticket_is("one", TICKET)
    registrations.change(registrations_of("one", ticket=TICKET))
    assert registrations.ticket_is("one", TICKET)
    assert not registrations.ticket_is("one", b"x" * 16)
    assert not registrations.ticket_is("one", b"")
    registrations.change(registrations_of("one", ticket=b""))
    assert not registrations.ticket_is("one", b"")
