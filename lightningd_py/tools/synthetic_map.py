"""A made-up map of the network, validly signed and the same for the same seed: for tests, benchmarks and trying out.

The graph is drawn at random (a few nodes have most of the channels, as in the real one) or read from a topology file.
Keys come from the seed by hash; put no money on them. Addresses are of the ranges for documentation, so that
no node is dialled by mistake. As a tool: `python -m lightningd_py.tools.synthetic_map --help`.
"""

import argparse
import base64
import csv
import hashlib
import lzma
import multiprocessing
import random
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from gossipd.store.writer import GossipStore, StoreError
from wire.address import WireAddr, write_descriptor
from wire.features import Features
from wire.gossip_layout import GOSSIP_TYPES, UPDATE_BODY, node_timestamp
from wire.scid import make_scid
from wire.secp256k1 import double_sha256, public_key, sign
from wire.start.late_dataclass import dataclass
from wire.types import NETWORKS

TWO_WEEKS = 1_209_600
SAFETY = 43_200
"""Seconds: nothing is so old that it would be pruned within half a day."""
FIRST_BLOCK = 101
CHANNELS_PER_BLOCK = 20
BATCH_BYTES = 500_000

_CHANNEL_ANNOUNCEMENT, _NODE_ANNOUNCEMENT, _CHANNEL_UPDATE = (number.to_bytes(2, "big") for number in GOSSIP_TYPES)
_NODE_FEATURES = Features.of((1, 5, 7, 8, 11, 12, 14, 17, 19, 23, 25, 27, 39, 45, 47, 51)).to_bytes()
_ADJECTIVES = ("Quiet", "Brave", "Rusty", "Lunar", "Salty", "Tiny", "Grand", "Köln", "Lazy", "⚡Fast")
_NOUNS = ("Badger", "Lantern", "Harbor", "Anvil", "Tortoise", "Comet", "Bakery", "Otter", "Señal", "ノード")


class Policy(NamedTuple):
    """What one end asks for forwarding; the fields of a channel_update. BOLT 7."""

    disabled: int
    cltv_expiry_delta: int
    htlc_minimum_msat: int
    fee_base_msat: int
    fee_proportional_millionths: int
    htlc_maximum_msat: int


class Edge(NamedTuple):
    """A channel between two numbered nodes; `policies[0]` is node1's."""

    node1: int
    node2: int
    capacity_sat: int
    policies: tuple[Policy, Policy]


class SignedChannel(NamedTuple):
    """Raw messages of a channel; `timestamps` are those of the updates."""

    announcement: bytes
    updates: tuple[bytes, bytes]
    timestamps: tuple[int, int]
    capacity_sat: int


