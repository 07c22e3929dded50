"""Runs in pyln's environment: CPU µs to send and to receive messages of COUNT and SIZE with pyln-proto, in memory."""

import os
import sys
import time

from pyln.proto.primitives import PrivateKey
from pyln.proto.wire import LightningConnection


class Tape:
    """A connection that keeps what is sent, and gives it back when rewound."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.data = b""
        self.at = 0

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def rewind(self) -> None:
        self.data = b"".join(self.sent)

    def recv(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]


def main() -> None:
    """Sender and receiver are one object, as both directions have the same keys."""
    count, size = map(int, sys.argv[1:])
    tape = Tape()
    peer = LightningConnection(tape, None, PrivateKey(os.urandom(32)), False)
    peer.sk = peer.rk = peer.sck = peer.rck = bytes(32)
    message = bytes(size)
    begin = time.process_time()
    for _ in range(count):
        peer.send_message(message)
    sent = time.process_time()
    tape.rewind()
    rewound = time.process_time()
    for _ in range(count):
        peer.read_message()
    print((sent - begin) / count * 1e6, (time.process_time() - rewound) / count * 1e6)


main()
