"""What a client lacks: which step it is at, and the snapshot from there to the last one.

LDK counts what it takes as `latest_seen` less 7 days old, and forgets directions after 14 days: it must hear of each
within 7. So a direction that does not change is said again, without values, each REMINDER; where a client may have
forgotten it nevertheless, its whole channel is said again; and a client that was away for 6 days gets the whole map.
"""

from bisect import bisect_right
from collections.abc import Iterator

from lightningd_py.observatory.rgs.history import DAY, KEPT_SECONDS, History, Known, Side
from lightningd_py.observatory.rgs.snapshot_format import Announced, NodeSaid, Snapshot, Updated

REMINDER = 4 * DAY
FORGOTTEN = 7 * DAY - DAY // 2
"""Seconds after its last mention at which a client may have forgotten a direction: LDK's 7 days, less half a day for
what lies between our step and the client's look at its own clock."""
WHOLE = 0
"""The client that has nothing."""


def base_of(steps: tuple[int, ...], timestamp: int, clock: float) -> int:
    """The step that a client with this timestamp is known to have, WHOLE if none is.

    A timestamp that is no step of ours is another server's: what that one had not heard by then may have reached us
    earlier, so one step more is taken back. A time that has not come yet is no client's: all is said.
    """
    at = bisect_right(steps, timestamp) - 1
    if at >= 0 and steps[at] != timestamp:
        at -= 1
    if at < 0 or timestamp > clock or steps[-1] - steps[at] >= KEPT_SECONDS:
        return WHOLE
    return steps[at]


def snapshot_since(history: History, base: int) -> Snapshot:
    """From `base` (a step, or WHOLE) to the last step."""
    announced: list[Announced] = []
    updates: list[Updated] = []
    nodes: dict[bytes, NodeSaid | None] = {}
    for scid, channel in history.channels.items():
        said = list(_updates(scid, channel, base, history.now))
        if _is_whole(channel, base, history.now, said):
            announced.append(Announced(scid, channel.features, channel.node_ids, channel.capacity_sat))
            said = [_full(scid, direction, side) for direction, side in enumerate(channel.sides)]
            for node_id in channel.node_ids:
                known = history.nodes.get(node_id)
                nodes[node_id] = None if known is None else known.said
        updates += said
    nodes |= {node_id: known.said for node_id, known in history.nodes.items() if known.changed > base}
    return Snapshot(history.chain_hash, history.now, nodes, announced, updates)


def _full(scid: int, direction: int, side: Side) -> Updated:
    return Updated(scid, direction, side.disabled, side.values, None)


def _updates(scid: int, channel: Known, base: int, now: int) -> Iterator[Updated]:
    """What is to be said of a channel that the client knows."""
    for direction, side in enumerate(channel.sides):
        said = frozenset(place for place in range(5) if side.changed[place] > base)
        if len(said) == 5:
            yield _full(scid, direction, side)
        elif _is_due(max(side.changed), base, now):
            yield Updated(scid, direction, side.disabled, side.values, said)


def _is_due(changed: int, base: int, now: int) -> bool:
    """Whether the last change, or a reminder of it, falls between the two."""
    return (now - changed) // REMINDER > (base - changed) // REMINDER


def _is_whole(channel: Known, base: int, now: int, said: list[Updated]) -> bool:
    """Whether the client has never heard of the channel, or may have forgotten what is to be changed."""
    if channel.since > base:
        return True
    return any(now - _last_said(channel.sides[update.direction], base) >= FORGOTTEN for update in said)


def _last_said(side: Side, base: int) -> int:
    """The step at which a client that is at `base` has heard of this direction for the last time, at the earliest."""
    if max(side.changed) <= base:
        return base - (base - max(side.changed)) % REMINDER
    return max(base - REMINDER, *(step for step in (0, *side.changed) if step <= base))
