"""Figures of vantage points from a thread of its own, for those that draw them."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Collection

from lightningd_py.observatory.jetstream.connecting import PAUSE, Access, end
from lightningd_py.observatory.live.batches import Batch, Live, Take
from lightningd_py.observatory.live.points import POINT_TABLES, PointFigures
from lightningd_py.observatory.tables.errors import ObservatoryError

TURN = 0.25


class PointFollower:
    """From `start` to `close`. A server that is not there is tried again; `state` says so, empty if all is well."""

    def __init__(
        self, access: Access, network: str, vantages: Collection[str] = (), tables: Collection[str] = ()
    ) -> None:
        """`tables`: those that `heard` is to get besides."""
        self.figures = PointFigures()
        self.state = f"{access.url} has not been reached yet"
        self._heard: Take = lambda found: None
        self._turn: Callable[[], None] = lambda: None
        self._live = Live(access, network, vantages, sorted({*POINT_TABLES, *tables}), self._say)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="vantage points", daemon=True)
        self._begun = threading.Event()

    def start(self, heard: Take = lambda found: None, turn: Callable[[], None] = lambda: None) -> None:
        """`heard` gets each batch, and `turn` is called four times a second and at an end by a mistake,
        both in the thread."""
        self._heard, self._turn = heard, turn
        self._thread.start()
        self._begun.wait()

    def close(self) -> None:
        """Wait until it has ended."""
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _say(self, sentence: str) -> None:
        self.state = sentence

    def _is_there(self) -> None:
        self.state = ""

    def _take(self, found: Batch) -> None:
        if found.table in POINT_TABLES:
            self.figures.take(found)
        self._heard(found)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun.set()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._follow()), group.create_task(self._turns())]
                await self._stopping.wait()
                await end(*tasks)
        except ExceptionGroup as found:
            self._say(f"nothing is heard any more, by a mistake of ours ({found.exceptions[0]!r})")
            self._turn()
            raise

    async def _follow(self) -> None:
        while True:
            try:
                await self._live.run(self._take, self._is_there)
            except ObservatoryError as error:
                self._say(f"{error}; it is tried again")
                await asyncio.sleep(PAUSE)

    async def _turns(self) -> None:
        while True:
            await asyncio.sleep(TURN)
            self._turn()
