"""Where a client behind a proxy comes from."""

from ipaddress import ip_network

import pytest
from websockets.datastructures import Headers

from connectd.websocketd.forwarded import client_address

PROXIES = (ip_network("127.0.0.0/8"), ip_network("10.0.0.1"), ip_network("2001:db8::/32"))
X, F = "X-Forwarded-For", "Forwarded"


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ([], None),
        ([(X, "203.0.113.7")], "203.0.113.7:0"),
        ([(X, "203.0.113.7:4711")], "203.0.113.7:4711"),
        ([(X, "2001:470::1")], "[2001:470::1]:0"),
        ([(X, "made up, 1.2.3.4, 203.0.113.7")], "203.0.113.7:0"),
        ([(X, "1.2.3.4"), (X, "203.0.113.7")], "203.0.113.7:0"),
        ([(X, "1.2.3.4, 203.0.113.7, 10.0.0.1, 127.0.0.9")], "203.0.113.7:0"),
        ([(X, "10.0.0.1, 127.0.0.9")], "10.0.0.1:0"),
        ([(X, "127.0.0.9")], "127.0.0.9:0"),
        ([(F, "for=203.0.113.7")], "203.0.113.7:0"),
        ([(F, 'For="[2001:470::1]:4711"')], "[2001:470::1]:4711"),
        ([(F, 'for=1.2.3.4, proto=https;for="203.0.113.7";by=10.0.0.1 , for=10.0.0.1')], "203.0.113.7:0"),
        ([(F, 'for="open, for=203.0.113.7')], "203.0.113.7:0"),
        ([(X, "203.0.113.7"), (F, "for=203.0.113.7")], "203.0.113.7:0"),
    ],
)
def test_the_rightmost_hop_that_is_no_proxy(headers: list[tuple[str, str]], client: str | None) -> None:
    found = client_address(Headers(headers), PROXIES)
    assert (None if found is None else str(found)) == client


@pytest.mark.parametrize(
    "headers",
    [
        [(X, "")],
        [(X, "203.0.113.7,")],
        [(X, "unknown")],
        [(X, "a.example")],
        [(X, "/run/socket")],
        [(X, "1.2.3.4, 999.1.1.1, 10.0.0.1")],
        [(X, "203.0.113.7:port")],
        [(F, "203.0.113.7")],
        [(F, "for=unknown")],
        [(F, "for=_hidden")],
        [(F, "for=1.2.3.4;for=203.0.113.7")],
        [(F, "proto=https")],
        [(F, "for=203.0.113.7, ")],
        [(X, "203.0.113.7"), (F, "for=1.2.3.4")],
    ],
)
def test_what_is_malformed(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(ValueError, match="orwarded"):
        client_address(Headers(headers), PROXIES)
