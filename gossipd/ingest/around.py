"""What the room needs of its daemon: one object, made once, that every stage of the pipeline has."""

from collections.abc import Callable, Hashable
from dataclasses import field

from gossipd.ingest.checks import Checks
from gossipd.ingest.pending import PendingChannels
from gossipd.ingest.txout import Txout
from gossipd.map.index import MapIndex
from gossipd.map.writer import MapWriter
from wire.start.late_dataclass import dataclass

Questions = Callable[[int, int], tuple[list[int], int]]
"""The scids that a peer is to be asked about, by its conn_id and how far it was asked, and how far it is asked then."""


@dataclass(slots=True)
class Around:
    """`now`: unix seconds. `clock`: seconds that do not jump. `stored` hears that something waits for the flush.

    `owe` gets scid and query_flags of what is to be asked for again, and the conn_id of its peer, or None; `hear_of` a
    scid that only an update has named, and the conn_id of who said it. `ask_witnesses` asks peers which version of
    contested channels they have; a contest lasts `contest_time` seconds.
    """

    writer: MapWriter
    index: MapIndex
    chain_hash: bytes
    checks: Checks
    txout: Txout
    prune_after: float
    now: Callable[[], float]
    clock: Callable[[], float]
    stored: Callable[[], None]
    owe: Callable[[int, int, Hashable], None]
    hear_of: Callable[[int, int], None]
    ask_witnesses: Callable[[Questions], None]
    contest_time: float
    group_of: Callable[[int], Hashable] = lambda source: source
    """Where a connection comes from: what one host, or one network, may well be behind all of."""
    pending: PendingChannels = field(default_factory=PendingChannels)
