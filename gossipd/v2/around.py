"""What the room needs of its daemon."""

from collections.abc import Callable
from typing import Protocol

from gossipd.feed import Feed
from gossipd.ingest.pipeline import Ingest
from gossipd.ingest.signatures import SignatureChecks
from gossipd.ingest.txout import Txout
from wire.control.control_wire import PeerInfo


class Standing(Protocol):
    """What a peer was worth so far."""

    def is_ignored(self, now: float) -> bool:
        """Its gossip is not looked at for a while."""


class Sender(Protocol):
    """A peer, as far as it says gossip."""

    @property
    def info(self) -> PeerInfo:
        """Who it is."""

    @property
    def standing(self) -> Standing:
        """What it was worth so far."""


class Around(Protocol):
    """gossipd itself."""

    chain_hash: bytes
    feed: Feed
    ingest: Ingest
    """Whose stages are used: what was refused is remembered there, and bad gossip judged."""
    signatures: SignatureChecks
    txout: Txout
    clock: Callable[[], float]
    """Seconds that do not jump."""

    def standing_of(self, conn_id: int) -> Sender | None:
        """The peer of a connection, None if it has gone."""
