"""Channels of our own that only their two ends know, or of which the peer says something for us alone.

A channel_update of such a channel, from the peer itself and rightly signed, goes up to the service that has the
channel, and nowhere else: not into the map, and not to other peers. BOLT 7, The channel_update Message (B7-79).
"""

from collections.abc import Callable
from typing import Protocol

from gossipd.ingest.signatures import GOOD
from gossipd.ingest.updates import MAX_FUTURE
from gossipd.verdict import Consequence, Judge, PeerFault
from wire.control.control_wire import LocalChannel, RemoteChannelUpdate
from wire.control.status import Status
from wire.peer_wire import ChannelUpdate
from wire.scid import scid_to_text
from wire.start.late_dataclass import dataclass

status = Status("gossipd")


@dataclass(slots=True)
class _Known:
    """`newest`: the timestamp of the last update that came, be it still in its check."""

    channel: LocalChannel
    newest: int = 0


class Signatures(Protocol):
    """The signature stage."""

    def submit(self, message: bytes, key: bytes, verdict: Callable[[int], None]) -> None:
        """Check a message; `verdict` gets GOOD, or which signature is wrong."""


class Around(Protocol):
    """What local channels need of the daemon."""

    chain_hash: bytes

    def now(self) -> float:
        """Unix seconds."""

    @property
    def signatures(self) -> Signatures:
        """Where a message is checked."""

    @property
    def judge(self) -> Judge:
        """Hears of a connection's offence."""

    def tell(self, message: RemoteChannelUpdate) -> None:
        """Say this to the master."""


class LocalChannels:
    """The channels that the master has named and not taken back."""

    def __init__(self, our_id: bytes, around: Around) -> None:
        """`our_id`: our node_id."""
        self._our_id = our_id
        self._around = around
        self._known: dict[int, _Known] = {}

    def __contains__(self, scid: int) -> bool:
        return scid in self._known

    def change(self, added: list[LocalChannel], removed: list[int]) -> None:
        """These are new or different, and those are none any more."""
        for scid in removed:
            self._known.pop(scid, None)
        for channel in added:
            known = self._known.get(channel.short_channel_id)
            same_peer = known is not None and known.channel.node_id == channel.node_id
            newest = known.newest if known is not None and same_peer else 0
            self._known[channel.short_channel_id] = _Known(channel, newest)

    def receive(self, message: bytes, peer_id: bytes, conn_id: int) -> None:
        """A channel_update that is not for the map. Nothing happens if it is not of a local channel's other end."""
        if not self._known:
            return
        update = ChannelUpdate.decode(message)
        known = self._known.get(update.short_channel_id)
        if known is None or not self._is_wanted(update, known, peer_id):
            return
        known.newest = update.timestamp
        self._around.signatures.submit(message, peer_id, lambda result: self._checked(message, known, conn_id, result))

    def _is_wanted(self, update: ChannelUpdate, known: _Known, peer_id: bytes) -> bool:
        return (
            peer_id == known.channel.node_id
            and update.chain_hash == self._around.chain_hash
            and update.channel_flags & 1 == (peer_id > self._our_id)
            and known.newest < update.timestamp <= self._around.now() + MAX_FUTURE
        )

    def _checked(self, message: bytes, known: _Known, conn_id: int, result: int) -> None:
        channel = known.channel
        scid = channel.short_channel_id
        if result != GOOD:
            text = f"channel_update {scid_to_text(scid)}: bad signature"
            self._around.judge.found_bad(conn_id, PeerFault(text, Consequence.DISCONNECT))  # B7-80
            return
        status.debug(f"channel_update {scid_to_text(scid)} goes up to {channel.service}", channel.node_id)
        self._around.tell(RemoteChannelUpdate(channel.node_id, scid, channel.service, message))