@dataclass(frozen=True, slots=True)
class SyntheticMap:
    """A graph with all that is needed to sign it. `now` is unix seconds: all timestamps are in the two weeks before."""

    edges: list[Edge]
    seed: int
    now: int
    chain_hash: bytes = NETWORKS["regtest"]

    def node_secret(self, node: int) -> bytes:
        """The secret key of a node."""
        return self.secret("node", node)

    def secret(self, what: str, number: int) -> bytes:
        """The secret key of something that has a number: `bitcoin 1` and `bitcoin 2` are those of channels."""
        return _secret(self.seed, what, number)

    def node_numbers(self) -> list[int]:
        """All nodes, in order."""
        return sorted({node for edge in self.edges for node in edge[:2]})

    def channels(self, processes: int = 1) -> Iterator[SignedChannel]:
        """Each channel signed, with growing scids. With several processes four times as many are made at once."""
        secrets = {node: (self.node_secret(node), public_key(self.node_secret(node))) for node in self.node_numbers()}
        jobs = ((number, edge, secrets[edge.node1], secrets[edge.node2]) for number, edge in enumerate(self.edges))
        yield from _spread(partial(_sign_channel, self.seed, self.now, self.chain_hash), jobs, processes)

    def node_announcements(self, processes: int = 1) -> Iterator[bytes]:
        """One raw node_announcement for each node."""
        yield from _spread(partial(_sign_node, self.seed, self.now), self.node_numbers(), processes)

    def channel(self, number: int) -> SignedChannel:
        """One channel, signed as among `channels`."""
        edge = self.edges[number]
        return _sign_channel(self.seed, self.now, self.chain_hash, (number, edge, *self._keys(edge)))

    def update(self, number: int, direction: int, timestamp: int, fee_proportional_millionths: int) -> bytes:
        """A later channel_update of a channel: as the first one but for its timestamp and this fee."""
        edge = self.edges[number]
        keys, policies = sorted(self._keys(edge), key=lambda key: key[1]), list(edge.policies)
        if self._keys(edge)[0] != keys[0]:
            policies.reverse()
        policy = policies[direction]._replace(fee_proportional_millionths=fee_proportional_millionths)
        scid = scid_of(number)
        secret = keys[direction][0]
        return _sign_update(secret, self.chain_hash, scid, timestamp, direction, policy, edge.capacity_sat)

    def node_announcement(self, node: int, timestamp: int) -> bytes:
        """A later node_announcement of a node: as the first one but for its timestamp."""
        return _sign_node(self.seed, self.now, node, timestamp)

    def _keys(self, edge: Edge) -> tuple["_Key", "_Key"]:
        first, second = ((secret, public_key(secret)) for secret in map(self.node_secret, edge[:2]))
        return first, second

    def messages(self, processes: int = 1) -> Iterator[bytes]:
        """All raw messages in an order that a peer accepts: each channel with its updates, then the nodes."""
        for channel in self.channels(processes):
            yield channel.announcement
            yield from channel.updates
        yield from self.node_announcements(processes)

    def write_store(self, store: GossipStore, processes: int = 1) -> None:
        """Append all to a gossip_store, capacities included."""
        for channel in self.channels(processes):
            store.append_channel(channel.announcement, channel.timestamps[0], channel.capacity_sat)
            for update, timestamp in zip(channel.updates, channel.timestamps, strict=True):
                store.append(update, timestamp)
            if store.size - store.end > BATCH_BYTES:
                store.flush()
        for message in self.node_announcements(processes):
            store.append(message, node_timestamp(message))
        store.flush()


