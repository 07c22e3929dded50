"""The server of snapshots, and the clock that makes them: GET BASE/<timestamp>, any timestamp is answered.

BASE is /snapshot for version 1 of the format, /v2/snapshot for version 2; `snapshot` may be left out. What is sent was
made before: a client costs the reading of a file, and a connection that is bounded in number and time.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable

from gossipd.gossmap import StoreError
from lightningd_py.http.server import Answer, HttpServer, Request
from lightningd_py.observatory.rgs.snapshots import Snapshots
from wire.command.console import reason

PAGES = re.compile(r"(?:/v([12]))?(?:/snapshot)?/([0-9]{1,20})(?:\.bin)?")
HINT = "snapshots are at /snapshot/<timestamp> and /v2/snapshot/<timestamp>, 0 for the whole map"
MOST_CLIENTS = 32
REQUEST_TIME, TAKE_TIME = 10.0, 120.0
"""Seconds for a client's request, and for it to take the answer: 4 MB at 40 kB/s."""
AGAIN = 60.0
"""Seconds after which what has failed is tried again."""
LOOK = 60.0
"""Seconds at most between two looks at the clock, which may jump."""

Say = Callable[[str], None]


class Service:
    """`say` gets a sentence about each step, and one for each thing that goes wrong for as long as it does."""

    def __init__(self, snapshots: Snapshots, say: Say, clock: Callable[[], float] = time.time) -> None:
        self._snapshots, self._say, self._clock = snapshots, say, clock
        self._server = HttpServer(
            self._answer,
            lambda reason: None,
            REQUEST_TIME,
            patience_to_take=TAKE_TIME,
            pages=PAGES,
            hint=HINT,
            most=MOST_CLIENTS,
        )
        self._wrong = ""

    async def run(self, host: str, port: int, ended: asyncio.Event) -> None:
        """Serve until `ended`. Raises OSError if it cannot listen there, or if there are no snapshots and none can be
        made."""
        first = await asyncio.to_thread(self._snapshots.step, self._clock())
        where = self._server.start(host, port)
        shown = f"[{host}]" if ":" in host else host
        self._say(f"{len(first.channels):,} channels are served at http://{shown}:{where}/snapshot and /v2/snapshot")
        try:
            while not await _happens(ended, min(LOOK, await self._step())):
                pass
        finally:
            await self._server.close()

    async def _step(self) -> float:
        """The next step, if it is due; seconds until there is something to be done."""
        if (due := self._snapshots.due(self._clock())) > 0:
            return due
        try:
            history = await asyncio.to_thread(self._snapshots.step, self._clock())
        except (StoreError, OSError) as error:
            wrong = f"{error.filename or 'the store'}: {reason(error)}" if isinstance(error, OSError) else str(error)
            if wrong != self._wrong:
                self._say(f"{wrong}; what was made before is served, and it is tried again")
            self._wrong = wrong
            return AGAIN
        self._wrong = ""
        self._say(f"step {history.now}: {len(history.channels):,} channels, {len(history.nodes):,} nodes")
        return self._snapshots.due(self._clock())

    async def _answer(self, request: Request) -> Answer:
        match = PAGES.fullmatch(request.path)
        if match is None:  # the server has looked
            raise ValueError(request.path)
        version, timestamp = int(match[1] or 1), int(match[2])
        data = await asyncio.to_thread(
            self._snapshots.find, version, timestamp, self._clock(), as_gzip=request.takes_gzip
        )
        return Answer("200 OK", "application/octet-stream", data, "gzip" if request.takes_gzip else "")


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    """Whether it does within that time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
