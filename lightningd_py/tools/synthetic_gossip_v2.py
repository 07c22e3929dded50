"""The channels and nodes of a made-up map, announced by gossip v2: validly signed, the same for the same seed.

As a tool: `python -m lightningd_py.tools.synthetic_gossip_v2 --help`.

A signer that has all secrets of a channel needs no MuSig2 to sign for the sum of their keys: one BIP 340 signature by
the sum of the secrets is what the partial signatures of four signers would come to.
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from lightningd_py.tools.synthetic_map import FIRST_BLOCK, Edge, SyntheticMap, random_edges, scid_of
from wire.gossip_v2.keys import P2TR, multisig_script, taproot_script
from wire.gossip_v2.messages import (
    INCOMING,
    OUTGOING,
    ChannelAnnouncement2,
    ChannelUpdate2,
    NodeAnnouncement2,
    Outpoint,
)
from wire.gossip_v2.records import number_of, read_records, tagged_digest
from wire.gossip_v2.signatures import digest_of
from wire.scid import block_of, output_of
from wire.secp256k1 import public_key, sign_schnorr
from wire.start.late_dataclass import dataclass
from wire.types import NETWORKS

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of secp256k1's group."""
P2WSH, TAPROOT, TWEAKED, KEYLESS = FUNDINGS = ("p2wsh", "taproot", "tweaked", "keyless")
"""What an output pays to: a 2-of-2; the sum of both bitcoin keys; the same with a merkle root; a key of which nothing
is said, which only the chain knows."""
PROVABLE = (P2WSH, TAPROOT, TWEAKED)
"""By their signatures alone."""
SPREAD = 144
"""Blocks over which the block heights of a map are spread."""

M = TypeVar("M", ChannelAnnouncement2, NodeAnnouncement2, ChannelUpdate2)


class SignedChannel2(NamedTuple):
    """Raw messages of a channel, and what the chain would say of its output."""

    announcement: bytes
    updates: tuple[bytes, bytes]
    script: bytes
    capacity_sat: int


def sum_of_secrets(secrets: Sequence[bytes]) -> bytes:
    """The secret of KeyAgg(KeySort()) of their points. BIP 327."""
    signers = sorted((public_key(secret), secret) for secret in secrets)
    points = [point for point, _ in signers]
    listed = tagged_digest("KeyAgg list", b"".join(points))
    second = next((point for point in points if point != points[0]), None)
    total = 0
    for point, secret in signers:
        factor = 1 if point == second else int.from_bytes(tagged_digest("KeyAgg coefficient", listed + point), "big")
        total += factor * int.from_bytes(secret, "big")
    return (total % ORDER).to_bytes(32, "big")


def even_secret(secret: bytes) -> bytes:
    """The secret whose point has the same x and an even y."""
    return secret if public_key(secret)[0] == 2 else (ORDER - int.from_bytes(secret, "big")).to_bytes(32, "big")


def signed(message: M, secret: bytes) -> M:
    """The message with its signature. `secret`: of all who sign, in sum."""
    raw = message.encode()
    message.signature = sign_schnorr(secret, digest_of(number_of(raw), read_records(raw)))
    return message


