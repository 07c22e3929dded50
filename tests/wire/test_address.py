"""Addresses: what people write, what strangers announce, and that text and descriptors read back as the same."""

import base64
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.address import (
    HERE,
    WireAddr,
    is_hostname,
    is_routable,
    may_forward,
    network_group,
    parse_address,
    parse_peer,
    read_descriptor,
    read_descriptors,
    source_key,
    source_of,
    to_json,
    write_descriptor,
)
from wire.cursor import Cursor, WireError

ONION = base64.b32encode(bytes(range(35))).decode().lower() + ".onion"
NODE_ID = "02" + "11" * 32
LABELS = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
HOSTNAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join).filter(is_hostname)
PORTS = st.integers(1, 65535)
ADDRESSES = st.one_of(
    st.builds(WireAddr, st.just("ipv4"), st.ip_addresses(v=4).map(str), PORTS),
    st.builds(WireAddr, st.just("ipv6"), st.ip_addresses(v=6).map(str), PORTS),
    st.builds(
        WireAddr,
        st.just("torv3"),
        st.binary(min_size=35, max_size=35).map(lambda key: base64.b32encode(key).decode().lower() + ".onion"),
        PORTS,
    ),
    st.builds(WireAddr, st.just("dns"), HOSTNAMES, PORTS),
)
IPV4 = bytes.fromhex("01 01020304 2607")
IPV6 = bytes.fromhex("02 20010db8000000000000000000000001 2607")
TORV2 = bytes.fromhex("03 00010203040506070809 2607")
TORV3 = bytes([4, *range(35)]) + bytes.fromhex("2607")


def dns(host: bytes, port: int = 9735) -> bytes:
    return bytes([5, len(host)]) + host + port.to_bytes(2, "big")


@pytest.mark.bolt("B7-70")
@given(ADDRESSES)
def test_text_and_descriptor_round_trip(address: WireAddr) -> None:
    assert parse_address(str(address), 1) == address
    assert read_descriptors(write_descriptor(address)) == [address]


@pytest.mark.bolt("B7-72")
@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = read_descriptors(data)
    except WireError:
        with pytest.raises(WireError):
            may_forward(data)
        return
    assert all(parse_address(str(address), 1) == address for address in found)
    cursor, names = Cursor(data), 0
    while cursor.remaining:
        is_name = data[-cursor.remaining] == 5
        read_descriptor(cursor)
        names += is_name
    assert may_forward(data) == (names <= 1)


@pytest.mark.bolt("B7-70")
def test_descriptors_of_all_types() -> None:
    assert read_descriptors(IPV4 + IPV6 + TORV2 + TORV3 + dns(b"Example.com")) == [
        WireAddr("ipv4", "1.2.3.4", 9735),
        WireAddr("ipv6", "2001:db8::1", 9735),
        WireAddr("torv3", ONION, 9735),
        WireAddr("dns", "example.com", 9735),
    ]


@pytest.mark.bolt("B7-71")
@pytest.mark.parametrize("unknown", [b"\0", b"\6", b"\xff\0\0"])
def test_all_from_the_first_unknown_type_on_is_ignored(unknown: bytes) -> None:
    assert read_descriptors(IPV4 + unknown + IPV6) == [WireAddr("ipv4", "1.2.3.4", 9735)]


@pytest.mark.bolt("B7-72")
@pytest.mark.parametrize("descriptor", [IPV4, IPV6, TORV2, TORV3, dns(b"a.example")], ids=range(1, 6))
def test_a_descriptor_that_is_cut_off(descriptor: bytes) -> None:
    for size in range(1, len(descriptor)):
        with pytest.raises(WireError):
            read_descriptors(IPV4 + descriptor[:size])


@pytest.mark.bolt("B7-73")
@pytest.mark.parametrize("descriptor", [IPV4, IPV6, TORV3, dns(b"a.example")], ids=["ipv4", "ipv6", "torv3", "dns"])
def test_port_zero_is_ignored(descriptor: bytes) -> None:
    assert len(read_descriptors(descriptor)) == 1
    assert read_descriptors(descriptor[:-2] + bytes(2) + IPV4) == [WireAddr("ipv4", "1.2.3.4", 9735)]


@pytest.mark.bolt("B7-74")
def test_a_second_host_name_is_ignored_and_not_forwarded() -> None:
    both = dns(b"a.example") + dns(b"b.example") + IPV4
    assert read_descriptors(both) == [WireAddr("dns", "a.example", 9735)]
    assert not may_forward(both)
    assert may_forward(dns(b"a.example") + IPV4)


@pytest.mark.bolt("B7-70")
@pytest.mark.parametrize(
    "host",
    [b"", b"a b", b"\xff.example", b"1.2.3.4", b"127.1", b"0x7f.0x1", b"2130706433", b"[::1]", b"a..b", b"a.onion"],
)
def test_host_names_that_are_none_are_ignored(host: bytes) -> None:
    assert read_descriptors(dns(host)) == []


