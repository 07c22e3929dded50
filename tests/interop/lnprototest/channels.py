"""Channels of nodes that do not exist, and their gossip as lnprototest makes and signs it."""

import hashlib
import io
import time
from typing import Any

import crc32c
from lnprototest import Event, ExpectMsg, Funding, RawMsg, Side, Sig
from phrases import REGTEST, Check, Events, fields
from pyln.proto.message import Message

NOW = int(time.time())
CAPACITY = 1_000_000
FEES = {"cltv_expiry_delta": 144, "htlc_minimum_msat": 0, "fee_base_msat": 1000, "fee_proportional_millionths": 10}
MOST = 900_000_000
TYPE_SIZE, SIGNATURE_SIZE, CHAIN_AND_SCID_SIZE, TIME_SIZE = 2, 64, 40, 4


class Channel:
    """Between nodes 1 and 2, in the order of their keys, whose secrets are made of the channel's number."""

    def __init__(self, number: int, chain_hash: str = REGTEST) -> None:
        self.scid = f"{100 + number}x1x0"
        keys = (f"{number:02x}{role:02x}" for role in (0xA1, 0xB1, 0xA2, 0xB2))
        self.funding = Funding("00" * 32, 0, CAPACITY, *keys, chain_hash=chain_hash)
        self.sides = self.funding.node_id_sort(Side.local, Side.remote)
        self.node_secrets = [key.secret.hex() for key in self.funding.node_id_privkeys()]

    def announcement(self, features: str = "") -> Message:
        """The channel_announcement, well signed."""
        return self.funding.channel_announcement(self.scid, features)

    def update(self, direction: int, timestamp: int = NOW, **changes: Any) -> Message:
        """The channel_update of node 1 (0) or 2 (1), well signed."""
        side = self.sides[direction]
        return self.funding.channel_update(
            self.scid, side, disable=False, timestamp=timestamp, htlc_maximum_msat=MOST, **FEES | changes
        )

    def node(self, index: int, timestamp: int = NOW, alias: str = "somebody") -> Message:
        """The node_announcement of node 1 (0) or 2 (1), well signed."""
        return self.funding.node_announcement(self.sides[index], "", (1, 2, 3), alias, b"", timestamp)

    def everything(self, timestamp: int = NOW) -> list[Message]:
        """Announcement, both updates, both nodes."""
        return [
            self.announcement(),
            *(self.update(direction, timestamp) for direction in (0, 1)),
            *(self.node(index, timestamp) for index in (0, 1)),
        ]


def resigned(message: Message, secret: str, **changes: Any) -> Message:
    """A node's message with other fields, and its signature over those."""
    for field, value in changes.items():
        message.set_field(field, value)
    body = encoded(message)[TYPE_SIZE + SIGNATURE_SIZE :]
    message.set_field("signature", Sig(secret, hashlib.sha256(hashlib.sha256(body).digest()).hexdigest()))
    return message


def spoilt(message: Message, field: str) -> Message:
    """With a signature there that is one of something else."""
    signature = message.fields[field]
    message.set_field(field, Sig(signature.privkey.secret.hex(), bytes(31 - i for i in range(32)).hex()))
    return message


def encoded(message: Message) -> bytes:
    """As on the wire."""
    out = io.BytesIO()
    message.write(out)
    return out.getvalue()


def checksum(update: Message) -> int:
    """CRC-32C of an update without its signature and its timestamp. BOLT 7, Query Messages."""
    body = encoded(update)[TYPE_SIZE + SIGNATURE_SIZE :]
    return int(crc32c.crc32c(body[:CHAIN_AND_SCID_SIZE] + body[CHAIN_AND_SCID_SIZE + TIME_SIZE :]))


def say(*messages: Message, conn: str | None = None) -> Events:
    """Each of them, by this peer."""
    return [RawMsg(message, connprivkey=conn) for message in messages]


def hear(*messages: Message, conn: str | None = None) -> Events:
    """These and no others, in this order, byte for byte."""
    return [
        ExpectMsg(message.messagetype.name, connprivkey=conn, if_match=_is(message), **_key(message))
        for message in messages
    ]


def _key(message: Message) -> dict[str, Any]:
    """What tells an announcement from others: that is compared first, and makes AnyOrder possible."""
    names = {"node_announcement": ("node_id", "timestamp"), "channel_announcement": ("short_channel_id",)}
    update = ("short_channel_id", "channel_flags", "timestamp")
    told = message.to_py()
    return {name: told[name] for name in names.get(message.messagetype.name, update)}


def _is(message: Message) -> Check:
    """`if_match` for one that is the same to the last byte; ECDSA here is deterministic."""
    wanted = encoded(message)

    def if_match(event: Event, heard: Message, runner: Any) -> None:
        fields(lambda _: encoded(heard) == wanted, f"not {wanted.hex()}")(event, heard, runner)

    return if_match


class NodeKnows(Event):  # type: ignore[misc]
    """Wait until the node's listchannels has so many directions of a channel."""

    def __init__(self, channel: Channel, directions: int = 2) -> None:
        super().__init__()
        self.scid = channel.scid
        self.directions = directions

    def action(self, runner: Any) -> bool:
        """Poll. Raises EventError."""
        runner.wait_for(
            self,
            f"{self.directions} directions of {self.scid}",
            lambda: len(runner.rpc.listchannels(self.scid)["channels"]) == self.directions,
        )
        return True
