"""Signatures of gossip, checked in worker processes (workers.py), so that the main loop never waits for a curve.

One interface: `submit(message, key, verdict)`, and later `verdict(result)` in the main loop. Messages gather into
batches; a batch is one SEQPACKET datagram to a worker and its answer is one byte a message.

A worker keeps no state, so one that dies, or does not answer, is replaced, and its batches are sent again. A batch at
which two workers have died is taken apart; a message at which two have died is given up, and its sender pays for it.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable

import msgpack

from gossipd.ingest.workers import GOOD, LARGEST_BATCH, Workers
from wire.control.daemon import CannotGoOn
from wire.control.status import Status
from wire.start.late_dataclass import dataclass

__all__ = ["DEADLY", "GOOD", "SignatureChecks"]

DEADLY = 5
"""A result that no worker says: workers have died of the message."""

BATCH_MESSAGES = 64
BATCH_BYTES = LARGEST_BATCH - 64
"""What a batch has besides its messages fits the rest."""
_OVERHEAD = 40
"""Bytes of a message in a batch besides its own: its key, and two lengths."""
WORKER_WINDOW = 4
"""Batches that one worker has at a time: enough that it never idles, few enough that new ones are soon looked at."""
CHECK_TIME = 30.0
"""Seconds in which a worker must answer a batch; that takes 20 ms."""
LIVES = 2
"""Workers that may die of one batch."""
MOST_DEATHS = 50
"""Deaths of workers in a row, without an answer between them, after which it is no message that is to blame."""

Verdict = Callable[[int], None]

status = Status("gossipd")


@dataclass(slots=True, eq=False)
class _Batch:
    """Messages that are checked together. `parts`: message, key, message, key, ..."""

    parts: list[bytes]
    verdicts: list[Verdict]
    size: int
    deaths: int = 0

    def apart(self) -> "list[_Batch]":
        """A batch for each message."""
        pairs = zip(self.parts[0::2], self.parts[1::2], self.verdicts, strict=True)
        return [_Batch([message, key], [verdict], len(message) + _OVERHEAD) for message, key, verdict in pairs]


class _Worker:
    def __init__(self, pid: int, sock: socket.socket) -> None:
        self.pid = pid
        self.sock = sock
        self.asked: deque[_Batch] = deque()
        self.since = 0.0
        """When it was given the oldest of `asked`, or could begin with it."""


class SignatureChecks:
    """The stage of the pipeline. It holds `waiting` messages: the caller stops its sources when that is too much."""

    def __init__(
        self,
        workers: Workers,
        loop: asyncio.AbstractEventLoop,
        on_room: Callable[[], None],
        patience: float = CHECK_TIME,
    ) -> None:
        """`on_room` is called after each batch of verdicts."""
        self._source = workers
        self._loop = loop
        self._on_room = on_room
        self._patience = patience
        self._workers: list[_Worker] = []
        self._parts: list[bytes] = []
        self._size = 0
        self._verdicts: list[Verdict] = []
        self._ready: deque[_Batch] = deque()
        self._close_scheduled = False
        self._deaths_in_a_row = 0
        self.good = self.wrong = self.deadly = self.deaths = 0
        """Messages with each result, and workers that were replaced."""
        self.waiting = self.waiting_bytes = 0
        self._fill_up()
        self._timer = loop.call_later(patience / 3, self._look)

    @property
    def pids(self) -> list[int]:
        """The worker processes."""
        return [worker.pid for worker in self._workers]

    def submit(self, message: bytes, key: bytes, verdict: Verdict) -> None:
        """Have a message checked; `verdict` gets GOOD or the number of the wrong signature, in a later turn."""
        size = len(message) + _OVERHEAD
        if self._size + size > BATCH_BYTES:
            self._close_batch()
        self._parts.append(message)
        self._parts.append(key)
        self._size += size
        self.waiting_bytes += size
        self._verdicts.append(verdict)
        self.waiting += 1
        if len(self._verdicts) >= BATCH_MESSAGES:
            self._close_batch()
        elif not self._close_scheduled:
            # What one read of a socket brings makes a batch; a lone message does not wait for company.
            self._close_scheduled = True
            self._loop.call_soon(self._close_open_batch)

    def _close_open_batch(self) -> None:
        self._close_scheduled = False
        if self._verdicts:
            self._close_batch()

    def _close_batch(self) -> None:
        self._ready.append(_Batch(self._parts, self._verdicts, self._size))
        self._parts, self._verdicts, self._size = [], [], 0
        self._hand_out()

    def _hand_out(self) -> None:
        while self._ready:
            worker = min(self._workers, key=lambda w: len(w.asked))
            if len(worker.asked) >= WORKER_WINDOW:
                return
            try:
                worker.sock.send(msgpack.packb(self._ready[0].parts))
            except BlockingIOError:
                return  # its buffer is full, so it owes us an answer, and we come back with that
            except OSError:
                self._bury(worker, "has died")
                continue
            if not worker.asked:
                worker.since = self._loop.time()
            worker.asked.append(self._ready.popleft())

    def _answered(self, worker: _Worker) -> None:
        try:
            results = worker.sock.recv(65_536)
        except BlockingIOError:
            return
        except OSError:  # it died with something of ours unread
            results = b""
        if not results:
            self._bury(worker, "has died")
            self._hand_out()
            return
        self._deaths_in_a_row = 0
        batch = worker.asked.popleft()
        worker.since = self._loop.time()
        self._hand_out()
        self._settle(batch, results)

    def _settle(self, batch: _Batch, results: bytes) -> None:
        self.waiting -= len(batch.verdicts)
        self.waiting_bytes -= batch.size
        good, deadly = results.count(GOOD), results.count(DEADLY)
        self.good, self.deadly, self.wrong = (
            self.good + good,
            self.deadly + deadly,
            self.wrong + len(results) - good - deadly,
        )
        for verdict, result in zip(batch.verdicts, results, strict=True):
            verdict(result)
        self._on_room()

    # workers that fail

    def _look(self) -> None:
        """Who does not answer is replaced, and who could not be replaced is tried again."""
        self._timer = self._loop.call_later(self._patience / 3, self._look)
        before = self._loop.time() - self._patience
        for worker in [worker for worker in self._workers if worker.asked and worker.since <= before]:
            self._bury(worker, f"has not answered for {self._patience:.0f} s")
        self._fill_up()
        self._hand_out()

    def _bury(self, worker: _Worker, what: str) -> None:
        """Its batches come first again; the one that it was at may be the reason."""
        self._deaths_in_a_row += 1
        self.deaths += 1
        if self._deaths_in_a_row > MOST_DEATHS:
            raise RuntimeError(f"{self._deaths_in_a_row} signature workers have died, one after the other")
        status.unusual(f"signature worker {worker.pid} {what}: it is replaced")
        self._workers.remove(worker)
        self._loop.remove_reader(worker.sock.fileno())
        self._source.end(worker.pid, worker.sock)
        again = list(worker.asked)
        if again:
            again[0].deaths += 1
            if again[0].deaths >= LIVES:
                again[:1] = self._after_deaths(again[0])
        self._ready.extendleft(reversed(again))
        self._fill_up()

    def _after_deaths(self, batch: _Batch) -> list[_Batch]:
        """What is to be checked of it after all."""
        if len(batch.verdicts) > 1:
            return batch.apart()
        text = f"workers have died of {len(batch.parts[0])} bytes of gossip, which are given up: {batch.parts[0].hex()}"
        status.unusual(text[:1_000])
        self._loop.call_soon(self._settle, batch, bytes([DEADLY]))
        return []

    def _fill_up(self) -> None:
        """As many workers as there should be. If there can be none that is our end: the master restarts us."""
        while len(self._workers) < self._source.count:
            try:
                worker = _Worker(*self._source.start())
            except OSError as error:
                if not self._workers:
                    raise CannotGoOn("no signature can be checked: no worker can be started") from error
                return
            self._workers.append(worker)
            self._loop.add_reader(worker.sock.fileno(), self._answered, worker)

    def close(self) -> None:
        """End the workers. What was not checked is given up, also what this turn was about to send."""
        self._timer.cancel()
        self._verdicts.clear()
        self._ready.clear()
        for worker in self._workers:
            self._loop.remove_reader(worker.sock.fileno())
            worker.sock.close()
        self._workers.clear()
        self._source.close()
