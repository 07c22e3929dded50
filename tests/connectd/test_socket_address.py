"""Wireaddrs and socket addresses."""

from connectd.socket_address import from_socket, to_socket
from wire.address import parse_address
from wire.net.sockman.sockman import SocketAddress


def test_socket_addresses_and_back() -> None:
    me = SocketAddress("unix", "/a/path", 0)
    for text in ("1.2.3.4:5", "[::1]:5", "/a/path"):
        address = parse_address(text, 1)
        assert from_socket(to_socket(address), me) == address
    assert from_socket(SocketAddress("unix", "", 0), me) == parse_address("/a/path", 1)
