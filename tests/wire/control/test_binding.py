"""Where to listen, as people write it."""

import re

import pytest

from wire.address import WireAddr
from wire.control.binding import Binding, parse_binding

CONTROL = WireAddr("ipv4", "127.0.0.1", 9051)


@pytest.mark.parametrize(
    ("text", "binding", "again"),
    [
        ("1.2.3.4", Binding("plain", WireAddr("ipv4", "1.2.3.4", 7), 7), "1.2.3.4:7"),
        ("[::1]:8", Binding("plain", WireAddr("ipv6", "::1", 8), 8), "[::1]:8"),
        ("node.example", Binding("plain", WireAddr("dns", "node.example", 7), 7), "node.example:7"),
        ("/a/path", Binding("plain", WireAddr("local", "/a/path", 0), 0), "/a/path"),
        ("", Binding("plain", None, 7), ":7"),
        (":8", Binding("plain", None, 8), ":8"),
        ("ws:", Binding("ws", None, 7), "ws::7"),
        ("ws::8", Binding("ws", None, 8), "ws::8"),
        ("ws:[::1]:8", Binding("ws", WireAddr("ipv6", "::1", 8), 8), "ws:[::1]:8"),
        ("autotor:127.0.0.1", Binding("autotor", CONTROL, 7), "autotor:127.0.0.1:9051/torport=7"),
        (
            "autotor:[::1]:9/torport=8",
            Binding("autotor", WireAddr("ipv6", "::1", 9), 8),
            "autotor:[::1]:9/torport=8",
        ),
        (
            "statictor:127.0.0.1:9051/torblob=some text=/torport=8",
            Binding("statictor", CONTROL, 8, "some text="),
            "statictor:127.0.0.1:9051/torport=8/torblob=some text=",
        ),
    ],
)
def test_every_form_and_back(text: str, binding: Binding, again: str) -> None:
    assert parse_binding(text, 7) == binding
    assert str(binding) == again
    assert parse_binding(again, 1) == binding


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1.2.3.4:x", "unable to parse address '1.2.3.4:x'"),
        (":x", "'x' is no port"),
        ("ws:/a/path", "a WebSocket needs an IP address"),
        ("wss:1.2.3.4", "TLS is for a proxy"),
        ("a" * 55 + "d.onion", "can only be announced"),
        ("autotor:", "an address needs a host"),
        ("autotor:127.0.0.1/torport=0", "'torport=0' is no port"),
        ("autotor:127.0.0.1/torport=65536", "is no port"),
        ("autotor:127.0.0.1/torblob=x", "'torblob=x' is nothing that autotor: takes"),
        ("statictor:127.0.0.1/torport", "'torport' is nothing that statictor: takes"),
        ("statictor:127.0.0.1/torblob=" + "x" * 65, "a torblob has 1 to 64 bytes"),
        ("statictor:127.0.0.1/torblob=", "a torblob has 1 to 64 bytes"),
        ("statictor:" + "a" * 55 + "d.onion", "is no place for Tor's control port"),
    ],
)
def test_one_clear_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse_binding(text, 7)
