"""Every interval of the house in one value, so that tests and `--dev-*` options replace numbers and nothing else."""

from wire.start.late_dataclass import dataclass

CHILD_END_TIME = 5.0
"""Seconds that a child process has to end by itself before it is killed."""
LOADING_TIME = 60.0
"""Seconds that one has to be loaded, until it answers for the first time: a busy machine takes many."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, all of them. An argument of every core; never read from a global."""

    connection_timeout: float = 60.0
    """One deadline over TCP, Noise and INIT of an inbound connection, and of each address that is dialled."""
    release_timeout: float = 5.0
    """A program that does not let go of a connection in this time is killed."""
    heartbeat: float = 5.0
    """How often the master asks each daemon whether it still reads its control socket."""
    control_timeout: float = 30.0
    """A daemon that does not answer that for so long is killed."""
    backpressure_pause: float = 2.0
    """Reading of a peer is held back at most for so long at a time, so that its pings get through."""
    ping_idle: float = 60.0
    """A peer that has said nothing for so long is pinged; infinite for never."""
    ping_timer: tuple[float, float] = (15.0, 45.0)
    """How often that is looked at: somewhere between these."""
    pong_timeout: float = 30.0
    """A peer that has said nothing for so long after a ping is gone; three times that through Tor."""
    reconnect_first: float = 1.0
    """How long to wait before an important peer is dialled again, at first."""
    reconnect_longest: float = 300.0
    """And at most; a connection that has lasted so long sets the wait back."""
    seek_peers: float = 60.0
    """How often the number of peers is looked at, where more may be wanted."""
    gossip_flush: float = 60.0
    """How often news goes out to a peer that asked for it. BOLT 7, Rebroadcasting."""
    stream_quiet: float = 10.0
    """A peer that streams everything and says nothing new for so long has said it all."""
    query_timeout: float = 30.0
    """A query that is not answered in this time is asked of another peer."""
    probe_interval: float = 3_600.0
    """How often all that we know is compared with what a random peer knows."""
    gossiper_rotation: float = 1_800.0
    """How often the streaming peer that tells us least makes room for another one."""
    gossip_renewal: float = 3_600.0
    """A peer that answers no queries is connected with again if nothing else has brought what lacks for so long."""
    chain_poll: float = 30.0
    """How often the Bitcoin node is asked for a new block where it does not tell; also the longest pause between two
    tries while it is away. CLN's figure."""
    chain_retry: float = 1.0
    """The first pause before the next try; it doubles."""
    chain_timeout: float = 60.0
    """A Bitcoin node that has said nothing for so long is asked again."""
    gossip_prune: float = 1_209_600.0
    """Two weeks: a channel whose older update is older than this may be forgotten. BOLT 7, Pruning."""
    node_refresh: float = 1_123_200.0
    """Thirteen days: our node_announcement is made again when it is so old. CLN's figure."""
    node_pause: float = 60.0
    """At least between two node_announcements of ours: what changes in between goes out in one."""
    bus_heartbeat: float = 5.0
    """How often a bus says that it lives; also the longest time in which a dead service goes unnoticed."""
    bus_patience: float = 30.0
    """A service that takes nothing for so long of what a peer says is cut off."""


FAST_GOSSIP = Timing(
    seek_peers=2.0,
    gossip_flush=1.0,
    stream_quiet=1.0,
    query_timeout=2.0,
    probe_interval=10.0,
    gossiper_rotation=10.0,
    gossip_prune=90.0,
    node_pause=1.0,
    heartbeat=1.0,
    control_timeout=10.0,
    bus_heartbeat=0.5,
    bus_patience=2.0,
)
"""What CLN's --dev-fast-gossip and --dev-fast-gossip-prune are for: tests that cannot wait a minute."""
