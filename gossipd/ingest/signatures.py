"""Signatures of gossip, checked in worker processes, so that the main loop never waits for a curve.

One interface: `submit(message, key, verdict)`, and later `verdict(result)` in the main loop. Messages gather into
batches; a batch is one SEQPACKET datagram to a worker and its answer is one byte a message. Worker processes, not
threads: measured, two threads lose most of their speed as soon as the main thread computes (docs/performance.md).
"""

import asyncio
import os
import signal
import socket
from collections import deque
from collections.abc import Callable
from typing import NoReturn

import msgpack

from wire.control.landlock import restrict_files
from wire.control.privilege import name_process
from wire.control.status import Status
from wire.gossip_layout import CHANNEL_ANNOUNCEMENT, NODE_ANNOUNCEMENT, channel_keys, node_id_of
from wire.secp256k1 import double_sha256, verify

GOOD = 0
"""All signatures hold. Otherwise the number, from 1, of the first that does not: their order is the message's own."""

BATCH_MESSAGES = 64
BATCH_BYTES = 128_000
WORKER_WINDOW = 4
"""Batches that one worker has at a time: enough that it never idles, few enough that new ones are soon looked at."""

Verdict = Callable[[int], None]


def check(message: bytes, key: bytes) -> int:
    """GOOD, or which signature of a well-formed gossip message is wrong. BOLT 7.

    `key` is the node_id that must have signed a channel_update; the other two carry theirs (B7-57, B7-68).
    """
    number = message[0] << 8 | message[1]
    if number == CHANNEL_ANNOUNCEMENT:
        return _check_channel_announcement(message)
    if number == NODE_ANNOUNCEMENT:
        key = node_id_of(message)
    return GOOD if verify(double_sha256(message[66:]), message[2:66], key) else 1


def _check_channel_announcement(message: bytes) -> int:
    digest = double_sha256(message[258:])
    for i, key in enumerate(channel_keys(message)):
        if not verify(digest, message[2 + 64 * i : 66 + 64 * i], key, again=i < 2):  # a bitcoin key comes once
            return i + 1
    return GOOD


def work(sock: socket.socket) -> None:
    """A worker's life: a batch `[message, key, message, key, ...]` in, a byte for each message out, until EOF."""
    room = memoryview(bytearray(BATCH_BYTES + 70_000))  # once: to allocate it takes longer than to receive
    while size := sock.recv_into(room):
        parts = msgpack.unpackb(room[:size], use_list=False)
        sock.send(bytes(map(check, parts[0::2], parts[1::2])))


def start_worker() -> tuple[int, socket.socket]:
    """Fork a worker; call this before there is an event loop or another thread. Returns its pid and our end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if not pid:
        _become_worker(theirs)
    theirs.close()
    ours.setblocking(False)
    return pid, ours


def _become_worker(sock: socket.socket) -> NoReturn:
    """In the child: keep the one socket and standard error, and never return."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        name_process("gossipd-sigs")
        keep = sock.fileno()
        os.closerange(3, keep)
        os.closerange(keep + 1, 65_536)
        restrict_files(Status("gossipd-sigs"))
        work(sock)
        status = 0
    finally:
        os._exit(status)


def stop_workers(workers: list[tuple[int, socket.socket]]) -> None:
    """End workers, whatever they are doing, and reap them: they have nothing to lose."""
    for pid, sock in workers:
        sock.close()
        os.kill(pid, signal.SIGKILL)
    for pid, _ in workers:
        os.waitpid(pid, 0)


class _Worker:
    def __init__(self, pid: int, sock: socket.socket) -> None:
        self.pid = pid
        self.sock = sock
        self.asked: deque[tuple[list[Verdict], int]] = deque()


class SignatureChecks:
    """The stage of the pipeline. It holds `waiting` messages: the caller stops its sources when that is too much."""

    def __init__(
        self, workers: list[tuple[int, socket.socket]], loop: asyncio.AbstractEventLoop, on_room: Callable[[], None]
    ) -> None:
        """`on_room` is called after each batch of verdicts."""
        self._loop = loop
        self._on_room = on_room
        self._workers = [_Worker(pid, sock) for pid, sock in workers]
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._verdicts: list[Verdict] = []
        self._ready: deque[tuple[bytes, list[Verdict], int]] = deque()
        self._close_scheduled = False
        self.waiting = self.waiting_bytes = 0
        for worker in self._workers:
            loop.add_reader(worker.sock.fileno(), self._answered, worker)

    def submit(self, message: bytes, key: bytes, verdict: Verdict) -> None:
        """Have a message checked; `verdict` gets GOOD or the number of the wrong signature, in a later turn."""
        self._batch.append(message)
        self._batch.append(key)
        self._batch_bytes += len(message) + 40
        self.waiting_bytes += len(message) + 40
        self._verdicts.append(verdict)
        self.waiting += 1
        if len(self._verdicts) >= BATCH_MESSAGES or self._batch_bytes >= BATCH_BYTES:
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
        self._ready.append((msgpack.packb(self._batch), self._verdicts, self._batch_bytes))
        self._batch, self._verdicts, self._batch_bytes = [], [], 0
        self._hand_out()

    def _hand_out(self) -> None:
        while self._ready:
            worker = min(self._workers, key=lambda w: len(w.asked))
            if len(worker.asked) >= WORKER_WINDOW:
                return
            try:
                worker.sock.send(self._ready[0][0])
            except BlockingIOError:
                return  # its buffer is full, so it owes us an answer, and we come back with that
            worker.asked.append(self._ready.popleft()[1:])

    def _answered(self, worker: _Worker) -> None:
        try:
            results = worker.sock.recv(65_536)
        except BlockingIOError:
            return
        if not results:
            raise RuntimeError(f"signature worker {worker.pid} has died")
        verdicts, size = worker.asked.popleft()
        self._hand_out()
        self.waiting -= len(verdicts)
        self.waiting_bytes -= size
        for verdict, result in zip(verdicts, results, strict=True):
            verdict(result)
        self._on_room()

    def close(self) -> None:
        """End the workers and reap them. What was not checked is given up, also what this turn was about to send."""
        self._verdicts.clear()
        self._ready.clear()
        for worker in self._workers:
            self._loop.remove_reader(worker.sock.fileno())
        stop_workers([(worker.pid, worker.sock) for worker in self._workers])
