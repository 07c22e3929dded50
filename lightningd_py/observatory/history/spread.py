"""How messages spread: when each peer of each vantage point said a message first, and who says things before others.

What a peer says while it streams its whole map at first (`phase` sync) is no spreading, and is left out if nothing else
is said. So are our own messages, and what came more than an hour after the first arrival, which has another reason.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.query import Query, Row, asking
from lightningd_py.observatory.tables.reading import Record
from wire.scid import scid_from_text

LONGEST_NS = 3_600_000_000_000
SHARES = (0.5, 0.75, 0.9, 0.95, 0.99)
_ARRIVALS = ("time_ns", "vantage", "hash", "peer", "type", "dir", "phase")

_RECEIPTS = f"""
CREATE OR REPLACE TEMP TABLE texts AS
SELECT (row_number() OVER ())::INTEGER AS message, hash, any_value(type) AS type FROM arrivals {{chosen}} GROUP BY hash;
CREATE OR REPLACE TEMP TABLE speakers AS
SELECT (row_number() OVER (ORDER BY vantage, peer))::INTEGER AS speaker, vantage, peer
FROM (SELECT DISTINCT vantage, peer FROM arrivals WHERE peer IS NOT NULL);
CREATE OR REPLACE TEMP TABLE receipts AS
WITH first AS (
    SELECT message, speaker, min(time_ns) AS came
    FROM arrivals JOIN speakers USING (vantage, peer) JOIN texts USING (hash)
    WHERE dir = 0 AND ({{sync}} OR phase IS DISTINCT FROM 'sync')
    GROUP BY message, speaker
), began AS (SELECT message, min(came) AS began, count(*) AS peers FROM first GROUP BY message)
SELECT message, speaker, came, began, came - began AS delay, peers
FROM first JOIN began USING (message) WHERE came - began <= {LONGEST_NS}
"""
"""Messages and peers at vantage points are numbers in what is long: grouped and joined in half the time."""


class Window(NamedTuple):
    """Times, both included; None is open. `sync`: what is said in a first sync counts, too."""

    since_ns: int | None = None
    until_ns: int | None = None
    sync: bool = False


def _receipts(window: Window, chosen: str = "") -> str:
    return _RECEIPTS.format(chosen=chosen, sync="true" if window.sync else "false")


_SHARES = f"quantile_disc(delay, {list(SHARES)}) AS shares, max(delay) AS max_ns"
_PERCENTILES = ", ".join(f"shares[{place}] AS p{round(share * 100)}_ns" for place, share in enumerate(SHARES, 1))

_BY_MESSAGE = f"""
WITH most AS (
    SELECT message, hash, type FROM (SELECT message, count(*) AS peers FROM receipts GROUP BY message)
    JOIN texts USING (message) ORDER BY peers DESC, hash {{limit}}
), shown AS (
    SELECT hash, type, any_value(began) AS first_seen_ns, arg_min(vantage, came) AS first_vantage,
           arg_min(peer, came) AS first_peer, count(*) AS peers, count(DISTINCT vantage) AS vantage_points, {_SHARES}
    FROM receipts JOIN most USING (message) JOIN speakers USING (speaker) GROUP BY hash, type
)
SELECT * EXCLUDE (shares, max_ns), {_PERCENTILES}, max_ns FROM shown ORDER BY peers DESC, hash
"""
_OF_ALL = f"""
SELECT messages, receipts, {_PERCENTILES}, max_ns FROM (
    SELECT count(DISTINCT message) AS messages, count(*) AS receipts, {_SHARES} FROM receipts WHERE peers >= $1
)
"""


class Spread(NamedTuple):
    """`messages`: one row each, with first_seen_ns, peers, p50_ns ... p99_ns, max_ns from its first arrival anywhere.
    `all`: the same over all messages that so many peers have said. `delays`: of the messages shown, sorted, in ns; none
    if they were not asked for."""

    messages: list[Row]
    all: Row
    delays: list[int]


def propagation_of(record: Record, name: str, window: Window, *, delays: bool = True) -> Spread:
    """Of the messages that this names: a SHA256 in hex, or its beginning of 8 digits at least; a short_channel_id; a
    node_id. Raises ObservatoryError if nothing was heard of it."""
    return asking(record, lambda query: _propagation_of(query, name, window, delays=delays))


def _propagation_of(query: Query, name: str, window: Window, *, delays: bool) -> Spread:
    query.load("arrivals", _ARRIVALS, window.since_ns, window.until_ns)
    query.load("messages", ["hash", "sha256", "scid", "node_id"], None, window.until_ns)
    where, value = _named(name)
    query.rows(f"CREATE OR REPLACE TEMP TABLE chosen AS SELECT DISTINCT hash FROM messages WHERE {where}", [value])
    query.rows(_receipts(window, "SEMI JOIN chosen USING (hash)"))
    found = query.dicts(_BY_MESSAGE.format(limit=""))
    if not found:
        raise ObservatoryError(f"{name} was not heard in that time")
    return Spread(found, query.dicts(_OF_ALL, [1])[0], _delays(query) if delays else [])


def _named(name: str) -> tuple[str, Any]:
    if "x" in name:
        try:
            return "scid = $1", scid_from_text(name)
        except ValueError as error:
            raise ObservatoryError(str(error)) from None
    try:
        start = bytes.fromhex(name)
    except ValueError:
        raise ObservatoryError(f"{name!r} is no hash in hex, no short_channel_id and no node_id") from None
    if len(start) == 33:
        return "node_id = $1", start
    if not 4 <= len(start) <= 32:
        raise ObservatoryError(f"{name!r} is no hash: 8 to 64 digits of hex")
    return f"sha256[1:{len(start)}] = $1", start


def propagation_of_top(record: Record, top: int, window: Window, least_peers: int, *, delays: bool = True) -> Spread:
    """Of the messages that most peers have said, and of all that so many have."""

    def ask(query: Query) -> Spread:
        query.load("arrivals", _ARRIVALS, window.since_ns, window.until_ns)
        query.rows(_receipts(window))
        found = query.dicts(_BY_MESSAGE.format(limit=f"LIMIT {int(top)}"))
        return Spread(found, query.dicts(_OF_ALL, [least_peers])[0], _delays(query, least_peers) if delays else [])

    return asking(record, ask)


def _delays(query: Query, least_peers: int = 1) -> list[int]:
    """At most ten thousand of them, evenly taken."""
    rows = query.rows(
        "WITH sorted AS (SELECT delay, row_number() OVER (ORDER BY delay) AS place, count(*) OVER () AS total "
        "FROM receipts WHERE peers >= $1) SELECT delay FROM sorted "
        "WHERE place % greatest(1, total // 10000) = 0 OR place = total ORDER BY delay",
        [least_peers],
    )
    return [delay for (delay,) in rows]


_RESPONDERS = """
WITH ranked AS (
    SELECT *, percent_rank() OVER (PARTITION BY message ORDER BY came) AS rank,
           row_number() OVER (PARTITION BY message ORDER BY came, speaker) = 1 AS is_first
    FROM receipts WHERE peers >= $1
), total AS (SELECT count(DISTINCT message) AS messages FROM ranked), told AS (
    SELECT speaker, count(*) AS messages, count(*) FILTER (is_first) AS firsts,
           count(*) FILTER (is_first) / any_value(total.messages) AS share_first,
           avg(rank) AS mean_rank, quantile_disc(delay, 0.5) AS p50_ns
    FROM ranked, total GROUP BY speaker
)
SELECT vantage, peer, told.* EXCLUDE (speaker) FROM told JOIN speakers USING (speaker)
ORDER BY firsts DESC, mean_rank, vantage, peer
"""


def first_responders(record: Record, window: Window, least_peers: int = 2) -> list[Row]:
    """Each peer: how many messages it said, how many before all others, its mean rank (0 first, 1 last) and how long
    after the first one it is by the median. Of messages that `least_peers` have said."""

    def ask(query: Query) -> list[Row]:
        query.load("arrivals", _ARRIVALS, window.since_ns, window.until_ns)
        query.rows(_receipts(window))
        return query.dicts(_RESPONDERS, [least_peers])

    return asking(record, ask)


def receipts_of(messages: Sequence[Row]) -> int:
    """How many arrivals, the first of each peer, these rows stand for."""
    return sum(int(row["peers"]) for row in messages)
