"""One connection that a process owns, and what its peer is to those that own it."""

from typing import Generic, Protocol, TypeVar

from wire.address import source_key
from wire.control.control_wire import PeerInfo
from wire.control.timing import Timing
from wire.frames import Frames
from wire.net.duties import SlowReader
from wire.net.onion_rates import OnionRate
from wire.net.pinger import Pinger, PongHandler, patience_for


class Speaker(Protocol):
    """One peer: hears what it says, and has what it is to be told."""

    @property
    def info(self) -> PeerInfo:
        """Who it is."""

    @property
    def choked(self) -> bool:
        """Nothing may be heard now."""

    @property
    def has_free(self) -> bool:
        """Whether there is something to say that must not wait."""

    @property
    def has_something_to_say(self) -> bool:
        """Whether there is, or might be, anything to say."""

    def hear(self, message: bytes) -> bool:
        """Deal with one message; False if the connection is no longer ours after it."""

    def pull_outbox(self) -> list[bytes]:
        """All that must be said even if the connection ends or is given away."""

    def ping(self, num_pong_bytes: int, ignored_len: int, answered: PongHandler) -> None:
        """Say a ping, and call `answered` when its pong has come."""


S = TypeVar("S", bound=Speaker)
S_contra = TypeVar("S_contra", bound=Speaker, contravariant=True)


class Rations(Protocol[S_contra]):
    """How much of what waits may be said."""

    def pull(self, conn_id: int, peer: S_contra, most: int, now: float) -> list[bytes]:
        """What the peer is to be told next, `most` bytes or a little more."""

    def wait(self, conn_id: int, now: float) -> float:
        """Seconds until something may be said that can wait; 0 if it may be now."""


class OwnedPeer(Generic[S]):
    """One owned connection."""

    __slots__ = (
        "batches",
        "frames",
        "in_bulk",
        "in_turns",
        "look_at",
        "onions",
        "patience",
        "peer",
        "pinger",
        "read",
        "read_at_ns",
        "read_since",
        "slow",
        "source",
        "told",
        "told_at",
        "unheard",
    )

    def __init__(self, peer: S, frames: Frames, now: float, timing: Timing) -> None:
        self.peer = peer
        self.frames = frames
        self.patience = patience_for(peer.info.address)
        self.source = source_key(peer.info.address)
        self.pinger = Pinger(now, timing, self.patience)
        self.look_at = now
        """When to look after it again."""
        self.read = 0
        """Bytes since `read_since`."""
        self.read_since = now
        self.read_at_ns = 0
        """When what is being heard had arrived, unix nanoseconds; 0 if that was not noted. One is enough: nothing is
        read before all that was read is heard."""
        self.batches = 0
        """How often something was encrypted to be sent."""
        self.slow = SlowReader()
        self.told = 0
        """How much that was new it had told us at the last look at it."""
        self.told_at = 0.0
        """At which look that was more than before."""
        self.onions: OnionRate | None = None
        """As soon as it has said an onion message."""
        self.unheard = False
        """There may be messages that were read and not heard: nothing more is read before."""
        self.in_turns = False
        """Whether its turn is still to come, to be heard."""
        self.in_bulk = False
        """Whether its turn is still to come, to be told something."""
