"""The map as it was at a time: the last whole checkpoint before it, and all that has changed since."""

from typing import NamedTuple

from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.query import Query, asking
from lightningd_py.observatory.tables.reading import Record
from lightningd_py.observatory.tables.times import shown

DAY_NS = 86_400_000_000_000
_COLUMNS = ("vantage", "topic", "scid", "direction", "node_id", "timestamp", "why", "deadline", "amount_sat", "hash")


class ChannelThen(NamedTuple):
    """`hash` of its announcement. `dying_at`: the block height at which it goes, None if its output is unspent."""

    hash: bytes
    amount_sat: int | None
    dying_at: int | None


class Said(NamedTuple):
    """An update or a node_announcement: its hash, and its own timestamp in seconds."""

    hash: bytes
    timestamp: int


class MapThen(NamedTuple):
    """By scid, by (scid, direction), by node_id. `since_ns` is the time of the checkpoint that it was made from."""

    vantage: str
    at_ns: int
    since_ns: int
    channels: dict[int, ChannelThen]
    updates: dict[tuple[int, int], Said]
    nodes: dict[bytes, Said]


class _Begin(NamedTuple):
    vantage: str
    time_ns: int


def map_then(record: Record, at_ns: int, vantage: str | None = None) -> MapThen:
    """The map of one vantage point, by default of that with the newest checkpoint. Raises ObservatoryError."""
    return asking(record, lambda query: _ask(query, at_ns, vantage))


def vantage_points(record: Record) -> list[str]:
    """All that have a map in the record."""

    def ask(query: Query) -> list[str]:
        query.load("map", ["vantage"])
        return [name for (name,) in query.rows("SELECT DISTINCT vantage FROM map ORDER BY 1")]

    return asking(record, ask)


def _ask(query: Query, at_ns: int, vantage: str | None) -> MapThen:
    begin = _last_checkpoint(query, at_ns, vantage, at_ns - DAY_NS) or _last_checkpoint(query, at_ns, vantage, None)
    if begin is None:
        raise ObservatoryError(_no_map(query, at_ns, vantage))
    query.load("map", _COLUMNS, begin.time_ns, at_ns)
    query.rows(_EVENTS, [begin.vantage, begin.time_ns])
    nodes, updates = query.rows(_NODES), query.rows(_UPDATES)
    return MapThen(
        begin.vantage,
        at_ns,
        begin.time_ns,
        {scid: ChannelThen(hash_, amount, deadline) for scid, hash_, amount, deadline in query.rows(_CHANNELS)},
        {(scid, direction): Said(hash_, timestamp) for scid, direction, hash_, timestamp in updates},
        {node_id: Said(hash_, timestamp or 0) for node_id, hash_, timestamp in nodes},
    )


_EVENTS = """
CREATE OR REPLACE TEMP TABLE events AS SELECT *, row_number() OVER () AS place FROM map
WHERE vantage = $1 AND (time_ns = $2 OR why IS DISTINCT FROM 'checkpoint')
"""
"""Rows of another checkpoint, later and perhaps not whole, are left out."""

_CHANNELS = """
WITH last AS (
    SELECT scid, arg_max({'topic': topic, 'hash': hash, 'amount': amount_sat, 'at': time_ns}, (time_ns, place)) AS it
    FROM events WHERE topic IN ('channel_announcement', 'channel_removed') GROUP BY scid
), dying AS (
    SELECT scid, arg_max({'deadline': deadline, 'at': time_ns}, (time_ns, place)) AS it
    FROM events WHERE topic = 'channel_dying' GROUP BY scid
)
SELECT last.scid, last.it.hash, last.it.amount,
       CASE WHEN dying.it.at >= last.it.at THEN dying.it.deadline END
FROM last LEFT JOIN dying USING (scid) WHERE last.it.topic = 'channel_announcement' ORDER BY last.scid
"""

_UPDATES = """
WITH gone AS (
    SELECT scid, max((time_ns, place)) AS at FROM events WHERE topic = 'channel_removed' GROUP BY scid
), channels AS (
    SELECT scid, arg_max(topic, (time_ns, place)) AS topic FROM events
    WHERE topic IN ('channel_announcement', 'channel_removed') GROUP BY scid
), last AS (
    SELECT scid, direction, arg_max({'hash': hash, 'timestamp': timestamp}, (time_ns, place)) AS it,
           max((time_ns, place)) AS at
    FROM events WHERE topic = 'channel_update' GROUP BY ALL
)
SELECT last.scid, last.direction, last.it.hash, last.it.timestamp
FROM last JOIN channels USING (scid) LEFT JOIN gone USING (scid)
WHERE channels.topic = 'channel_announcement' AND (gone.at IS NULL OR last.at > gone.at)
ORDER BY ALL
"""

