"""A real Bitcoin node in regtest (npm's bcoin, see bcoin/node.js), and channels that are funded on its chain."""

import functools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from tests.gossipd.messages import signed
from tests.interop.conftest import Program
from wire.gossip_v2.keys import multisig_script
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate
from wire.scid import make_scid
from wire.secp256k1 import double_sha256, public_key, sign
from wire.types import NETWORKS

BCOIN = ("bcoin@1.0.2",)
"""What npm is to install."""
PASSWORD = "open sesame"
SEGWIT = 432
"""Height from which its regtest chain knows P2WSH: three periods of 144 blocks."""
UNSIGNED = (bytes(64), bytes(64), bytes(64), bytes(64))
CHAIN = NETWORKS["regtest"]


class Bitcoin(Program):
    """The node. Its chain is in memory and ends with it."""

    def __init__(self, modules: Path, port: int = 0) -> None:
        script = Path(__file__).parent / "bcoin" / "node.js"
        super().__init__("node", script, modules, PASSWORD, str(port))
        assert self.process.stdout is not None
        self.port: int = json.loads(self.process.stdout.readline())["ok"]["port"]
        self.height = 0

    @property
    def options(self) -> tuple[str, ...]:
        """For a node of ours that is to follow this one."""
        where = (f"--bitcoin-rpcconnect=127.0.0.1:{self.port}", "--bitcoin-rpcuser=bitcoin")
        return (*where, f"--bitcoin-rpcpassword={PASSWORD}", "--dev-bitcoind-poll=1")

    def mine(self, count: int = 1) -> int:
        """So many blocks, with what waits for them in the first one; the new height."""
        self.height = self.ask("mine", count=count)["height"]
        return self.height

    def fork(self, height: int, count: int) -> int:
        """So many empty blocks on the one at this height, which become the best chain if they are more; the height."""
        self.height = self.ask("mine", **{"from": height, "count": count, "empty": True})["height"]
        return self.height

    def fund(self, channels: Sequence["Channel"], amount_sat: int = 100_000) -> list["Channel"]:
        """One block with a transaction that funds all of them: as they are then."""
        outputs = [[channel.script.hex(), amount_sat] for channel in channels]
        txid = self.ask("fund", outputs=outputs)["txid"]
        height = self.mine()
        return [replace(each, txid=txid, scid=make_scid(height, 1, number)) for number, each in enumerate(channels)]

    def spend(self, channel: "Channel", into: bytes = b"\x51", amount_sat: int = 90_000) -> None:
        """Spend its output in the next block."""
        keys = [secret.hex() for secret in sorted(channel.bitcoin_secrets, key=public_key)]
        output = channel.scid & 0xFFFF
        self.ask("spend", txid=channel.txid, output=output, secrets=keys, outputs=[[into.hex(), amount_sat]])


def secret(*words: object) -> bytes:
    """The same for the same words."""
    return sha256(repr(words).encode()).digest()


@functools.cache
def node_secret(number: int) -> bytes:
    """Of one of the nodes that have the channels."""
    return secret("node", number)


@dataclass(frozen=True)
class Channel:
    """A channel of two numbered nodes. `scid` and `txid` are known when it was funded."""

    number: int
    scid: int = 0
    txid: str = ""

    @property
    def bitcoin_secrets(self) -> tuple[bytes, bytes]:
        """Of both ends, in no order."""
        return secret("bitcoin", self.number, 0), secret("bitcoin", self.number, 1)

    @property
    def script(self) -> bytes:
        """What its output pays to."""
        one, two = map(public_key, self.bitcoin_secrets)
        return multisig_script(one, two)

    @property
    def node_secrets(self) -> tuple[bytes, bytes]:
        """node_id_1 and node_id_2."""
        one, two = node_secret(self.number % 20), node_secret(20 + self.number % 7)
        return (one, two) if public_key(one) < public_key(two) else (two, one)

    def announcement(self, bitcoin_secrets: tuple[bytes, bytes] | None = None) -> bytes:
        """The channel_announcement; with other bitcoin keys if a test wants it."""
        secrets = [*self.node_secrets, *(bitcoin_secrets or self.bitcoin_secrets)]
        message = ChannelAnnouncement(*UNSIGNED, b"", CHAIN, self.scid, *map(public_key, secrets))
        return signed(message, secrets)

    def update(self, direction: int = 0) -> bytes:
        """A channel_update of today."""
        fields = (int(time.time()), 1, direction, 40, 1, 1_000, 1, 10**8)
        message = ChannelUpdate(bytes(64), CHAIN, self.scid, *fields)
        signature = sign(self.node_secrets[direction], double_sha256(message.encode()[66:]))
        return replace(message, signature=signature).encode()

    def gossip(self) -> list[bytes]:
        """Announcement and both updates."""
        return [self.announcement(), self.update(0), self.update(1)]
