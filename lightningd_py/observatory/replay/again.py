"""What was recorded said again: into a feed, or to a node by scripted peers, at its own pace or faster."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from lightningd_py.observatory.replay.publisher import Publisher
from lightningd_py.observatory.replay.speakers import Due, Script, speak_all
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.query import Query, asking
from lightningd_py.observatory.tables.reading import Record
from lightningd_py.observatory.tables.schemas import IN
from wire import secp256k1

WAIT = 60.0
TOPICS = {256: "gossip.channel_announcement", 257: "gossip.node_announcement", 258: "gossip.channel_update"}
Progress = Callable[[int], None]


class Heard(NamedTuple):
    """An arrival, with its message."""

    time_ns: int
    vantage: str
    peer: bytes | None
    conn_id: int | None
    incoming: bool | None
    phase: str | None
    outcome: str | None
    reason: str | None
    raw: bytes


_ARRIVALS = f"""
SELECT time_ns, arrivals.vantage, peer, conn_id, incoming, phase, outcome, reason, m.raw
FROM arrivals JOIN (SELECT hash, any_value(raw) AS raw FROM messages GROUP BY hash) m USING (hash)
WHERE dir = {IN} AND ($1 IS NULL OR arrivals.vantage = $1) ORDER BY time_ns
"""


def heard(query: Query, since_ns: int, until_ns: int, vantage: str | None = None) -> Iterator[Heard]:
    """All arrivals of that time whose messages are known, in their order."""
    columns = ["vantage", "hash", "peer", "conn_id", "incoming", "phase", "outcome", "reason", "dir"]
    query.load("arrivals", columns, since_ns, until_ns)
    query.load("messages", ["hash", "raw"])
    return map(Heard._make, query.stream(_ARRIVALS, [vantage]))


def replay_into_feed(
    record: Record,
    window: tuple[int, int],
    path: Path,
    speed: float,
    vantage: str | None = None,
    progress: Progress = lambda rows: None,
) -> int:
    """Publish them as a node's feed does, with their own times, once there is a subscriber. Returns how many."""

    def ask(query: Query) -> int:
        with Publisher(path, vantage) as publisher:
            if not publisher.wait(WAIT):
                raise ObservatoryError(f"there is no subscriber of the feed on {path}")
            count = 0
            began, first = time.monotonic(), 0
            for each in heard(query, *window, vantage):
                first = first or each.time_ns
                wait = began + (each.time_ns - first) / 1e9 / speed - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
                publisher.say(TOPICS.get(each.raw[1] + 256, "gossip.other"), each.time_ns, **_fields(each))
                count += 1
                progress(1)
            return count

    return asking(record, ask)


def _fields(each: Heard) -> dict[str, object]:
    return {
        "node_id": each.peer,
        "conn_id": each.conn_id,
        "incoming": each.incoming,
        "phase": each.phase,
        "outcome": each.outcome or "",
        "reason": each.reason or "",
        "raw": each.raw,
    }


def replay_to_node(
    record: Record,
    window: tuple[int, int],
    target: str,
    network: str,
    speed: float,
    peers: int,
    vantage: str | None = None,
    progress: Progress = lambda rows: None,
) -> int:
    """Say them to a node. Each recorded peer is one of at most so many scripted peers, and says what it said then.

    Returns how many. Raises ObservatoryError if the node cannot be reached, or hangs up.
    """

    def ask(query: Query) -> list[Script]:
        says: dict[tuple[str, bytes | None], list[Due]] = {}
        first = 0
        for each in heard(query, *window, vantage):
            first = first or each.time_ns
            says.setdefault((each.vantage, each.peer), []).append(Due((each.time_ns - first) / 1e9 / speed, each.raw))
        lines: list[list[Due]] = [[] for _ in range(min(peers, len(says)))]
        for number, own in enumerate(says.values()):
            lines[number % len(lines)] += own
        return [Script(target, secp256k1.new_secret(), sorted(own, key=lambda due: due.at)) for own in lines]

    scripts = asking(record, ask)
    asyncio.run(speak_all(scripts, network, lambda script, at, raw: progress(1), 1.0))
    return sum(len(script.says) for script in scripts)
