"""What clients may have been told: the map at the last step, and at which step each value has changed last.

A step is a look at the map; its time is the `latest_seen` that clients come back with. For each direction of a channel
the time of the last change is kept for each of its five values, and for whether it is disabled: a value has changed
since a step exactly if its last change is later, also where it went from A to B and back to A. That is bounded by the
map, however many steps there were. A history does not change: the next step makes another one, which counts when it is
saved.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgpack

from gossipd.gossmap import Channel, Direction, Gossmap, Node
from lightningd_py.observatory.rgs.snapshot_format import NodeSaid, Values
from wire.address import write_descriptor
from wire.gossip_layout import CHAIN_HASH_SIZE, channel_body

DAY = 86_400
KEPT_SECONDS = 6 * DAY
"""Steps that are older are forgotten: their clients get the whole map."""
FINE_STEPS = COARSE_STEPS = 32
"""The last so many are kept, and of those before them so many, evenly in KEPT_SECONDS."""
FORMAT = 1


class HistoryError(Exception):
    """A file that is no history; the text is one sentence."""


class Side(NamedTuple):
    """One direction. `changed`: the step of each value's last change, and of `disabled`'s."""

    values: Values
    disabled: bool
    changed: tuple[int, ...]


class Known(NamedTuple):
    """A channel. `since`: the step from which on it was there, with both directions."""

    since: int
    features: bytes
    node_ids: tuple[bytes, bytes]
    capacity_sat: int | None
    sides: tuple[Side, Side]


class KnownNode(NamedTuple):
    """A node that has announced itself, and the step at which that said something else for the last time."""

    said: NodeSaid
    changed: int


class History(NamedTuple):
    """`steps`: times that clients may come back with, in order; the last one is that of the map."""

    chain_hash: bytes
    steps: tuple[int, ...]
    channels: dict[int, Known]
    nodes: dict[bytes, KnownNode]

    @property
    def now(self) -> int:
        """The last step."""
        return self.steps[-1]


def advanced(before: History | None, gossmap: Gossmap, at: int, interval: int, chain_hash: bytes) -> History:
    """The history with one more step. `chain_hash`: of a map without channels. Raises StoreError."""
    channels = dict(sorted(_channels(before, gossmap, at)))
    ends = {node_id for channel in channels.values() for node_id in channel.node_ids}
    nodes = {node_id: found for node_id in sorted(ends) if (found := _node(before, gossmap.node(node_id), at))}
    steps = thinned((*(before.steps if before else ()), at), interval)
    return History(_chain_hash(gossmap) or chain_hash, steps, channels, nodes)


def _chain_hash(gossmap: Gossmap) -> bytes | None:
    for channel in gossmap.channels():
        at = channel_body(channel.announcement)
        return channel.announcement[at : at + CHAIN_HASH_SIZE]
    return None


def _channels(before: History | None, gossmap: Gossmap, at: int) -> Iterator[tuple[int, Known]]:
    """Those whose output is unspent, and of which both ends have said all values."""
    for channel in gossmap.channels():
        updates = channel.direction(0), channel.direction(1)
        if updates[0] is None or updates[1] is None or channel.is_dying:
            continue
        values = _values(updates[0]), _values(updates[1])
        if values[0] is None or values[1] is None:
            continue
        known = before.channels.get(channel.short_channel_id) if before else None
        sides = (
            _side(known.sides[0] if known else None, values[0], updates[0].disabled, at),
            _side(known.sides[1] if known else None, values[1], updates[1].disabled, at),
        )
        yield channel.short_channel_id, _known(known, channel, sides, at)


def _known(known: Known | None, channel: Channel, sides: tuple[Side, Side], at: int) -> Known:
    if known is not None and (known.features, known.node_ids) == (channel.features, channel.node_ids):
        return known._replace(sides=sides, capacity_sat=channel.capacity_sat)
    return Known(at, channel.features, channel.node_ids, channel.capacity_sat, sides)


def _values(update: Direction) -> Values | None:
    if update.htlc_maximum_msat is None:
        return None
    return (
        update.cltv_expiry_delta,
        update.htlc_minimum_msat,
        update.fee_base_msat,
        update.fee_proportional_millionths,
        update.htlc_maximum_msat,
    )


def _side(before: Side | None, values: Values, disabled: bool, at: int) -> Side:
    if before is None:
        return Side(values, disabled, (at,) * 6)
    if (before.values, before.disabled) == (values, disabled):
        return before
    pairs = zip((*before.values, before.disabled), (*values, disabled), before.changed, strict=True)
    return Side(values, disabled, tuple(when if old == new else at for old, new, when in pairs))


def _node(before: History | None, node: Node | None, at: int) -> KnownNode | None:
    if node is None or not node.announcement:
        return None
    said = NodeSaid(node.features, tuple(map(write_descriptor, node.addresses)))
    known = before.nodes.get(node.node_id) if before else None
    return known if known is not None and known.said == said else KnownNode(said, at)


def thinned(steps: tuple[int, ...], interval: int) -> tuple[int, ...]:
    """At most FINE_STEPS + COARSE_STEPS + 1 of them, none older than KEPT_SECONDS before the last."""
    bucket = max(interval, KEPT_SECONDS // COARSE_STEPS)
    old, new = steps[:-FINE_STEPS], steps[-FINE_STEPS:]
    first_of = {step // bucket: step for step in reversed(old) if step > steps[-1] - KEPT_SECONDS}
    return (*sorted(first_of.values()), *(step for step in new if step > steps[-1] - KEPT_SECONDS))


# the file


def pack(history: History) -> bytes:
    """As bytes for `unpack`."""
    channels = [
        (scid, known.since, known.features, *known.node_ids, known.capacity_sat, *map(tuple, known.sides))
        for scid, known in history.channels.items()
    ]
    nodes = [(node_id, *known.said, known.changed) for node_id, known in history.nodes.items()]
    packed: bytes = msgpack.packb((FORMAT, history.chain_hash, history.steps, channels, nodes))
    return packed


def unpack(data: bytes) -> History:
    """Raises HistoryError for anything that `pack` has not made."""
    try:
        format_, chain_hash, steps, channels, nodes = msgpack.unpackb(data, use_list=False)
        if format_ != FORMAT or len(chain_hash) != CHAIN_HASH_SIZE or not steps:
            raise HistoryError("it is of another version")
        return History(
            chain_hash,
            steps,
            {
                scid: Known(since, features, (one, two), capacity, (Side(*first), Side(*second)))
                for scid, since, features, one, two, capacity, first, second in channels
            },
            {node_id: KnownNode(NodeSaid(features, said), changed) for node_id, features, said, changed in nodes},
        )
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise HistoryError("it is damaged") from error
