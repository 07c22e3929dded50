"""DNS seeds: names that lead to nodes, for a node that knows no other. BOLT 10.

A seed answers SRV queries; each record is a port and a name below the seed's own, whose first label is a node_id in
bech32. What comes is a stranger's: it is bounded, a name that does not decode to a point on the curve is passed over,
and an address that the resolver also gives for a name that does not exist is not believed.
"""

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from wire.address import Kind, WireAddr, is_routable, parse_address
from wire.control.control_wire import Bootstrap, BootstrapReply
from wire.secp256k1 import is_point

if TYPE_CHECKING:
    from dns.name import Name
    from dns.resolver import Answer

ALIAS = "_nodes._tcp"
"""The label before a seed's name under which it answers SRV queries, whatever else the name is for."""
MAX_RECORDS = 25
"""SRV records that are used of one seed: its default number."""
MAX_SEEDS = 20
QUERY_TIME = 10.0
"""Seconds for one query, with its repetitions."""
UDP_SIZE = 1_232
"""Bytes of the largest answer by UDP (EDNS0): one that passes every network in one piece."""
QUERIES_AT_A_TIME = 5

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_PREFIX = "ln"
_CHECKSUM_SIZE = 6

Candidate = tuple[bytes, str]
"""node_id and address."""


def node_id_of(label: str) -> bytes:
    """The node_id in a seed's host name (BIP 173 with the prefix ln). Raises ValueError."""
    prefix, _, data = label.lower().rpartition("1")
    values = [_ALPHABET.find(char) for char in data]
    expanded = [*(ord(char) >> 5 for char in prefix), 0, *(ord(char) & 31 for char in prefix)]
    if prefix != _PREFIX or min(values, default=-1) < 0 or checksum([*expanded, *values]) != 1:
        raise ValueError(f"{label!r} is no node id in bech32")
    bits = 0
    for value in values[:-_CHECKSUM_SIZE]:
        bits = bits << 5 | value
    spare = 5 * (len(values) - _CHECKSUM_SIZE) % 8
    node_id = (bits >> spare).to_bytes(5 * (len(values) - _CHECKSUM_SIZE) // 8, "big")
    if spare >= 5 or bits & ((1 << spare) - 1) or not is_point(node_id):
        raise ValueError(f"{label!r} is no node id")
    return node_id


def checksum(values: Iterable[int]) -> int:
    """Of 5-bit values; 1 for what is whole."""
    state = 1
    for value in values:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            state ^= generator if top >> bit & 1 else 0
    return state


async def bootstrap(request: Bootstrap, *, use_dns: bool, routable_only: bool) -> BootstrapReply:
    """Candidates, or for each seed why it gave none."""
    if not use_dns:
        return BootstrapReply([], [(seed, "DNS is disabled") for seed in request.seeds])
    try:
        nameserver = parse_address(request.nameserver, 53) if request.nameserver is not None else None
        return BootstrapReply(*await Seeds(nameserver, routable_only=routable_only).ask(request.seeds))
    except OSError as error:
        return BootstrapReply([], [(seed, str(error)) for seed in request.seeds])


class Seeds:
    """Asks seeds, by the system's resolver or by `nameserver`. Made on the running loop.

    `routable_only`: addresses that no stranger could have are passed over.
    """

    def __init__(self, nameserver: WireAddr | None, *, routable_only: bool, time: float = QUERY_TIME) -> None:
        """Raises OSError if the system has no resolver."""
        # 80 ms that most nodes never need: they know other nodes.
        from dns.asyncresolver import Resolver
        from dns.resolver import NoResolverConfiguration

        try:
            self._resolver = Resolver(configure=nameserver is None)
        except NoResolverConfiguration as error:
            raise OSError("this system has no resolver") from error
        if nameserver is not None:
            self._resolver.nameservers = [nameserver.host]
            self._resolver.port = nameserver.port
        self._resolver.use_edns(0, 0, UDP_SIZE)
        self._resolver.lifetime = time
        self._routable_only = routable_only
        self._slots = asyncio.Semaphore(QUERIES_AT_A_TIME)

    async def ask(self, seeds: Sequence[str]) -> tuple[list[Candidate], list[tuple[str, str]]]:
        """Nodes, each once with its first address, and (seed, reason) for each seed that gave none."""
        disbelieved = await self._addresses(f"{secrets.token_hex(8)}.doesntexist.")
        answers = await asyncio.gather(*(self._ask_one(seed, set(disbelieved)) for seed in seeds[:MAX_SEEDS]))
        found: dict[bytes, str] = {}
        failed: list[tuple[str, str]] = []
        for seed, (candidates, reason) in zip(seeds, answers, strict=False):
            for node_id, address in candidates:
                found.setdefault(node_id, address)
            if not candidates:
                failed.append((seed, reason))
        return list(found.items()), failed

    async def _ask_one(self, seed: str, disbelieved: set[str]) -> tuple[list[Candidate], str]:
        """A seed's candidates, and why there are none."""
        from dns.exception import DNSException

        try:
            answer = await self._query(f"{ALIAS}.{seed.rstrip('.')}.", "SRV")
        except DNSException as error:
            return [], _reason(error)
        records = list(answer)[:MAX_RECORDS]
        tried = await asyncio.gather(*(self._candidate(record, answer, seed, disbelieved) for record in records))
        candidates = [candidate for candidate in tried if candidate is not None]
        return candidates, f"{len(answer)} records, and none leads to a node"

    async def _candidate(self, record: Any, answer: "Answer", seed: str, disbelieved: set[str]) -> Candidate | None:
        """The node of one SRV record, if it is one."""
        label, _, parent = record.target.to_text(omit_final_dot=True).partition(".")
        try:
            node_id = node_id_of(label)
        except ValueError:
            return None
        if parent.lower() != seed.rstrip(".").lower() or not record.port:
            return None
        hosts = _additional(answer, record.target) or await self._addresses(record.target)
        for host in hosts:
            kind: Kind = "ipv6" if ":" in host else "ipv4"
            address = WireAddr(kind, host, record.port)
            if host not in disbelieved and (is_routable(address) or not self._routable_only):
                return node_id, str(address)
        return None

    async def _addresses(self, name: "str | Name") -> list[str]:
        """What a name resolves to, IPv6 first; nothing if it does not."""
        from dns.exception import DNSException

        found: list[str] = []
        for kind in ("AAAA", "A"):
            try:
                found += [record.address for record in await self._query(name, kind)]
            except DNSException:
                continue
        return found

    async def _query(self, name: "str | Name", kind: str) -> "Answer":
        async with self._slots:
            return await self._resolver.resolve(name, kind, search=False)


def _additional(answer: "Answer", name: "Name") -> list[str]:
    """The addresses that came along with the answer; in another class than IN an A record has another form."""
    from dns.rdataclass import IN
    from dns.rdatatype import AAAA, A

    sections = [each for each in answer.response.additional if each.name == name and each.rdclass == IN]
    return [
        record.address for kind in (AAAA, A) for section in sections if section.rdtype == kind for record in section
    ]


def _reason(error: Exception) -> str:
    """One for the operator; dnspython's own are a paragraph."""
    from dns.resolver import NXDOMAIN, LifetimeTimeout, NoAnswer

    match error:
        case NXDOMAIN():
            return "there is no such seed"
        case NoAnswer():
            return "it names no nodes"
        case LifetimeTimeout():
            return "no answer"
    return "it cannot be resolved"
