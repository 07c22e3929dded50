"""How a running node finds peers that no one has named: the first ones, and others while there are too few."""

from lightningd_py.config.options import Options
from lightningd_py.database import Database
from lightningd_py.owners.peers import Peers
from lightningd_py.peers.bootstrap import AskSeeds, Bootstrap, Candidate, Reach, read_peers
from lightningd_py.peers.staying_connected import RandomNodes, Seeking, StayingConnected, every
from wire.address import DEFAULT_PORTS
from wire.start.late_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is needed for it."""

    database: Database
    peers: Peers
    our_id: bytes
    reach: Reach
    ask_seeds: AskSeeds
    random_nodes: RandomNodes
    has_map: bool


def fallback_peers(options: Options) -> list[Candidate]:
    """Those of the operator's file. Raises UsageError."""
    if not options.fallback_peers or not options.seeker_peers:
        return []
    return read_peers(options.fallback_peers, DEFAULT_PORTS[options.network])


def find_peers(options: Options, around: Around, staying: StayingConnected, fallback: list[Candidate]) -> None:
    """From now on, until `staying` is closed."""
    database, peers, reach = around.database, around.peers, around.reach
    if options.seeker_peers:
        seeking = Seeking(
            database,
            peers,
            reach,
            around.random_nodes,
            around.our_id,
            options.seeker_peers,
            any_address=options.dev_allow_localhost,
        )
        staying.spawn(every(options.timing.seek_peers, seeking.seek))
    first = Bootstrap(
        options.seeds,
        fallback,
        around.ask_seeds,
        reach,
        lambda: around.has_map or len(peers) > 0 or database.knows_addresses(),
    )
    staying.spawn(first.run())
