"""Every bound against strangers in one value, so that options replace numbers and nothing else.

docs/connectd.md and docs/gossipd.md have the tables: option, default, what happens there, which test shows it.
"""

from wire.start.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Counts of connections, if nothing else is said. 0 means no limit where the option's help says so."""

    half_open: int = 1_000
    """Inbound connections before the end of INIT. One more is taken; the oldest of the source that has most goes."""
    half_open_per_source: int = 20
    """Of these, from one source; one more is refused."""
    inbound_per_source: int = 20
    """Inbound peers from one source, whichever process owns them; one more is refused."""
    connect_rate: int = 60
    """Connections a minute from one source; one more is refused. 0: no limit."""
    inbound: int = 100
    """Inbound peers that no service wants. One more is taken, and one of least use goes."""
    programs: int = 64
    """Programs of services that have a connection, at a time: a Python program takes 14 MB. One more is not started."""
    programs_per_service: int = 32
    """Of these, one service's. Strangers get three quarters of either at most, one network half of it."""
    read_rate: int = 2_000_000
    """Bytes a second that are read from one peer. 0: no limit."""
    gossip_peer_rate: int = 2_000_000
    """Bytes a second of gossip that one peer gets, by its filter and by queries: as many as one of us reads. 0: no
    limit."""
    gossip_total_rate: int = 20_000_000
    """The same for all peers together."""
    gossip_listen: int = 10
    """Peers that stream what is new to us at a time (CLN's figure). 0: all that can."""
    compact_size: int = 10_000_000
    """Bytes below which the gossip_store is not compacted by itself. CLN's figure, as the next one."""
    compact_ratio: int = 4
    """So many dead bytes for each live one make it worth the while."""
    slow_reader: float = 30.0
    """Seconds in which a peer must take some of what waits for it; three times that through Tor."""
    feed_queue: int = 50_000
    """Messages of the feed that wait for one subscriber; what comes then it loses. 30 MB of usual gossip, 200 MB of the
    largest that is not counted singly (`gossipd/publish/feed_socket.py`)."""
