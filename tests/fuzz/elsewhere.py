"""Targets for what other programs answer (Tor, proxies, DNS), and for files that come from elsewhere."""

import asyncio
import contextlib
import io
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

import dns.exception
import dns.message
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.rrset

from connectd.connection import Connection, ConnectionEnded
from connectd.doors.tor_control import LONGEST_LINE, TorControl, TorError
from connectd.reach.seeds import ALIAS, Seeds
from connectd.reach.ways_out import ask_proxy
from lightningd_py.hsm.secret import ENCRYPTED_SIZE, SecretError, load_secret
from lightningd_py.observatory.exchange.gsp import read_gsp, write_gsp
from lightningd_py.observatory.exchange.stores import store_of_messages
from lightningd_py.observatory.record.checkpoint import Checkpoint
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.schemas import batch
from wire.address import WireAddr
from wire.secp256k1 import public_key

LOOPBACK = WireAddr("ipv4", "127.0.0.1", 9051)
SEED = "seed.example"
LABELS = (
    "ln1qwktpe6jxltmpphyl578eax6fcjc2m807qalr76a5gfmx7k9qqfjwy4mctz",
    "ln1qv2w3tledmzczw227nnkqrrltvmydl8gu4w4d70g9td7avke6nmz2tdefqp",
)
"""Of BOLT 10's examples."""


def awaited(coroutine: Coroutine[Any, Any, None]) -> None:
    """To its end, on a loop of its own."""
    with asyncio.Runner() as runner:
        runner.run(coroutine)


class _Heard:
    """The other end of a conversation: says what it was made with, and hangs up."""

    def __init__(self, said: bytes) -> None:
        self.left = said
        self.lost = ""

    async def read(self, size: int) -> bytes:
        if len(self.left) < size:
            raise ConnectionEnded("hung up")
        said, self.left = self.left[:size], self.left[size:]
        return said

    def write(self, data: bytes) -> None:
        pass

    async def drain(self) -> None:
        pass


def tor_control(data: bytes) -> None:
    """As the answers of a control port, to everything that it may be asked."""

    async def talk() -> None:
        reader = asyncio.StreamReader(limit=LONGEST_LINE)
        reader.feed_data(data)
        reader.feed_eof()
        tor = TorControl(reader, cast(asyncio.StreamWriter, _Heard(b"")), LOOPBACK)
        with contextlib.suppress(TorError):
            await tor.authenticate("password")
        with contextlib.suppress(TorError):
            await tor.authenticate(None)
        with contextlib.suppress(TorError):
            await tor.add_onion("NEW:ED25519-V3", 9735, LOOPBACK)

    awaited(talk())


def socks_replies(data: bytes) -> None:
    """As the answers of a SOCKS5 proxy; nothing behind the last one is read."""

    async def talk() -> None:
        heard = _Heard(data)
        with contextlib.suppress(ConnectionEnded):
            await ask_proxy(cast(Connection, heard), "node.example", 9735)
            assert len(data) - len(heard.left) <= 2 + 2 + 4 + 1 + 255 + 2

    awaited(talk())


def dns_answers(data: bytes) -> None:
    """As the answer to every question about a seed."""

    async def resolve(name: object, kind: str, **how: object) -> dns.resolver.Answer:
        try:
            asked = dns.name.from_text(name) if isinstance(name, str) else cast(dns.name.Name, name)
            response = cast(dns.message.QueryMessage, dns.message.from_wire(data))
            wanted = dns.rdatatype.from_text(kind)
            response.question = [dns.rrset.RRset(asked, dns.rdataclass.IN, wanted)]  # else it would be dropped
            return dns.resolver.Answer(asked, wanted, dns.rdataclass.IN, response)
        except Exception as error:  # as dnspython's own resolver does it
            raise dns.exception.DNSException from error

    async def ask() -> None:
        seeds = Seeds(WireAddr("ipv4", "127.0.0.1", 53), routable_only=False)
        seeds._resolver.resolve = resolve  # type: ignore[assignment]
        found, failed = await seeds.ask([SEED])
        assert len(found) + len(failed) <= 25

    awaited(ask())


def hsm_secret(data: bytes) -> None:
    """As the file, without a passphrase and with one; not the form whose key takes a second to make."""
    if len(data) == ENCRYPTED_SIZE:
        return
    with tempfile.TemporaryDirectory(prefix="lightningd-py-fuzz-") as directory:
        path = Path(directory) / "hsm_secret"
        path.write_bytes(data)
        path.chmod(0o400)
        for ask in (None, lambda: b"passphrase"):
            with contextlib.suppress(SecretError):
                assert len(load_secret(path, ask)) == 32


def imports(data: bytes) -> None:
    """As a GSP file, packed or not, whose messages become a store, and that a checkpoint."""
    with tempfile.TemporaryDirectory(prefix="lightningd-py-fuzz-") as directory:
        path, store = Path(directory) / "gsp", Path(directory) / "gossip_store"
        path.write_bytes(data)
        messages: list[bytes] = []
        with contextlib.suppress(ObservatoryError):
            messages.extend(read_gsp(path))
        assert 0 <= store_of_messages(store, messages) <= len(messages)
        rows: dict[str, list[tuple[Any, ...]]] = {}
        for table, row in Checkpoint(store, "here", 1):
            rows.setdefault(table, []).append(row)
        for table, some in rows.items():
            batch(table, some)


def dns_answer() -> bytes:
    """Two nodes of a seed, of which one comes with its address."""
    found = dns.message.make_response(dns.message.make_query(f"{ALIAS}.{SEED}", "SRV"))
    targets = [f"{label}.{SEED}." for label in LABELS]
    found.answer = [
        dns.rrset.from_text(f"{ALIAS}.{SEED}.", 60, "IN", "SRV", *(f"10 10 9735 {target}" for target in targets))
    ]
    found.additional = [dns.rrset.from_text(targets[0], 60, "IN", "A", "8.8.8.8")]
    return found.to_wire()


def gsp() -> bytes:
    """A channel with both updates and a node."""
    one, two = (public_key(secret) for secret in (bytes([1]) * 32, bytes([2]) * 32))
    announcement = b"\1\0" + bytes(256) + b"\0\0" + bytes(32) + bytes(8) + one + two + one + two
    updates = [b"\1\2" + bytes(64) + bytes(32) + bytes(8) + bytes(5) + bytes([number]) + bytes(26) for number in (0, 1)]
    node = b"\1\1" + bytes(64) + b"\0\0" + bytes(4) + one + bytes(3 + 32) + b"\0\0"
    out = io.BytesIO()
    write_gsp(out, [announcement, *updates, node])
    return out.getvalue()
