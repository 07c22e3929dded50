"""Who announces how often, and which channels were opened."""

from typing import NamedTuple

from lightningd_py.observatory.history.spread import Window
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.query import Query, Row, asking
from lightningd_py.observatory.tables.reading import Record
from lightningd_py.observatory.tables.times import SECOND_NS

DAY = 86_400
USUAL = 144
"""Updates of a direction, or announcements of a node, a day: one a block."""


class Noisy(NamedTuple):
    """Rows with `messages`, `contents` (that say something else than others) and `per_day`; of channels by direction,
    of nodes. And how many there are, and how many of them passed the limit."""

    channels: list[Row]
    nodes: list[Row]
    channels_seen: int
    channels_above: int
    nodes_seen: int
    nodes_above: int


_SAID = """
CREATE OR REPLACE TEMP TABLE said AS
SELECT type, scid, direction, node_id, count(DISTINCT hash) AS messages, count(DISTINCT inner_hash) AS contents,
       count(DISTINCT hash) / $1 AS per_day
FROM messages WHERE heard AND type IN (257, 258) AND timestamp BETWEEN $2 AND $3
GROUP BY ALL
"""


def noisy(record: Record, window: Window, top: int = 20, per_day: float = USUAL) -> Noisy:
    """Who said most in that time, by the messages' own timestamps: a message that is told again does not count again.

    Raises ObservatoryError if the window is not closed.
    """
    since, until = window.since_ns, window.until_ns
    if since is None or until is None or until <= since:
        raise ObservatoryError("a stretch of time is needed: --since before --until")
    days = (until - since) / SECOND_NS / DAY

    def ask(query: Query) -> Noisy:
        columns = ["hash", "inner_hash", "type", "scid", "direction", "node_id", "timestamp", "heard"]
        query.load("messages", columns, max(0, since - DAY * SECOND_NS))
        query.rows(_SAID, [days, since // SECOND_NS, until // SECOND_NS])
        tail = f"messages, contents, per_day FROM said WHERE type = $1 ORDER BY messages DESC, ALL LIMIT {int(top)}"
        counts = query.rows("SELECT type, count(*), count(*) FILTER (per_day > $1) FROM said GROUP BY type", [per_day])
        of = {kind: (seen, above) for kind, seen, above in counts}
        channels = f"SELECT scid, direction, {tail}".replace(", ALL", ", scid, direction")
        nodes = f"SELECT node_id, {tail}".replace(", ALL", ", node_id")
        return Noisy(
            query.dicts(channels, [258]), query.dicts(nodes, [257]), *of.get(258, (0, 0)), *of.get(257, (0, 0))
        )

    return asking(record, ask)


_OPENINGS = """
WITH opened AS (
    SELECT scid, min(time_ns) AS seen_ns, any_value(amount_sat) AS amount_sat FROM map
    WHERE topic = 'channel_announcement' AND why IS DISTINCT FROM 'checkpoint' GROUP BY scid
)
SELECT scid >> 40 AS block, count(*) AS channels, sum(amount_sat)::BIGINT AS capacity_sat, min(seen_ns) AS first_seen_ns
FROM opened GROUP BY block ORDER BY block
"""


def openings(record: Record, window: Window) -> list[Row]:
    """By block: channels that have come onto the map in that time, their capacity where it is known, and when the first
    was seen."""

    def ask(query: Query) -> list[Row]:
        query.load("map", ["topic", "scid", "why", "amount_sat"], window.since_ns, window.until_ns)
        return query.dicts(_OPENINGS)

    return asking(record, ask)
