"""Bans, allow rules and deny rules."""

import pytest

from wire.address import WireAddr
from wire.control.access import Access, Rule, parse_what
from wire.features import Features, feature_bit
from wire.secp256k1 import public_key

NODE, OTHER = (public_key(bytes([key]) * 32) for key in (1, 2))
IP = WireAddr("ipv4", "192.0.2.7", 9735)
IP6 = WireAddr("ipv6", "2001:db8::7", 9735)
ONION = WireAddr("torv3", "a" * 51 + "m2dqd.onion", 9735)
GOSSIP = Features.of([feature_bit("gossip_queries") + 1]).to_bytes()
NOW = 1_000.0


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("ALL", "all"),
        (NODE.hex().upper(), NODE.hex()),
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("[2001:db8::7]", "2001:db8::7/128"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("host:Node.Example", "host:node.example"),
        (ONION.host.upper(), ONION.host),
        ("with:gossip_queries", "with:gossip_queries"),
        ("without:option_static_remotekey", "without:option_static_remotekey"),
    ],
)
def test_what_a_rule_may_name(text: str, what: str) -> None:
    assert parse_what(text) == what
    assert parse_what(what) == what


WORDS = ["alll", "02abab", "node.example", "host:", "host:1.2.3.4", "host:a b", "a" * 56 + ".onion", "banned"]
"""What people mistype: each was a host's name once, and kept nobody out."""


@pytest.mark.parametrize(
    "text", ["", "02" + "ff" * 32, "192.0.2.0/33", "with:", "with:magic", "1.2.3.4:9735", "a b", *WORDS]
)
def test_what_it_may_not(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|names no"):
        parse_what(text)


def denied(*whats: str, allow: tuple[str, ...] = ()) -> Access:
    return Access([Rule(what) for what in allow], [Rule(parse_what(what)) for what in whats])


@pytest.mark.parametrize(
    ("what", "address", "refused"),
    [
        ("192.0.2.0/24", IP, True),
        ("192.0.3.0/24", IP, False),
        ("0.0.0.0/0", IP, True),
        ("0.0.0.0/0", IP6, False),
        ("2001:db8::/32", IP6, True),
        ("::/0", IP, False),
        ("all", ONION, True),
        (ONION.host, ONION, True),
        ("host:node.example", WireAddr("dns", "node.example", 9735), True),
        ("host:other.example", WireAddr("dns", "node.example", 9735), False),
        (ONION.host, IP, False),
        ("all", WireAddr("local", "/a/socket", 0), True),
    ],
)
def test_addresses(what: str, address: WireAddr, refused: bool) -> None:
    access = denied(what)
    assert (access.refuses_address(address, NOW) is not None) == refused
    assert (access.refuses_node(address, NODE, NOW) is not None) == refused


def test_nodes() -> None:
    access = denied(NODE.hex())
    assert access.refuses_address(IP, NOW) is None
    assert access.refuses_node(IP, NODE, NOW) == f"refused: {NODE.hex()}"
    assert access.refuses_node(IP, OTHER, NOW) is None


def test_features() -> None:
    assert denied("with:gossip_queries").refuses_features(IP, NODE, GOSSIP, NOW)
    assert denied("without:gossip_queries").refuses_features(IP, NODE, b"", NOW)
    assert denied("without:gossip_queries").refuses_features(IP, NODE, GOSSIP, NOW) is None


def test_allowed_before_denied() -> None:
    by_address = denied("all", allow=("192.0.2.0/24",))
    assert by_address.refuses_address(IP, NOW) is None
    assert by_address.refuses_address(IP6, NOW)
    by_node = denied("all", allow=(NODE.hex(),))
    assert by_node.refuses_address(IP, NOW) is None, "it may be the one"
    assert by_node.refuses_node(IP, NODE, NOW) is None
    assert by_node.refuses_node(IP, OTHER, NOW)
    by_feature = denied("all", allow=("with:gossip_queries",))
    assert by_feature.refuses_node(IP, NODE, NOW) is None
    assert by_feature.refuses_features(IP, NODE, GOSSIP, NOW) is None
    assert by_feature.refuses_features(IP, NODE, b"", NOW)


def test_bans_end() -> None:
    access = Access([], [Rule("192.0.2.0/24", "spam", expires=NOW), Rule("192.0.0.0/16", expires=NOW + 1)])
    assert access.refuses_address(IP, NOW - 1) == "refused: 192.0.2.0/24, spam"
    assert access.refuses_address(IP, NOW) == "refused: 192.0.0.0/16"
    assert access.refuses_address(IP, NOW + 1) is None
