"""Where to listen, as --addr and --bind-addr say it: the options check it, connectd acts on it.

1.2.3.4:9735  [::1]:9735  name:9735  /a/path      a socket
:9735                                             every interface, over IPv6 and IPv4
ws:1.2.3.4:80                                     the same for WebSockets
autotor:127.0.0.1:9051/torport=9735               an onion service by Tor's control port, with a new name each time
statictor:127.0.0.1:9051/torport=9735/torblob=... one that keeps its name
"""

from typing import Literal

from wire.address import WireAddr, parse_address
from wire.start.late_dataclass import dataclass

BindingKind = Literal["plain", "ws", "autotor", "statictor"]

CONTROL_PORT = 9051
"""Where Tor's control port is if nothing else is said."""
LONGEST_BLOB = 64
"""Bytes of an onion service's key, which a torblob stands for."""


class BindFailed(Exception):
    """A place at which we cannot listen, a socket's or a bus's. The text is one sentence."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One place to listen. `port` is what strangers dial: an onion service's, or that of every interface."""

    kind: BindingKind
    address: WireAddr | None
    """The socket's address, or that of Tor's control port. None: every interface."""
    port: int
    blob: str | None = None
    """From which a `statictor` service's key is made; None: Tor makes one, and we keep it."""

    @property
    def is_onion(self) -> bool:
        """Tor listens, and leads here."""
        return self.kind in ("autotor", "statictor")

    def __str__(self) -> str:
        """As `parse_binding` reads it."""
        prefix = "" if self.kind == "plain" else f"{self.kind}:"
        if not self.is_onion:
            return prefix + (str(self.address) if self.address else f":{self.port}")
        blob = "" if self.blob is None else f"/torblob={self.blob}"
        return f"{prefix}{self.address}/torport={self.port}{blob}"


def parse_binding(text: str, default_port: int) -> Binding:
    """What a person wrote. Raises ValueError with one sentence for the person."""
    prefix, colon, rest = text.partition(":")
    if colon and prefix in ("autotor", "statictor"):
        return _onion("autotor" if prefix == "autotor" else "statictor", rest, default_port)
    if colon and prefix == "wss":
        raise ValueError(f"'{text}': TLS is for a proxy in front of us, which connects to a ws: address")
    if colon and prefix == "ws":
        if rest.startswith("/"):
            raise ValueError(f"'{text}': a WebSocket needs an IP address")
        return _socket("ws", rest, default_port)
    return _socket("plain", text, default_port)


def _socket(kind: BindingKind, text: str, default_port: int) -> Binding:
    if not text or text.startswith(":"):
        return Binding(kind, None, _parsed("0.0.0.0" + text, default_port).port)  # noqa: S104 - if asked for
    address = _parsed(text, default_port)
    if address.kind == "torv3":
        raise ValueError(f"'{text}' can only be announced: use --announce-addr")
    return Binding(kind, address, address.port)


def _onion(kind: BindingKind, text: str, default_port: int) -> Binding:
    where, *settings = text.split("/")
    port, blob = default_port, None
    for setting in settings:
        name, equals, value = setting.partition("=")
        if equals and name == "torport":
            port = _port(value)
        elif equals and name == "torblob" and kind == "statictor":
            blob = _blob(value)
        else:
            raise ValueError(f"'{setting}' is nothing that {kind}: takes")
    address = _parsed(where, CONTROL_PORT)
    if address.kind not in ("ipv4", "ipv6", "dns"):
        raise ValueError(f"'{where}' is no place for Tor's control port")
    return Binding(kind, address, port, blob)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 1 << 16):
        raise ValueError(f"'torport={text}' is no port: that is a number from 1 to 65535")
    return int(text)


def _blob(text: str) -> str:
    if not text or len(text.encode()) > LONGEST_BLOB:
        raise ValueError(f"a torblob has 1 to {LONGEST_BLOB} bytes")
    return text


def _parsed(text: str, default_port: int) -> WireAddr:
    try:
        return parse_address(text, default_port)
    except ValueError as error:
        raise ValueError(f"unable to parse address '{text}': {error}") from error