_NODES = """
WITH last AS (
    SELECT node_id, arg_max({'topic': topic, 'hash': hash, 'timestamp': timestamp}, (time_ns, place)) AS it
    FROM events WHERE topic IN ('node_announcement', 'node_removed') GROUP BY node_id
)
SELECT node_id, it.hash, it.timestamp FROM last WHERE it.topic = 'node_announcement' ORDER BY node_id
"""


def _last_checkpoint(query: Query, at_ns: int, vantage: str | None, since_ns: int | None) -> _Begin | None:
    query.load("map", ["vantage", "topic"], None if since_ns is None else max(0, since_ns), at_ns)
    found = query.rows(
        "SELECT vantage, time_ns FROM map WHERE topic = 'checkpoint_end' AND ($1 IS NULL OR vantage = $1) "
        "ORDER BY time_ns DESC, vantage LIMIT 1",
        [vantage],
    )
    return _Begin(*found[0]) if found else None


def _no_map(query: Query, at_ns: int, vantage: str | None) -> str:
    query.load("map", ["vantage", "topic"])
    found = query.rows(
        "SELECT min(time_ns) FROM map WHERE topic = 'checkpoint_end' AND ($1 IS NULL OR vantage = $1)", [vantage]
    )
    whose = "" if vantage is None else f" of {vantage}"
    if found[0][0] is None:
        return f"no whole map{whose} was recorded: `record` needs the node's gossip_store (--store) for it"
    return f"{shown(at_ns)} is before the first map that was recorded{whose}: {shown(found[0][0])}"


def raw_messages(record: Record, then: MapThen) -> dict[bytes, bytes]:
    """Hash -> message, of all that is on that map. Raises ObservatoryError if one was lost."""
    wanted = {said.hash for said in (*then.updates.values(), *then.nodes.values())}
    wanted |= {channel.hash for channel in then.channels.values()}
    return asking(record, lambda query: _raw(query, then, wanted))


def _raw(query: Query, then: MapThen, wanted: set[bytes]) -> dict[bytes, bytes]:
    import pyarrow as pa

    from lightningd_py.observatory.tables.schemas import HASH

    found: dict[bytes, bytes] = {}
    for since_ns in (then.since_ns, None):
        missing = wanted - found.keys()
        if not missing:
            break
        query.load("messages", ["hash", "raw"], since_ns, then.at_ns)
        query.register("wanted", pa.table({"hash": pa.array(sorted(missing), HASH)}))
        found |= dict(
            query.rows("SELECT hash, any_value(raw) FROM messages SEMI JOIN wanted USING (hash) GROUP BY hash")
        )
    if missing := wanted - found.keys():
        raise ObservatoryError(f"{len(missing)} messages of the map of {shown(then.at_ns)} are not in the record")
    return found


class Counts(NamedTuple):
    """What `as-of --format counts` says."""

    channels: int
    directions: int
    nodes_announced: int
    dying: int
    capacity_sat: int


def counts(then: MapThen) -> Counts:
    """Sizes of a map; capacity is that of channels whose funding output was looked up."""
    return Counts(
        len(then.channels),
        len(then.updates),
        len(then.nodes),
        sum(channel.dying_at is not None for channel in then.channels.values()),
        sum(channel.amount_sat or 0 for channel in then.channels.values()),
    )


class Difference(NamedTuple):
    """From one map to another; scids, (scid, direction), node_ids. `changed`: what says something else now."""

    channels_added: list[int]
    channels_removed: list[int]
    updates_added: list[tuple[int, int]]
    updates_removed: list[tuple[int, int]]
    updates_changed: list[tuple[int, int]]
    nodes_added: list[bytes]
    nodes_removed: list[bytes]
    nodes_changed: list[bytes]


def difference(one: MapThen, two: MapThen) -> Difference:
    """What has to be done to `one` to make it `two`."""
    kept_updates, kept_nodes = one.updates.keys() & two.updates.keys(), one.nodes.keys() & two.nodes.keys()
    return Difference(
        sorted(two.channels.keys() - one.channels.keys()),
        sorted(one.channels.keys() - two.channels.keys()),
        sorted(two.updates.keys() - one.updates.keys()),
        sorted(one.updates.keys() - two.updates.keys()),
        sorted(key for key in kept_updates if one.updates[key].hash != two.updates[key].hash),
        sorted(two.nodes.keys() - one.nodes.keys()),
        sorted(one.nodes.keys() - two.nodes.keys()),
        sorted(key for key in kept_nodes if one.nodes[key].hash != two.nodes[key].hash),
    )
