"""The registrations as connectiond knows them."""

from connectd.connectiond.registrations import Wants
from tests.connectd.bus_house import registrations_of

NODE, OTHER = b"\2" * 33, b"\3" * 33
CHANNEL = b"\1" * 32
TICKET = b"t" * 16


def test_whose_what_is() -> None:
    wants = Wants()
    wants.replace(registrations_of("one", node_ids=(NODE,), take=(32,)))
    wants.replace(registrations_of("two", channels=((CHANNEL, NODE),), take=(64,)))
    assert (wants.of_node(NODE), wants.of_type(32), wants.of_type(64)) == ("one", "one", "two")
    assert (wants.of_channel(NODE, CHANNEL), wants.of_channel(OTHER, CHANNEL)) == ("two", None)
    assert wants.concerned(NODE) == ["one", "two"]
    assert wants.concerned(OTHER) == []


def test_each_word_replaces_the_last_one_of_that_service() -> None:
    wants = Wants()
    assert wants.replace(registrations_of("one", node_ids=(NODE,), take=(32,))) == {NODE}
    wants.replace(registrations_of("two", channels=((CHANNEL, OTHER),)))
    assert wants.replace(registrations_of("one", node_ids=(NODE,), channels=((CHANNEL, OTHER),))) == {OTHER}
    assert wants.of_type(32) is None
    assert wants.replace(registrations_of("one")) == set()
    assert wants.of_node(NODE) is None
    wants.replace(registrations_of("two"))
    assert wants.concerned(OTHER) == []
    assert wants.of_channel(OTHER, CHANNEL) is None


def test_ticket() -> None:
    wants = Wants()
    assert not wants.ticket_is("one", TICKET)
    wants.replace(registrations_of("one", ticket=TICKET))
    assert wants.ticket_is("one", TICKET)
    assert not wants.ticket_is("one", b"x" * 16)
    assert not wants.ticket_is("one", b"")
    wants.replace(registrations_of("one", ticket=b""))
    assert not wants.ticket_is("one", b"")
