"""What a peer needs of its daemon. `P` is Peer itself."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from gossipd.ask.seeker import Seeker
from gossipd.feed import Feed
from gossipd.ingest.pipeline import Ingest
from gossipd.local_channels import LocalChannels
from gossipd.map.index import MapIndex
from gossipd.peers.waiting import Pause
from gossipd.serve.checksums import Checksums
from gossipd.store.writer import GossipStore
from gossipd.v2.room import Room
from gossipd.verdict import PeerFault
from wire.metrics.tally import Tally
from wire.routing import Routes

P = TypeVar("P", contravariant=True)


class Around(Protocol, Generic[P]):
    """What a peer needs of its daemon."""

    routes: Routes
    ingest: Ingest
    feed: Feed
    store: GossipStore
    index: MapIndex
    checksums: Checksums
    chain_hash: bytes
    tally: Tally
    seeker: Seeker
    local: LocalChannels
    gossip_v2: Room

    @property
    def pause(self) -> Pause[P]:
        """Whether gossip is taken in."""

    now: Callable[[], float]
    """Unix seconds."""
    clock: Callable[[], float]
    """Seconds that do not jump."""

    def fault(self, peer: P, fault: PeerFault) -> bool:
        """What follows from a fault; False if the connection is gone."""

    def bad_gossip(self, peer: P, fault: PeerFault) -> bool:
        """The same for a gossip message, which counts."""

    def nongossip(self, peer: P, message: bytes) -> None:
        """Give the connection up, with this message."""

    def copy_up(self, peer: P, message: bytes) -> None:
        """Tell the master what the peer said."""
