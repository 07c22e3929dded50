"""Channels whose funding outputs are unspent again, after a reorganisation of the chain: they are not dying any more.

They are written anew, behind `delete_chan`: flags in the file cannot be taken back for readers that have seen them, and
the peers that were not sent the dying ones are sent these.
"""

from collections.abc import Iterable

from gossipd.forget import Forgetting
from gossipd.map_index import MapIndex
from gossipd.map_writer import MapWriter
from gossipd.store import GossipStore


def unspend(store: GossipStore, index: MapIndex, forgetting: Forgetting, scids: Iterable[int]) -> int:
    """Returns how many are alive again. Those that are not on the map any more may be announced again."""
    writer = MapWriter(store, index, forgetting)
    alive = 0
    for scid in scids:
        forgetting.closed.discard(scid)
        if scid in index.dying:
            _write_anew(store, index, forgetting, writer, scid)
            alive += 1
    return alive


def _write_anew(store: GossipStore, index: MapIndex, forgetting: Forgetting, writer: MapWriter, scid: int) -> None:
    row = index.channels[scid]
    message, amount_sat = store.read(index.announce_off[row]), max(0, index.amount_sat[row])
    timestamp = store.timestamp(index.announce_off[row])
    updates = [(direction, _kept(store, index.update_off[direction][row])) for direction in (0, 1)]
    node_ids = index.node_ids[index.node1[row]], index.node_ids[index.node2[row]]
    nodes = [_kept(store, index.node_announce_off[index.nodes[node_id]]) for node_id in node_ids]
    forgetting.drop(scid)
    row = writer.write_channel(message, scid, node_ids, timestamp, amount_sat)
    for direction, update in updates:
        if update:
            writer.write_update(row, direction, update[1], update[0])
    for node_id, announcement in zip(node_ids, nodes, strict=True):
        node = index.nodes[node_id]
        if announcement and not index.node_announce_off[node]:  # it went with its last channel
            writer.write_node(node, announcement[1], announcement[0])


def _kept(store: GossipStore, offset: int) -> tuple[bytes, int] | None:
    return (store.read(offset), store.timestamp(offset)) if offset else None