@dataclass(frozen=True, slots=True)
class SyntheticGossip2:
    """Gossip v2 of a made-up map. `height`: where its chain ends; no block height is above it."""

    made: SyntheticMap
    height: int
    fundings: tuple[str, ...] = PROVABLE
    """Of the channels in turn."""

    def channel(self, number: int) -> SignedChannel2:
        """A channel with both of its updates."""
        edge = self.made.edges[number]
        ends = sorted(zip(map(self._key, edge[:2]), edge.policies, strict=True))
        announcement, script = self._announcement(number, edge, [secret for (_, secret), _ in ends])
        updates = [self.update(number, direction, self._height_of(number)) for direction in (0, 1)]
        return SignedChannel2(announcement, (updates[0], updates[1]), script, edge.capacity_sat)

    def update(self, number: int, direction: int, block_height: int) -> bytes:
        """A channel_update_2 of a channel; those with other block heights are newer or older ones."""
        edge = self.made.edges[number]
        (_, secret), policy = sorted(zip(map(self._key, edge[:2]), edge.policies, strict=True))[direction]
        message = ChannelUpdate2(
            chain_hash=self.made.chain_hash,
            short_channel_id=(direction, scid_of(number)),
            block_height=block_height,
            disable_flags=INCOMING | OUTGOING if policy.disabled else None,
            cltv_expiry_delta=policy.cltv_expiry_delta,
            htlc_minimum_msat=policy.htlc_minimum_msat,
            htlc_maximum_msat=min(policy.htlc_maximum_msat, edge.capacity_sat * 1000),
            fee_base_msat=policy.fee_base_msat,
            fee_proportional_millionths=policy.fee_proportional_millionths,
            signature=bytes(64),
        )
        return signed(message, secret).encode()

    def node_announcement(self, node: int, block_height: int) -> bytes:
        """A node_announcement_2 of a node."""
        node_id, secret = self._key(node)
        message = NodeAnnouncement2(
            features=b"\x80",
            color=node_id[1:4],
            block_height=block_height,
            alias=f"Ünlit {node}",
            node_id=node_id,
            ipv4_addrs=[(bytes([203, 0, 113, 1 + node % 250]), 9735)],
            tor_v3_addrs=[(hashlib.sha256(node_id).digest() + b"\0\0\3", 9735)] if node % 2 else None,
            signature=bytes(64),
        )
        return signed(message, secret).encode()

    def messages(self) -> Iterator[bytes]:
        """All of it in an order that a peer accepts: each channel with its updates, then the nodes."""
        for number in range(len(self.made.edges)):
            channel = self.channel(number)
            yield channel.announcement
            yield from channel.updates
        for node in self.made.node_numbers():
            yield self.node_announcement(node, self._height_of(node))

    def _announcement(self, number: int, edge: Edge, node_secrets: list[bytes]) -> tuple[bytes, bytes]:
        """The message, and the output's script."""
        scid, funding = scid_of(number), self.fundings[number % len(self.fundings)]
        owners = [self.made.secret(f"bitcoin {side}", number) for side in (1, 2)]
        first, second = map(public_key, owners)
        root = tagged_digest("synthetic", scid.to_bytes(8, "big")) if funding == TWEAKED else None
        signers, script = [*node_secrets, *owners], _SCRIPTS[funding](first, second, root)
        if funding == KEYLESS:
            signers = [*node_secrets, even_secret(owners[0])]
        message = ChannelAnnouncement2(
            chain_hash=self.made.chain_hash,
            features=None,
            short_channel_id=scid,
            capacity_satoshis=edge.capacity_sat,
            node_id_1=public_key(node_secrets[0]),
            node_id_2=public_key(node_secrets[1]),
            bitcoin_key_1=None if funding == KEYLESS else first,
            bitcoin_key_2=None if funding == KEYLESS else second,
            merkle_root_hash=root,
            outpoint=Outpoint(tagged_digest("synthetic txid", scid.to_bytes(8, "big")), output_of(scid)),
            signature=bytes(64),
        )
        return signed(message, sum_of_secrets(signers)).encode(), script

    def _height_of(self, number: int) -> int:
        """A block height that is not always the same, after the channel's own block."""
        return max(
            self.height - number % SPREAD, min(self.height, block_of(scid_of(len(self.made.edges)))), FIRST_BLOCK
        )

    def _key(self, node: int) -> tuple[bytes, bytes]:
        secret = self.made.node_secret(node)
        return public_key(secret), secret


def _taproot(first: bytes, second: bytes, root: bytes | None) -> bytes:
    script = taproot_script(first, second, root)
    assert script is not None
    return script


_SCRIPTS: dict[str, Callable[[bytes, bytes, bytes | None], bytes]] = {
    P2WSH: lambda first, second, _: multisig_script(first, second),
    TAPROOT: _taproot,
    TWEAKED: _taproot,
    KEYLESS: lambda first, *_: P2TR + first[1:],
}


def main(arguments: list[str] | None = None) -> None:
    """The tool. Ends with status 2 and one sentence where something is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m lightningd_py.tools.synthetic_gossip_v2",
        description="Make validly signed gossip v2 of a network that does not exist, always the same for the same "
        "arguments, a line of hex a message. It announces the channels of synthetic_map's map with the same arguments.",
        epilog="example: python -m lightningd_py.tools.synthetic_gossip_v2 --channels 100 --nodes 30 --height 900000",
    )
    parser.add_argument("--channels", type=int, default=1000, metavar="N", help="how many channels (default 1000)")
    parser.add_argument("--nodes", type=int, metavar="N", help="how many nodes (default a third of the channels)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="another number, another map (default 1)")
    parser.add_argument("--height", type=int, default=1_000, metavar="H", help="where the chain ends (default 1000)")
    parser.add_argument("--network", choices=NETWORKS, default="regtest", help="whose chain_hash (default regtest)")
    parser.add_argument("--keyless", action="store_true", help="channels without bitcoin keys among them, too")
    options = parser.parse_args(arguments)
    try:
        edges = random_edges(options.seed, options.channels, options.nodes or options.channels // 3)
    except ValueError as error:
        parser.error(str(error))
    made = SyntheticMap(edges, options.seed, int(time.time()), NETWORKS[options.network])
    fundings = FUNDINGS if options.keyless else PROVABLE
    for message in SyntheticGossip2(made, options.height, fundings).messages():
        sys.stdout.write(message.hex() + "\n")


if __name__ == "__main__":
    main()
