"""Our own address, as peers see it."""

from dataclasses import replace

import pytest

from lightningd_py.peers import own_address as discovery
from lightningd_py.peers.own_address import Discovery
from wire.control.control_wire import PeerInfo

HERE, ELSEWHERE = "203.0.114.7", "198.20.0.1"


def peer(number: int, says: str | None, *, incoming: bool = False, address: str = "") -> PeerInfo:
    return PeerInfo(
        bytes([2]) + bytes([number]) * 32, number, address or f"5.{number}.0.1:9735", incoming, says, b"", []
    )


def agreed(*peers: PeerInfo) -> list[str]:
    found = Discovery(9735)
    for one in peers:
        found.heard(one)
    return found.agreed


def test_three_of_them_with_our_own_port() -> None:
    assert agreed(*(peer(number, f"{HERE}:{number}") for number in (1, 2))) == []
    assert agreed(*(peer(number, f"{HERE}:{number}") for number in (1, 2, 3))) == [f"{HERE}:9735"]


def test_one_address_of_each_kind() -> None:
    four = [peer(number, f"{HERE}:1") for number in (1, 2, 3)]
    six = [peer(number, "[2a00::7]:1") for number in (4, 5, 6)]
    assert agreed(*four, *six, peer(7, f"{ELSEWHERE}:1")) == [f"{HERE}:9735", "[2a00::7]:9735"]


@pytest.mark.parametrize(
    "third",
    [
        peer(3, None),
        peer(3, f"{ELSEWHERE}:1"),
        peer(3, f"{HERE}:1", incoming=True),
        peer(3, f"{HERE}:1", address="5.1.9.9:9735"),
        peer(1, f"{HERE}:1", address="6.1.0.1:9735"),
    ],
    ids=["silent", "of another opinion", "incoming", "of the first one's network", "the first one again"],
)
def test_who_does_not_count(third: PeerInfo) -> None:
    assert agreed(peer(1, f"{HERE}:1"), peer(2, f"{HERE}:1"), third) == []


def test_addresses_that_mean_nothing() -> None:
    assert agreed(*(peer(number, "192.168.1.1:1") for number in (1, 2, 3))) == []


def test_we_move() -> None:
    before = [peer(number, f"{HERE}:1") for number in (1, 2, 3)]
    assert agreed(*before, *(replace(one, remote_addr=f"{ELSEWHERE}:1") for one in before)) == [f"{ELSEWHERE}:9735"]


def test_through_tor_each_node_counts() -> None:
    assert agreed(*(peer(number, f"{HERE}:1", address="a" * 51 + "m2dqd.onion:1") for number in (1, 2, 3))) != []


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "MOST_REMEMBERED", 2)
    assert agreed(*(peer(number, f"{HERE}:1") for number in (1, 2, 3))) == []


def test_what_was_found_before_holds_until_they_say_otherwise() -> None:
    found = Discovery(9735, [f"{HERE}:1", "[2a00::7]:9735"])
    assert found.agreed == [f"{HERE}:9735", "[2a00::7]:9735"]
    for number in (1, 2, 3):
        assert found.agreed == [f"{HERE}:9735", "[2a00::7]:9735"]
        found.heard(peer(number, f"{ELSEWHERE}:1"))
    assert found.agreed == [f"{ELSEWHERE}:9735", "[2a00::7]:9735"]
