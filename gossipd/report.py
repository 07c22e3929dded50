"""What gossipd tells of itself: counters, what peers have been worth, and addresses on the map."""

import itertools
import random

from gossipd.gossipd import Gossipd
from wire.address import read_descriptors
from wire.control.control_wire import GossipStatusReply
from wire.cursor import WireError
from wire.peer_wire import NodeAnnouncement


def status(gossipd: Gossipd) -> GossipStatusReply:
    """How the map and the pipeline are, and what the gossip of each peer has been worth."""
    now = gossipd.clock()
    peers = [peer.standing.report(conn_id, now) for conn_id, peer in gossipd.peers.items()]
    return GossipStatusReply(gossipd.seeker.state.value, counters(gossipd), peers)


def counters(gossipd: Gossipd) -> list[tuple[str, int]]:
    """How the map and the pipeline are, by name."""
    ingest, seeker, store = gossipd.ingest, gossipd.seeker, gossipd.store
    return [
        ("channels", len(gossipd.index.channels)),
        ("nodes", len(gossipd.index.nodes)),
        ("peers", len(gossipd.owned)),
        ("remote_peers", len(gossipd.remotes)),
        ("store_bytes", store.size),
        ("store_live_bytes", store.size - store.dead_bytes),
        ("store_dead_bytes", store.dead_bytes),
        ("compactions", gossipd.keeper.compactor.count),
        ("unfinished", ingest.unfinished + gossipd.keeper.flush.scheduled),
        ("blacklisted_nodes", len(ingest.conflicts.blacklisted)),
        ("early", gossipd.txout.early),
        ("dying", len(gossipd.index.dying)),
        ("owed_messages", ingest.checks.debt.count),
        ("owed_overflow", seeker.wanted.overflowed),
        ("wanted", len(seeker.wanted)),
        ("rumours", len(seeker.rumours)),
        ("asked", seeker.asked),
        ("got", seeker.got),
        ("feed_topics", gossipd.feed.topics_taken),
        *zip(("v2_channels", "v2_messages", "v2_bytes"), gossipd.gossip_v2.sizes, strict=True),
        *((name.replace(" ", "_"), count) for name, count in ingest.checks.counters.items()),
    ]


def random_nodes(gossipd: Gossipd, count: int) -> list[tuple[bytes, list[str]]]:
    """Nodes with addresses; rows without are passed over, so there may be fewer than are wanted."""
    ids = gossipd.index.node_ids
    rows = random.sample(range(len(ids)), min(10 * count, len(ids)))
    found = ((ids[row], addresses(gossipd, ids[row])) for row in rows if gossipd.index.node_announce_off[row])
    return list(itertools.islice((node for node in found if node[1]), count))


def ends_of(gossipd: Gossipd, scid: int) -> list[bytes]:
    """The two nodes of a channel on the map, node_id_1 first; none if it is not there."""
    index = gossipd.index
    row = index.channels.get(scid)
    return [] if row is None else [index.node_ids[index.node1[row]], index.node_ids[index.node2[row]]]


def addresses(gossipd: Gossipd, node_id: bytes) -> list[str]:
    """What the node has announced, in its order."""
    row = gossipd.index.nodes.get(node_id)
    if row is None or not gossipd.index.node_announce_off[row]:
        return []
    try:
        announcement = NodeAnnouncement.decode(gossipd.store.read(gossipd.index.node_announce_off[row]))
        return [str(address) for address in read_descriptors(announcement.addresses)]
    except WireError:
        return []
