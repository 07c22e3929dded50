"""The processes that check signatures: what they do, and who starts them.

A worker that dies or hangs is replaced. It is forked by a small process, the nursery, which was itself forked before
gossipd met a peer: so a worker never has a copy of gossipd's memory, with the keys of connections in it, nor of its
fds. Worker processes, not threads: measured, two threads lose most of their speed as soon as the main thread computes
(docs/performance.md).
"""

import contextlib
import os
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

import msgpack

from wire.control.landlock import restrict_files
from wire.control.privilege import name_process
from wire.control.status import Status
from wire.gossip_layout import (
    CHANNEL_ANNOUNCEMENT,
    CHANNEL_SIGNED,
    CHANNEL_UPDATE,
    NODE_ANNOUNCEMENT,
    SIGNED,
    channel_keys,
    channel_signatures,
    node_id_of,
    signature_of,
)
from wire.gossip_v2.signatures import holds
from wire.secp256k1 import first_wrong

GOOD = 0
"""All signatures hold. Otherwise the number, from 1, of the first that does not: their order is the message's own."""

LARGEST_BATCH = 128 * 1024
"""Bytes of a datagram: less than SO_SNDBUF lets through, and what control messages have, too."""
NURSERY_PATIENCE = 5.0
"""Seconds to wait for a new worker; it takes a millisecond or two."""

_START = b"start"
_PID_SIZE = 8


def check(message: bytes, key: bytes) -> int:
    """GOOD, or which signature of a well-formed gossip message is wrong. BOLT 7.

    `key` is the node_id that must have signed a channel_update; the other two carry theirs (B7-57, B7-68). Gossip v2's:
    as `wire.gossip_v2.signatures` wants it.
    """
    number = message[0] << 8 | message[1]
    if number == CHANNEL_ANNOUNCEMENT:
        signed = message[CHANNEL_SIGNED:]
        return first_wrong(signed, channel_signatures(message), channel_keys(message), 2)  # a bitcoin key comes once
    if number == NODE_ANNOUNCEMENT:
        key = node_id_of(message)
    elif number != CHANNEL_UPDATE:
        return GOOD if holds(message, key) else 1
    return first_wrong(message[SIGNED:], [signature_of(message)], [key], 1)


def work(sock: socket.socket) -> None:
    """A worker's life: a batch `[message, key, message, key, ...]` in, a byte for each message out, until EOF."""
    room = memoryview(bytearray(LARGEST_BATCH))  # once: to allocate it takes longer than to receive
    while size := sock.recv_into(room):
        parts = msgpack.unpackb(room[:size], use_list=False)
        sock.send(bytes(map(check, parts[0::2], parts[1::2])))


class Workers:
    """Starts and ends workers, through the nursery. To be made before there is an event loop or another thread."""

    def __init__(self, count: int) -> None:
        """`count`: how many there should be at a time."""
        self.count = count
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.nursery = os.fork()
        if not self.nursery:
            _become(theirs, "gossipd-workers", _nurse)
        theirs.close()
        self._sock.settimeout(NURSERY_PATIENCE)

    def start(self) -> tuple[int, socket.socket]:
        """A new worker: its pid and our end of its socket. OSError if there can be none."""
        self._sock.send(_START)
        answer, fds, _, _ = socket.recv_fds(self._sock, _PID_SIZE, 1)
        if not fds:
            raise ConnectionError("no signature worker can be started")
        sock = socket.socket(fileno=fds[0])
        sock.setblocking(False)
        sock.set_inheritable(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LARGEST_BATCH)
        return int.from_bytes(answer, "big"), sock

    def end(self, pid: int, sock: socket.socket) -> None:
        """End a worker, whatever it is doing: it has nothing to lose. It is reaped by its parent."""
        sock.close()
        with contextlib.suppress(OSError):
            self._sock.send(pid.to_bytes(_PID_SIZE, "big"))

    def close(self) -> None:
        """End all of them, and the nursery. Harmless if closed already."""
        if self._sock.fileno() >= 0:
            self._sock.close()
            os.waitpid(self.nursery, 0)


def _nurse(sock: socket.socket) -> None:
    """The nursery's life: it starts workers, and reaps those that are to end, so that no pid is used again before."""
    pids: set[int] = set()
    with contextlib.suppress(ConnectionError):  # its master has gone in the midst of it
        while request := sock.recv(_PID_SIZE):
            if request == _START:
                _answer(sock, pids)
            elif (pid := int.from_bytes(request, "big")) in pids:
                pids.remove(pid)
                _end(pid)
    for pid in pids:
        _end(pid)


def _answer(sock: socket.socket, pids: set[int]) -> None:
    try:
        pid, ours = _start_worker()
    except OSError:
        sock.send(bytes(_PID_SIZE))
        return
    pids.add(pid)
    with ours:
        socket.send_fds(sock, [pid.to_bytes(_PID_SIZE, "big")], [ours.fileno()])


def _start_worker() -> tuple[int, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        pid = os.fork()
    except OSError:
        ours.close()
        theirs.close()
        raise
    if not pid:
        _become(theirs, "gossipd-sigs", work)
    theirs.close()
    return pid, ours


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _become(sock: socket.socket, name: str, live: Callable[[socket.socket], None]) -> NoReturn:
    """In the child: keep the one socket and standard error, and never return."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        name_process(name)
        keep = sock.fileno()
        os.closerange(3, keep)
        os.closerange(keep + 1, 65_536)
        restrict_files(Status(name))
        live(sock)
        status = 0
    finally:
        os._exit(status)