def test_a_descriptor_alone_says_what_it_says() -> None:
    assert read_descriptor(Cursor(TORV2)) == WireAddr("torv2", "aaaqeayeaudaocaj.onion", 9735)
    assert write_descriptor(WireAddr("torv2", "aaaqeayeaudaocaj.onion", 9735)) == TORV2
    assert read_descriptor(Cursor(dns(b"\xff"))) == WireAddr("dns", "\\xff", 9735)
    assert read_descriptor(Cursor(b"\x09\x01")) is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("1.2.3.4", WireAddr("ipv4", "1.2.3.4", 9735)),
        ("1.2.3.4:0", WireAddr("ipv4", "1.2.3.4", 0)),
        ("::1", WireAddr("ipv6", "::1", 9735)),
        ("[2001:DB8:0::1]", WireAddr("ipv6", "2001:db8::1", 9735)),
        ("[::]:19846", WireAddr("ipv6", "::", 19846)),
        (ONION.upper(), WireAddr("torv3", ONION, 9735)),
        (f"{ONION}:1", WireAddr("torv3", ONION, 1)),
        ("Node.Example.com.:2", WireAddr("dns", "node.example.com", 2)),
        ("localhost", WireAddr("dns", "localhost", 9735)),
        ("münchen.example", WireAddr("dns", "xn--mnchen-3ya.example", 9735)),
        ("/run/node.sock", WireAddr("local", "/run/node.sock", 0)),
    ],
)
def test_what_people_write(text: str, address: WireAddr) -> None:
    assert parse_address(text, 9735) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "needs a host"),
        (":9735", "needs a host"),
        ("1.2.3.4:", "no port"),
        ("1.2.3.4:65536", "no port"),
        ("1.2.3.4:-1", "no port"),
        ("1.2.3.4:٣", "no port"),
        ("1.2.3", "neither an IP address nor a host name"),
        ("1。2。3。4", "neither an IP address nor a host name"),
        ("a b.example", "neither an IP address nor a host name"),
        ("-a.example", "neither an IP address nor a host name"),
        ("a" * 64, "neither an IP address nor a host name"),
        ("ü" * 64, "no host name"),
        ("[1.2.3.4]:9735", "only IPv6 stands in brackets"),
        ("[::1]9735", "looks like host:port"),
        ("fe80::1%eth0", "network interface"),
        ("aaaqeayeaudaocaj.onion", "Tor v2"),
        ("short.onion", "no Tor address"),
        ("0" * 56 + ".onion", "no Tor address"),
    ],
)
def test_what_is_no_address_is_explained(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_address(text, 9735)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        address = parse_address(text, 9735)
    except ValueError:
        return
    assert parse_address(str(address), 1) == address


def test_peers() -> None:
    node_id = bytes.fromhex(NODE_ID)
    assert parse_peer(NODE_ID) == (node_id, None)
    assert parse_peer(f"{NODE_ID.upper()}@1.2.3.4") == (node_id, WireAddr("ipv4", "1.2.3.4", 9735))
    assert parse_peer(f"{NODE_ID}@[::1]:5", 19846) == (node_id, WireAddr("ipv6", "::1", 5))
    assert parse_peer(f"{NODE_ID}@a.example", 19846) == (node_id, WireAddr("dns", "a.example", 19846))


@pytest.mark.parametrize(
    "text", ["", NODE_ID[:-1], "04" + NODE_ID[2:], f"x{NODE_ID}@1.2.3.4", f"{NODE_ID}@", "@1.2.3.4"]
)
def test_what_is_no_peer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no node id|needs a host"):
        parse_peer(text)


def test_json_is_clns() -> None:
    assert to_json(WireAddr("ipv6", "::1", 9735)) == {"type": "ipv6", "address": "::1", "port": 9735}
    assert to_json(WireAddr("local", "/a", 0)) == {"type": "local socket", "socket": "/a"}


def test_a_local_socket_is_not_announced() -> None:
    with pytest.raises(ValueError, match="cannot be announced"):
        write_descriptor(WireAddr("local", "/a", 0))


@pytest.mark.bolt("B1-26")
@pytest.mark.parametrize(
    ("text", "routable"),
    [
        ("8.8.8.8", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.1.1", False),
        ("169.254.1.1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("2a00:1450::1", True),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("2001:db8::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("a.example", True),
        ("localhost", False),
        ("printer.local", False),
        (ONION, True),
        ("/a", False),
    ],
)
def test_routable(text: str, routable: bool) -> None:
    assert is_routable(parse_address(text, 9735)) is routable


def test_hosts_are_canonical() -> None:
    address = parse_address("2001:0db8::0001", 9735)
    assert address.host == str(ipaddress.ip_address(address.host))
    assert hash(address) == hash(parse_address("[2001:db8::1]:9735", 1))


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("10.1.2.3:9735", "10.1.0.0/16"),
        ("[2001:db8:1::2]:9735", "2001:db8::/32"),
        ("[::ffff:10.1.2.3]:9735", "10.1.0.0/16"),
        (f"{'a' * 56}.onion:9735", "tor"),
        ("/run/peer.sock", "other"),
    ],
)
def test_network_group(text: str, group: str) -> None:
    assert network_group(text) == group


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.1:9735", "192.0.2.1"),
        ("127.0.0.2:9735", "127.0.0.2"),
        ("[2001:db8:1:2:3:4:5:6]:1", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::]:2", "2001:db8:1:2::/64"),
        ("127.0.0.1:1", HERE),
        ("[::1]:1", HERE),
        ("/a/socket", HERE),
    ],
)
def test_sources(address: str, source: str) -> None:
    assert source_of(parse_address(address, 1)) == source


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("127.0.0.1:9735", "127.0.0.1"),
        ("127.0.0.2:9735", "127.0.0.2"),
        ("[2001:db8:1:2:3::4]:9735", "2001:db8:1:2::/64"),
        ("[::ffff:192.0.2.1]:9735", "192.0.2.1"),
        ("a.example.com:9735", "a.example.com"),
        ("", ""),
    ],
)
def test_source_key(text: str, source: str) -> None:
    assert source_key(text) == source