def scid_of(number: int) -> int:
    """The short_channel_id of the channel with that number."""
    return make_scid(FIRST_BLOCK + number // CHANNELS_PER_BLOCK, 1 + number % CHANNELS_PER_BLOCK, number % 2)


def generate(
    seed: int, channels: int, nodes: int, now: int, chain_hash: bytes = NETWORKS["regtest"]
) -> Iterator[bytes]:
    """Raw signed messages of a random map, see SyntheticMap.messages. ValueError if the nodes cannot be connected."""
    return SyntheticMap(random_edges(seed, channels, nodes), seed, now, chain_hash).messages()


def random_edges(seed: int, channels: int, nodes: int) -> list[Edge]:
    """A connected graph in which a node that has channels gets more. ValueError if there are too few channels."""
    if nodes < 2 or channels < nodes - 1:
        raise ValueError("a map needs two nodes or more, and at most one node more than it has channels")
    chance = _chance(seed, "graph", 0)
    ends = [0]
    edges = []
    for number in range(channels):
        node = number + 1 if number + 1 < nodes else chance.randrange(nodes)
        other = chance.choice(ends)
        while other == node:
            other = chance.choice(ends)
        ends += [node, other]
        capacity_sat = int(10 ** chance.uniform(5, 8))
        edges.append(Edge(node, other, capacity_sat, (_random_policy(chance), _random_policy(chance))))
    return edges


def read_topology(path: Path) -> list[Edge]:
    """The edges of a CSV file with a heading, .xz or plain: node1, node2, capacity_sat, then the Policy of each.

    Raises OSError, and ValueError for what is no such file.
    """
    with lzma.open(path, "rt") if path.suffix == ".xz" else path.open() as lines:
        rows = csv.reader(lines)
        try:
            next(rows, None)
            numbers = (list(map(int, row)) for row in rows)
            return [Edge(row[0], row[1], row[2], (Policy(*row[3:9]), Policy(*row[9:]))) for row in numbers]
        except (TypeError, ValueError, IndexError, EOFError, lzma.LZMAError) as error:
            raise ValueError(f"{path} is no topology file: line {rows.line_num}: {error}") from error


def _random_policy(chance: random.Random) -> Policy:
    base = chance.choice((0, 0, 0, 1, 1000, 1000))
    ppm = int(10 ** chance.uniform(0, 3.5))
    return Policy(chance.random() < 0.1, chance.choice((34, 40, 80, 144)), chance.choice((1, 1000)), base, ppm, 1 << 40)


def _chance(seed: int, what: str, number: int) -> random.Random:
    return random.Random(f"{seed}/{what}/{number}")  # noqa: S311 - it is to be predictable


def _secret(seed: int, what: str, number: int) -> bytes:
    return hashlib.sha256(f"lightningd-py synthetic map/{seed}/{what}/{number}".encode()).digest()


def _timestamp(chance: random.Random, now: int) -> int:
    return now - chance.randrange(TWO_WEEKS - SAFETY)


J = TypeVar("J")
R = TypeVar("R")
_Key = tuple[bytes, bytes]
_Job = tuple[int, Edge, _Key, _Key]


def _sign_channel(seed: int, now: int, chain_hash: bytes, job: _Job) -> SignedChannel:
    """BOLT 7: the signatures are over all that follows them; node_id_1 is the lesser key, direction 0 is its own."""
    number, edge, *keys = job
    policies = list(edge.policies)
    if keys[0][1] > keys[1][1]:
        keys.reverse()
        policies.reverse()
    scid = scid_of(number)
    bitcoin_secrets = [_secret(seed, f"bitcoin {side}", number) for side in (1, 2)]
    points = keys[0][1] + keys[1][1] + b"".join(map(public_key, bitcoin_secrets))
    body = b"\x00\x00" + chain_hash + scid.to_bytes(8, "big") + points
    digest = double_sha256(body)
    signatures = b"".join(sign(secret, digest) for secret in (keys[0][0], keys[1][0], *bitcoin_secrets))
    chance = _chance(seed, "channel", number)
    timestamps = (_timestamp(chance, now), _timestamp(chance, now))
    updates = [
        _sign_update(keys[direction][0], chain_hash, scid, timestamps[direction], direction, policy, edge.capacity_sat)
        for direction, policy in enumerate(policies)
    ]
    announcement = _CHANNEL_ANNOUNCEMENT + signatures + body
    return SignedChannel(announcement, (updates[0], updates[1]), timestamps, edge.capacity_sat)


def _sign_update(
    secret: bytes, chain_hash: bytes, scid: int, timestamp: int, direction: int, policy: Policy, capacity_sat: int
) -> bytes:
    maximum = max(1, min(policy.htlc_maximum_msat, capacity_sat * 1000))
    body = UPDATE_BODY.pack(
        chain_hash,
        scid,
        timestamp,
        1,  # must_be_one
        direction | policy.disabled << 1,
        policy.cltv_expiry_delta,
        min(policy.htlc_minimum_msat, maximum),
        policy.fee_base_msat,
        policy.fee_proportional_millionths,
        maximum,
    )
    return _CHANNEL_UPDATE + sign(secret, double_sha256(body)) + body


def _sign_node(seed: int, now: int, node: int, timestamp: int | None = None) -> bytes:
    chance = _chance(seed, "node", node)
    secret = _secret(seed, "node", node)
    alias = f"{chance.choice(_ADJECTIVES)}{chance.choice(_NOUNS)}{node}".encode()[:32].ljust(32, b"\0")
    addresses = b"".join(map(write_descriptor, _addresses(chance, node)))
    at = _timestamp(chance, now)
    at = at if timestamp is None else timestamp
    body = len(_NODE_FEATURES).to_bytes(2, "big") + _NODE_FEATURES + at.to_bytes(4, "big")
    body += public_key(secret) + chance.randbytes(3) + alias + len(addresses).to_bytes(2, "big") + addresses
    return _NODE_ANNOUNCEMENT + sign(secret, double_sha256(body)) + body


def _addresses(chance: random.Random, node: int) -> Iterator[WireAddr]:
    """In ascending order of their types; one node in ten or so has none."""
    if chance.random() < 0.6:
        yield WireAddr("ipv4", f"203.0.113.{chance.randrange(1, 255)}", chance.randrange(1024, 65536))
    if chance.random() < 0.1:
        yield WireAddr("ipv6", f"2001:db8::{chance.randrange(1, 65536):x}", 9735)
    if chance.random() < 0.6:
        yield WireAddr("torv3", _onion(chance.randbytes(32)), 9735)
    if chance.random() < 0.05:
        yield WireAddr("dns", f"node{node}.example", 9735)


def _onion(key: bytes) -> str:
    """Tor's rend-spec-v3: key, checksum, version."""
    checksum = hashlib.sha3_256(b".onion checksum" + key + b"\x03").digest()[:2]
    return base64.b32encode(key + checksum + b"\x03").decode().lower() + ".onion"


def _spread(function: Callable[[J], R], jobs: Iterable[J], processes: int) -> Iterator[R]:
    """map() in the order of the jobs, over several processes if asked."""
    if processes == 1:
        yield from map(function, jobs)
        return
    # A pool ends its processes by SIGTERM; a caller that handles it would have its handler in them, too.
    default = (signal.SIGTERM, signal.SIG_DFL)
    pool = multiprocessing.get_context("fork").Pool(processes, initializer=signal.signal, initargs=default)
    try:
        yield from pool.imap(function, jobs, chunksize=64)
    finally:
        pool.terminate()
        pool.join()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lightningd_py.tools.synthetic_map",
        description="Make a validly signed map of a Lightning network that does not exist, always the same for the "
        "same arguments, as a gossip_store or as lines of hex.",
        epilog="example: python -m lightningd_py.tools.synthetic_map --channels 1000 --nodes 300 --store gossip_store",
    )
    parser.add_argument("--channels", type=int, metavar="N", help="how many channels (default 1000; all of --topology)")
    parser.add_argument("--nodes", type=int, metavar="N", help="how many nodes (default a third of the channels)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="another number, another map (default 1)")
    parser.add_argument(
        "--topology",
        type=Path,
        metavar="FILE",
        help="take the graph from a CSV file (may end in .xz) with a heading and the columns node1, node2, "
        "capacity_sat, then for each direction disabled, cltv_delta, htlc_min_msat, base_msat, ppm, htlc_max_msat; "
        "--channels N takes its first N rows",
    )
    parser.add_argument(
        "--now", type=int, metavar="T", help="unix time that all timestamps are at most two weeks before (default: now)"
    )
    parser.add_argument("--network", choices=NETWORKS, default="regtest", help="whose chain_hash (default regtest)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="sign in so many processes (default 1)")
    output = parser.add_mutually_exclusive_group(required=True)
    output.add_argument("--store", type=Path, metavar="FILE", help="write a new gossip_store, capacities included")
    output.add_argument("--hex", metavar="FILE", help="write each raw message as a line of hex; - is standard output")
    return parser


def _edges_of(options: argparse.Namespace) -> list[Edge]:
    if options.topology is None:
        channels = 1000 if options.channels is None else options.channels
        return random_edges(options.seed, channels, channels // 3 if options.nodes is None else options.nodes)
    if options.nodes is not None:
        raise ValueError("--nodes cannot be given with --topology, which says who is a node")
    return read_topology(options.topology)[: options.channels]


def _write_hex(made: SyntheticMap, name: str, processes: int) -> None:
    with nullcontext(sys.stdout) if name == "-" else Path(name).open("w") as out:
        for message in made.messages(processes):
            out.write(message.hex() + "\n")


def _write_store(made: SyntheticMap, path: Path, processes: int) -> None:
    if path.exists():
        raise ValueError(f"{path} exists already")
    store = GossipStore.open(path)
    try:
        made.write_store(store, processes)
    finally:
        store.close()


def main(arguments: list[str] | None = None) -> None:
    """The tool. Ends with status 2 and one sentence where something is wrong."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        now = int(time.time()) if options.now is None else options.now
        made = SyntheticMap(_edges_of(options), options.seed, now, NETWORKS[options.network])
        if options.store is not None:
            _write_store(made, options.store, options.processes)
        else:
            _write_hex(made, options.hex, options.processes)
    except (ValueError, OSError, StoreError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
