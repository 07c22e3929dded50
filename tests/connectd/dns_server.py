"""A DNS server on loopback, UDP and TCP, that answers as a seed would, or as no server should."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from connectd.reach.seeds import checksum

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def label_of(node_id: bytes) -> str:
    """A node_id as a seed's host name has it. BIP 173."""
    bits = int.from_bytes(node_id, "big") << 1
    values = [bits >> 5 * place & 31 for place in reversed(range(53))]
    check = checksum([3, 3, 0, 12, 14, *values, *[0] * 6]) ^ 1
    return "ln1" + "".join(_ALPHABET[value] for value in [*values, *(check >> 5 * (5 - i) & 31 for i in range(6))])


class DnsServer:
    """`zone`: (name, type) -> records as text; all else does not exist."""

    def __init__(self, zone: dict[tuple[str, str], list[str]]) -> None:
        self.zone = {(name.lower(), kind): records for (name, kind), records in zone.items()}
        self.additional: list[tuple[str, str, str]] = []
        """Name, type and text of records that are sent along with each answer."""
        self.asked: list[str] = []
        self.everything: str | None = None
        """An address that every name has that is not in the zone."""
        self.spoil: Callable[[bytes], bytes | None] = lambda reply: reply
        self.truncate = False
        self.address = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["DnsServer"]:
        loop = asyncio.get_running_loop()
        tcp = await asyncio.start_server(self._serve_tcp, "127.0.0.1", 0)
        port = tcp.sockets[0].getsockname()[1]
        udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), ("127.0.0.1", port))
        self.address = f"127.0.0.1:{port}"
        try:
            yield self
        finally:
            udp.close()
            tcp.close()

    def answer(self, packet: bytes, *, udp: bool) -> bytes | None:
        query = dns.message.from_wire(packet)
        (question,) = query.question
        name, kind = question.name.to_text().lower().rstrip("."), question.rdtype.name
        self.asked.append(f"{name} {kind}{'' if udp else ' by TCP'}")
        reply = dns.message.make_response(query)
        records = self.zone.get((name, kind), [])
        if not records and kind == "A" and self.everything is not None:
            records = [self.everything]
        if records:
            reply.answer.append(dns.rrset.from_text_list(question.name, 60, "IN", kind, records))
            for owner, its_kind, text in self.additional:
                reply.additional.append(dns.rrset.from_text(owner + ".", 60, "IN", its_kind, text))
        elif not any(known == name for known, _ in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        if udp and self.truncate:
            reply.answer.clear()
            reply.flags |= dns.flags.TC
        return self.spoil(reply.to_wire(max_size=65_535))

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError):
            size = int.from_bytes(await reader.readexactly(2), "big")
            reply = self.answer(await reader.readexactly(size), udp=False) or b""
            writer.write(len(reply).to_bytes(2, "big") + reply)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._server.answer(data, udp=True)
        if reply is not None:
            self._transport.sendto(reply, addr)
