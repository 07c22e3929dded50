"""What the page shows, as answers to its questions: JSON, packed by gzip."""

import asyncio
import gzip
import json
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.web.arrivals import LONGEST_TEXT, Arrivals
from lightningd_py.observatory.web.current_map import CurrentMap
from lightningd_py.observatory.web.node import NodeFigures
from lightningd_py.observatory.web.positions import Positions
from lightningd_py.observatory.web.questions import Questions
from lightningd_py.observatory.web.recorded import Recorded
from wire.command.text import replaced

if TYPE_CHECKING:
    from lightningd_py.observatory.live.follower import PointFollower

MAP_FRESH, FIGURES_FRESH, RECORD_FRESH, PAST_FRESH, VANTAGES_FRESH = 15.0, 2.0, 60.0, 3600.0, 1.0
"""Seconds for which an answer is good."""
LAYOUT_PAUSE = 60.0
SHOWN_VANTAGES = 200
STEP_MS = 60_000
"""Maps of the past are made of whole minutes."""
log = logging.getLogger(__name__)
T = TypeVar("T")


class Missing(Exception):
    """There is no such thing here; the text is one sentence."""


class Sources:
    """Any of them may be None: the page says so, and shows the rest."""

    def __init__(
        self,
        arrivals: Arrivals,
        store: Path | None = None,
        rpc: Path | None = None,
        record: Path | None = None,
        positions: Positions | None = None,
        points: "PointFollower | None" = None,
    ) -> None:
        """`points`: of all vantage points, where the arrivals are of all of them."""
        self.arrivals = arrivals
        self._points = points
        self._vantages: list[dict[str, Any]] = []
        self._vantages_until = 0.0
        self.layouts = 0
        self._map = None if store is None else CurrentMap(store)
        self._node = None if rpc is None else NodeFigures(rpc)
        self._recorded = None if record is None else Recorded(record)
        self._positions = positions or Positions()
        self._near, self._far = Questions(), Questions()
        self._laying: asyncio.Task[None] | None = None
        self._laid = -LAYOUT_PAUSE

    def about(self) -> dict[str, bool]:
        """Which of them there are."""
        found = {"map": self._map, "node": self._node, "record": self._recorded, "vantages": self._points}
        return {name: source is not None for name, source in found.items()}

    def vantages(self) -> list[dict[str, Any]]:
        """Those that say most first; none where there is no NATS. One answer for all that ask within a second."""
        if (now := time.monotonic()) >= self._vantages_until:
            self._vantages, self._vantages_until = self._ranked(), now + VANTAGES_FRESH
        return self._vantages

    def _ranked(self) -> list[dict[str, Any]]:
        rows = [] if self._points is None else self._points.figures.rows()
        ranked = sorted(rows, key=lambda row: (-row.arrivals, row.name))[:SHOWN_VANTAGES]
        return [row._asdict() | {"name": replaced(row.name)[:LONGEST_TEXT]} for row in ranked]

    async def map(self) -> bytes:
        """The map of now. Raises ObservatoryError, Missing, Busy."""
        current, positions = _there(self._map, "no gossip_store was given"), self._positions
        answer = await self._near.ask(("map", self.layouts), lambda: packed(current.columns(positions)), MAP_FRESH)
        self._lay_out(current)
        return answer

    async def map_at(self, at_ms: int) -> bytes:
        """The map of a recorded time. Raises ObservatoryError, Missing, Busy."""
        recorded, positions = _there(self._recorded, "no record was given"), self._positions
        at_ms -= at_ms % STEP_MS
        extent = json.loads(gzip.decompress(await self.extent()))
        at_ms = max(at_ms, extent["since_ms"] or 0)
        key = ("then", at_ms, self.layouts)
        fresh = PAST_FRESH if at_ms < time.time() * 1000 - STEP_MS else FIGURES_FRESH
        return await self._far.ask(key, lambda: packed(recorded.map_at(at_ms, positions)), fresh)

    async def node(self, node_id: bytes) -> bytes:
        """Raises as `map`; Missing if the node is not on it."""
        current = _there(self._map, "no gossip_store was given")
        answer = await self._near.ask(("node", node_id), lambda: packed(current.node(node_id)), FIGURES_FRESH)
        return _found(answer, "no such node is on the map")

    async def channel(self, short_channel_id: int) -> bytes:
        """Raises as `map`; Missing if the channel is not on it."""
        current = _there(self._map, "no gossip_store was given")
        key = ("channel", short_channel_id)
        answer = await self._near.ask(key, lambda: packed(current.channel(short_channel_id)), FIGURES_FRESH)
        return _found(answer, "no such channel is on the map")

    async def figures(self) -> bytes:
        """What the node says of itself. Raises Missing, Busy."""
        node = _there(self._node, "no RPC socket was given")
        return await self._near.ask("figures", lambda: packed(node.now()), FIGURES_FRESH)

    async def extent(self) -> bytes:
        """From when to when there is a record. Raises ObservatoryError, Missing, Busy."""
        recorded = _there(self._recorded, "no record was given")
        return await self._far.ask("extent", lambda: packed(recorded.extent()), RECORD_FRESH)

    async def growth(self) -> bytes:
        """As `extent`."""
        recorded = _there(self._recorded, "no record was given")
        return await self._far.ask("growth", lambda: packed(recorded.growth()), RECORD_FRESH)

    async def propagation(self) -> bytes:
        """As `extent`."""
        recorded = _there(self._recorded, "no record was given")
        return await self._far.ask("propagation", lambda: packed(recorded.propagation()), RECORD_FRESH)

    def begin(self) -> None:
        """Make the layout, if it is not there and can be made."""
        if self._map is not None:
            self._lay_out(self._map)

    def _lay_out(self, current: CurrentMap) -> None:
        now = asyncio.get_running_loop().time()
        if self._laying is None and now - self._laid >= LAYOUT_PAUSE:
            self._laid = now
            self._laying = asyncio.get_running_loop().create_task(self._lay_out_now(current))

    async def _lay_out_now(self, current: CurrentMap) -> None:
        try:
            node_ids, a, b = await self._near.run(current.graph)
            if not self._positions.covers(node_ids):
                self.layouts += await asyncio.to_thread(self._positions.lay_out, node_ids, a, b)
        except (ObservatoryError, OSError) as error:
            log.info("no layout: %s", error)
        finally:
            self._laying = None

    async def close(self) -> None:
        """The end."""
        if self._laying is not None:
            self._positions.stop()
            await self._laying
        if self._map is not None:
            await self._near.run(self._map.close)
        await self._near.close()
        await self._far.close()


def packed(value: Any) -> bytes:
    """JSON, by gzip."""
    return gzip.compress(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(), 1)


def _there(source: T | None, sentence: str) -> T:
    if source is None:
        raise Missing(sentence)
    return source


def _found(answer: bytes, sentence: str) -> bytes:
    if gzip.decompress(answer) == b"null":
        raise Missing(sentence)
    return answer
