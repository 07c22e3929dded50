"""The feed's messages as rows: an arrival each, the message itself at first sight, peers, changes of the map.

Keys that a feed does not have (docs/feed.md) are null, or are found out here.
"""

import hashlib
import time
from collections.abc import Callable

from lightningd_py.observatory.record.messages import HASH_SIZE, message_row
from lightningd_py.observatory.record.place import Place
from lightningd_py.observatory.record.rows import Rows, Seen
from lightningd_py.observatory.tables.schemas import IN, OUT
from wire.bus.feed import VERSION, FeedError
from wire.bus.feed_batches import Values

UNREADABLE, GAP, AWAY = "unreadable", "gap", "away"
_DIRECTIONS = {"in": IN, "out": OUT}


class FeedRows:
    """`place` is where the feed has been read to; `lag_ns` how old the last message was when it was read here."""

    def __init__(self, vantage: str, rows: Rows, place: Place, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.place = place
        self.seen = Seen()
        self.taken = 0
        self.last_ns = 0
        """`time_ns` of the message before."""
        self.map_was_lost = False
        """A change of the map is missing: until the next checkpoint as-of is not to be trusted."""
        self._heard: set[str] = set()
        """Topics of which there was a message since the feed was taken."""
        self._vantage = vantage
        self._rows = rows
        self._now_ns = now_ns

    def begin(self) -> None:
        """The feed is taken from here on: what was said meanwhile was perhaps not even counted (docs/feed.md)."""
        self._heard.clear()

    def take(self, name: str, values: Values) -> None:
        """Rows of one message. Raises FeedError if the feed is of another version; what else cannot be read is a row
        in `losses`."""
        self.taken += 1
        try:
            if values["v"] != VERSION:
                raise FeedError(f"the feed speaks version {values['v']}, which is not known here")
            self.last_ns = values["time_ns"]
            first, missing = self.place.take(values.get("epoch"), name, values["seq"])
            if missing:
                self._missed(name, first, missing)
            self._heard.add(name)
            self._take(name, values)
        except (ValueError, TypeError, KeyError, AttributeError):
            self.lost(name, None, 1, UNREADABLE)

    def _missed(self, name: str, first: int, missing: int) -> None:
        if name in self._heard:
            self.lost(name, first, missing, GAP)
        else:  # one number is left out for as many as there may have been
            self.lost(name, first, None if missing == 1 else missing, AWAY)

    def lost(self, topic: str, first_seq: int | None, count: int | None, why: str) -> None:
        """A row in `losses`; `topic` may be a table. `count` is None if it is not known."""
        if topic.startswith("map"):
            self.map_was_lost = True
        self._rows.add("losses", (self._now_ns(), self._vantage, self.place.epoch, topic, first_seq, count, why))

    def _take(self, name: str, values: Values) -> None:
        kind, _, event = name.partition(".")
        if kind == "gossip":
            self._arrival(values, IN)
        elif kind == "map":
            self._change(event, values)
        elif kind == "peer":
            self._peer(event, values)
        elif kind == "sent":
            self._arrival(values, OUT)

    def _arrival(self, values: Values, direction: int) -> None:
        raw: bytes = values["raw"]
        get = values.get
        sha256 = get("hash") or hashlib.sha256(raw).digest()
        short = sha256[:HASH_SIZE]
        time_ns: int = values["time_ns"]
        self._rows.add(
            "arrivals",
            (
                time_ns,
                self._vantage,
                short,
                get("node_id"),
                get("conn_id"),
                get("incoming"),
                direction,
                get("phase"),
                raw[0] << 8 | raw[1],
                len(raw),
                get("outcome"),
                get("reason") or None,
            ),
        )
        if self.seen.is_new(short):
            row = message_row(self._vantage, time_ns, sha256, raw, direction == IN, get("inner_hash"))
            self._rows.add("messages", row)

    def _change(self, event: str, values: Values) -> None:
        get = values.get
        raw = get("raw")
        sha256 = None if raw is None else hashlib.sha256(raw).digest()
        self._rows.add(
            "map",
            (
                values["time_ns"],
                self._vantage,
                event,
                get("short_channel_id"),
                get("direction"),
                get("node_id"),
                get("timestamp"),
                get("why"),
                get("deadline"),
                get("amount_sat"),
                None if sha256 is None else sha256[:HASH_SIZE],
            ),
        )
        if raw is not None and sha256 is not None and sha256[:HASH_SIZE] not in self.seen:  # it may yet be heard
            self._rows.add("messages", message_row(self._vantage, values["time_ns"], sha256, raw, False))

    def _peer(self, event: str, values: Values) -> None:
        get = values.get
        self._rows.add(
            "peers",
            (
                values["time_ns"],
                self._vantage,
                values["conn_id"],
                get("node_id"),
                event,
                get("address"),
                get("incoming"),
                get("features"),
                get("reason") or None,
                _DIRECTIONS.get(get("dir", "")),
                get("size"),
                get("rtt_ns"),
            ),
        )


def vantage_in(values: Values) -> str | None:
    """The vantage point that a message names, None if it names none."""
    found = values.get("vantage")
    return found if isinstance(found, str) and found else None
