"""What INIT says to whom, and what is kept of theirs."""

import pytest

from connectd.initmsg import InitRefused, our_init, read_init
from wire.address import WireAddr, parse_address
from wire.peer_wire import Init
from wire.types import NETWORKS

REGTEST = NETWORKS["regtest"]
PUBLIC = WireAddr("ipv4", "8.8.8.8", 4711)


@pytest.mark.parametrize("text", ["8.8.8.8:4711", "[2001:4860:4860::8888]:4711"])
@pytest.mark.bolt("B1-26")
def test_a_public_peer_is_told_how_we_see_it(text: str) -> None:
    address = parse_address(text, 1)
    told = our_init(REGTEST, b"\x0a", address)
    assert told == Init(b"\x0a", b"\x0a", networks=[REGTEST], remote_addr=address).encode()


@pytest.mark.parametrize("text", ["127.0.0.1:1", "10.0.0.1:1", "[fe80::1]:1", "/a/path", "node.example:1", "8.8.8.8:0"])
@pytest.mark.bolt("B1-26")
def test_others_are_not(text: str) -> None:
    assert Init.decode(our_init(REGTEST, b"", parse_address(text, 1))).remote_addr is None


def test_how_a_peer_sees_us_is_kept_if_the_internet_could_know_it() -> None:
    seen = [
        read_init(Init(b"", b"", None, remote_addr=address).encode(), REGTEST)
        for address in (PUBLIC, WireAddr("ipv4", "192.168.1.1", 1), None)
    ]
    assert [theirs.remote_addr if theirs else "" for theirs in seen] == ["8.8.8.8:4711", None, None]


def test_of_features_and_networks_only_so_much_is_kept() -> None:
    networks = [REGTEST, *[bytes([number]) * 32 for number in range(100)]]
    theirs = read_init(Init(b"", b"\xaa" * 65_000, networks[:10]).encode(), REGTEST)
    assert theirs is not None
    assert theirs.features == b"\xaa" * 1_250
    theirs = read_init(Init(b"", b"", networks).encode(), REGTEST)
    assert theirs is not None
    assert theirs.networks == networks[:16]
    with pytest.raises(InitRefused, match="Unsupported feature 519992 "):
        read_init(Init(b"", b"\1" + bytes(64_999)).encode(), REGTEST)


@pytest.mark.bolt("B1-23")
def test_the_old_map_holds_low_bits_only() -> None:
    init = Init.decode(our_init(REGTEST, bytes.fromhex("ffffff"), None))
    assert init.globalfeatures == bytes.fromhex("1fff")
