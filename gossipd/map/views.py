"""The objects that the gossmap library gives out: a channel, one direction of it, a node.

Light views of raw messages in a store: made when asked for, decoded when a property is read, and good for as long as
they are kept, whatever becomes of the map or the file's name meanwhile. Everything a stranger wrote is data: no
property raises over it; StoreError only if the file was cut, or written over, under them, and OSError from the disk.
"""

from typing import NamedTuple

from gossipd.store.read_only import Ahead, StoreFile
from gossipd.store.records import DYING
from wire.address import WireAddr, read_descriptors
from wire.command.text import escaped
from wire.cursor import WireError
from wire.gossip_layout import (
    BODY_ADDRLEN,
    BODY_ALIAS,
    BODY_NODE_ID,
    BODY_RGB,
    CHANNEL_ANNOUNCEMENT,
    CHANNEL_UPDATE,
    NODE_FEATURES,
    UPDATE_MAXIMUM,
    UPDATE_POLICY,
    UPDATE_POLICY_MAXIMUM,
    UPDATE_SIZE,
    UPDATE_TIMESTAMP,
    channel_features,
    channel_scid,
    node_addresses,
    node_body,
    node_features,
    update_scid,
)


def sane_alias(alias: bytes) -> str:
    """A node's alias as text that can be shown: UTF-8, with \\xNN for each byte that is none or not safe to show."""
    return escaped(alias.rstrip(b"\0"))


class Direction(NamedTuple):
    """One end's channel_update: the fields of BOLT 7 in its order, and the raw message. Amounts in msat.

    `htlc_maximum_msat` is None in updates of before 2022 that do not say it; stores of versions up to 13 may have them.
    """

    timestamp: int
    message_flags: int
    channel_flags: int
    cltv_expiry_delta: int
    htlc_minimum_msat: int
    fee_base_msat: int
    fee_proportional_millionths: int
    htlc_maximum_msat: int | None
    raw: bytes

    @property
    def disabled(self) -> bool:
        """This end does not forward at the moment."""
        return bool(self.channel_flags & 2)

    def may_route(self, capacity_sat: int | None) -> bool:
        """Whether a payment may be led this way: not if this end is off, or its maximum is below its minimum or above
        the channel's capacity (B7-85). A capacity of None is not known, and nothing is held against it.
        """
        if self.disabled or self.htlc_maximum_msat is None:
            return not self.disabled
        capacity_msat = None if capacity_sat is None else capacity_sat * 1_000
        return self.htlc_minimum_msat <= self.htlc_maximum_msat and (
            capacity_msat is None or self.htlc_maximum_msat <= capacity_msat
        )


class Channel:
    """An announced channel. `node_ids` are node_id_1 and node_id_2; direction 0 is from the first to the second.

    `capacity_sat` is None where the store does not know it; `dying_at` the blockheight at which a spent channel is to
    be forgotten, else None.
    """

    __slots__ = ("_announcement", "_file", "_updates", "capacity_sat", "dying_at", "node_ids", "short_channel_id")

    def __init__(
        self,
        file: StoreFile | Ahead,
        short_channel_id: int,
        node_ids: tuple[bytes, bytes],
        offsets: tuple[int, int, int],
        capacity_sat: int | None,
        dying_at: int | None,
    ) -> None:
        """`offsets`: of the announcement's record and of the two updates', 0 for none."""
        self._file = file
        self.short_channel_id = short_channel_id
        self.node_ids = node_ids
        self._announcement, *self._updates = offsets
        self.capacity_sat = capacity_sat
        self.dying_at = dying_at

    @property
    def announcement(self) -> bytes:
        """The raw channel_announcement."""
        return self._file.message(self._announcement, CHANNEL_ANNOUNCEMENT, channel_scid, self.short_channel_id)

    @property
    def features(self) -> bytes:
        """The feature bits of its announcement, big-endian."""
        return channel_features(self.announcement)

    @property
    def is_dying(self) -> bool:
        """Whether its output is spent. Read each time from the record's flags; StoreError if the file was cut."""
        return bool(self._file.flags(self._announcement) & DYING) or self.dying_at is not None

    def direction(self, number: int) -> Direction | None:
        """The newest update from node_ids[number], or None if there was none. `number` is 0 or 1."""
        offset = self._updates[number]
        if not offset:
            return None
        raw = self._file.message(offset, CHANNEL_UPDATE, update_scid, self.short_channel_id)
        if len(raw) >= UPDATE_SIZE:
            return Direction._make((*UPDATE_POLICY_MAXIMUM.unpack_from(raw, UPDATE_TIMESTAMP), raw))
        if len(raw) < UPDATE_MAXIMUM:
            raise self._file.damage(offset)
        return Direction._make((*UPDATE_POLICY.unpack_from(raw, UPDATE_TIMESTAMP), None, raw))


class Node:
    """A node that has channels. What it announced is empty, or None, where it has announced nothing."""

    __slots__ = ("announcement", "channel_count", "node_id")

    def __init__(self, node_id: bytes, announcement: bytes, channel_count: int) -> None:
        """`announcement`: the raw node_announcement, or b""."""
        self.node_id = node_id
        self.announcement = announcement
        self.channel_count = channel_count

    @property
    def features(self) -> bytes:
        """The feature bits, big-endian."""
        return node_features(self.announcement) if self._body else b""

    @property
    def timestamp(self) -> int | None:
        """Unix seconds of its announcement, by its own clock."""
        return int.from_bytes(self._body[:BODY_NODE_ID], "big") if self.announcement else None

    @property
    def color(self) -> bytes:
        """Red, green, blue."""
        return self._body[BODY_RGB:BODY_ALIAS]

    @property
    def alias(self) -> str:
        """The name as text that can be shown, see sane_alias. Any node may take any name."""
        return sane_alias(self.alias_bytes)

    @property
    def alias_bytes(self) -> bytes:
        """The 32 bytes as they were announced."""
        return self._body[BODY_ALIAS:BODY_ADDRLEN]

    @property
    def addresses(self) -> list[WireAddr]:
        """Where it says it can be reached; none if what it says is cut off."""
        try:
            return read_descriptors(node_addresses(self.announcement)) if self._body else []
        except WireError:
            return []

    @property
    def _body(self) -> bytes:
        """From the timestamp on; empty if the announcement is cut before it."""
        raw = self.announcement
        return raw[node_body(raw) :] if len(raw) >= NODE_FEATURES else b""
