"""The registrations as connectiond knows them."""

from connectd.connectiond.registrations import ServiceRegistrations
from tests.connectd.connectiond.connectiond_process import registrations_of

NODE, OTHER = b"\2" * 33, b"\3" * 33
CHANNEL = b"\1" * 32
TICKET = b"t" * 16


def test_whose_what_is() -> None:
    registrations = ServiceRegistrations()
    registrations.replace(registrations_of("one", node_ids=(NODE,), take=(32,)))
    registrations.replace(registrations_of("two", channels=((CHANNEL, NODE),), take=(64,)))
    assert (registrations.of_node(NODE), registrations.of_type(32), registrations.of_type(64)) == ("one", "one", "two")
    assert (registrations.of_channel(NODE, CHANNEL), registrations.of_channel(OTHER, CHANNEL)) == ("two", None)
    assert registrations.concerned(NODE) == ["one", "two"]
    assert registrations.concerned(OTHER) == []


def test_each_word_replaces_the_last_one_of_that_service() -> None:
    registrations = ServiceRegistrations()
    assert registrations.replace(registrations_of("one", node_ids=(NODE,), take=(32,))) == {NODE}
    registrations.replace(registrations_of("two", channels=((CHANNEL, OTHER),)))
    assert registrations.replace(registrations_of("one", node_ids=(NODE,), channels=((CHANNEL, OTHER),))) == {OTHER}
    assert registrations.of_type(32) is None
    assert registrations.replace(registrations_of("one")) == set()
    assert registrations.of_node(NODE) is None
    registrations.replace(registrations_of("two"))
    assert registrations.concerned(OTHER) == []
    assert registrations.of_channel(OTHER, CHANNEL) is None


def test_ticket() -> None:
    registrations = ServiceRegistrations()
    assert not registrations.ticket_is("one", TICKET)
    registrations.replace(registrations_of("one", ticket=TICKET))
    assert registrations.ticket_is("one", TICKET)
    assert not registrations.ticket_is("one", b"x" * 16)
    assert not registrations.ticket_is("one", b"")
    registrations.replace(registrations_of("one", ticket=b""))
    assert not registrations.ticket_is("one", b"")
