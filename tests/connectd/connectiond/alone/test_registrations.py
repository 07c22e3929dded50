"""Who gets a connection of a connectiond on its own, and who is refused what."""

from typing import Any

import pytest

from connectd.connectiond.alone import registrations as alone_registrations
from connectd.connectiond.alone.registrations import MAX_SERVICES, StandaloneRegistrations
from wire.bus.bus_message import BusError
from wire.bus.bus_wire import BusChannel, Register, Unregister
from wire.secp256k1 import public_key

US, NODE, OTHER = (public_key(bytes([i]) * 32) for i in (1, 2, 3))
CHANNEL = BusChannel(bytes(32), NODE)
OPENING = b"\0\x20..."


@pytest.fixture
def known() -> StandaloneRegistrations:
    """With two services that are here."""
    registrations = StandaloneRegistrations(US)
    for name in ("a", "b"):
        registrations.arrive(name).here = True
    return registrations


def test_who_names_nothing_wants_everything(known: StandaloneRegistrations) -> None:
    assert known.choose(NODE, [], set()) == "a"
    assert known.choose(NODE, [], {"a"}) == "b"
    assert known.choose(NODE, [], {"a", "b"}) is None


def test_a_node_goes_to_who_has_named_it(known: StandaloneRegistrations) -> None:
    known.register("b", Register(node_ids=[NODE]))
    assert (known.choose(NODE, [], set()), known.choose(OTHER, [], set())) == ("b", "a")


def test_a_channel_names_its_node(known: StandaloneRegistrations) -> None:
    known.register("b", Register(channels=[CHANNEL]))
    assert known.choose(NODE, [], set()) == "b"


def test_two_services_have_channels_with_one_node(known: StandaloneRegistrations) -> None:
    known.register("b", Register(channels=[CHANNEL]))
    known.register("a", Register(channels=[BusChannel(bytes([1]) * 32, NODE)]))
    assert known.choose(NODE, [], set()) == "a"


def test_a_named_node_waits_for_its_service(known: StandaloneRegistrations) -> None:
    known.register("b", Register(node_ids=[NODE]))
    known.leave("b")
    assert known.choose(NODE, [], set()) is None
    known.arrive("b").here = True
    assert known.choose(NODE, [], set()) == "b"


def test_a_type_goes_before_everything_once_it_was_said(known: StandaloneRegistrations) -> None:
    known.register("b", Register(take=[32]))
    assert known.choose(NODE, [], {"a"}) is None
    assert known.choose(NODE, [b"\x01\x01", OPENING], set()) == "b"


def test_types_go_with_the_session_and_nodes_stay(known: StandaloneRegistrations) -> None:
    known.register("b", Register(node_ids=[NODE], take=[32], events=True))
    left = known.leave("b")
    assert (left.ticket, left.take, left.events, left.node_ids) == (b"", set(), False, {NODE})


def test_each_arrival_has_its_own_ticket(known: StandaloneRegistrations) -> None:
    first = known.arrive("c").ticket
    assert len(first) == 16 and known.arrive("c").ticket != first


def test_what_was_registered_is_taken_back(known: StandaloneRegistrations) -> None:
    known.register("a", Register(node_ids=[NODE], channels=[CHANNEL], take=[32], events=True))
    wishes = known.unregister("a", Unregister(node_ids=[NODE, OTHER], channel_ids=[bytes(32)], take=[32], events=True))
    assert wishes.everything and not wishes.events


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"node_ids": [NODE]}, f"node {NODE.hex()} is a's"),
        ({"channels": [CHANNEL]}, "channel 0+ is a's"),
        ({"take": [32]}, r"message 32 \(open_channel\) is a's"),
        ({"take": [18]}, "ping is answered here"),
        ({"take": [65_536]}, "65536 is no message type"),
        ({"node_ids": [bytes(33)]}, "is no node id"),
        ({"node_ids": [US]}, "our own node id"),
        ({"channels": [BusChannel(b"short", OTHER)]}, "a channel_id has 32 bytes, not 5"),
        ({"copy": [513]}, "the rest is the node's"),
    ],
)
def test_a_refusal_changes_nothing(known: StandaloneRegistrations, wanted: dict[str, Any], reason: str) -> None:
    known.register("a", Register(node_ids=[NODE], channels=[CHANNEL], take=[32]))
    with pytest.raises(BusError, match=reason):
        known.register("b", Register(**({"node_ids": [OTHER]} | wanted)))
    assert known.named("b").everything


def test_the_same_again_is_not_too_much(known: StandaloneRegistrations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone_registrations, "MAX_NODES", 1)
    for _ in range(2):
        known.register("a", Register(node_ids=[NODE], channels=[CHANNEL]))
    with pytest.raises(BusError, match="a service has at most 1 nodes"):
        known.register("a", Register(node_ids=[OTHER]))


def test_names_and_numbers_are_bounded(known: StandaloneRegistrations) -> None:
    with pytest.raises(BusError, match="no service's name"):
        known.arrive("connectiond")
    for number in range(MAX_SERVICES - 2):
        known.arrive(f"s{number}")
    with pytest.raises(BusError, match="no more can be"):
        known.arrive("one-more")
    known.arrive("a")
