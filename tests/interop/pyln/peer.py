"""A peer made of pyln-proto, driven by JSON lines (lines.py). Runs in pyln's own virtual environment.

listen -> port          accept -> their node_id          connect node_id host port
send messages (hex)     receive number count -> messages of this type (hex)
nonces -> [rn, sn]      close
"""

import os
import queue
import socket
import struct
import threading
from collections import defaultdict

import exact  # noqa: F401  # changes wire's connections
from lines import serve
from pyln.proto import wire

RECEIVE_TIMEOUT = 60.0
PING, PONG = 18, 19


class Peer:
    """One connection at a time; a thread reads it, answers pings, and sorts the rest by message type."""

    def __init__(self) -> None:
        self.key = wire.PrivateKey(os.urandom(32))
        self.inbox: dict[int, queue.Queue[bytes]] = defaultdict(queue.Queue)
        self.first_message = b""
        self.listener: wire.LightningServerSocket | None = None

    def node_id(self) -> str:
        return str(self.key.public_key().serializeCompressed().hex())

    def listen(self) -> int:
        self.listener = wire.LightningServerSocket(self.key)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        return int(self.listener.getsockname()[1])

    def accept(self) -> str:
        self.connection, _ = self.listener.accept()
        self._start_reading()
        return str(self.connection.remote_pubkey.serializeCompressed().hex())

    def connect(self, node_id: str, host: str, port: int) -> None:
        self.connection = wire.connect(self.key, bytes.fromhex(node_id), host, port)
        self._start_reading()

    def _start_reading(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                message = self.connection.read_message()
            except (ValueError, OSError):
                return
            self.first_message = self.first_message or message
            number, pong_bytes = struct.unpack("!HH", message[:4].ljust(4, b"\0"))
            if number == PING and pong_bytes < 65532:
                self.connection.send_message(struct.pack("!HH", PONG, pong_bytes) + bytes(pong_bytes))
            self.inbox[number].put(message)

    def send(self, messages: list[str]) -> None:
        for message in messages:
            self.connection.send_message(bytes.fromhex(message))

    def receive(self, number: int, count: int) -> list[str]:
        return [self.inbox[number].get(timeout=RECEIVE_TIMEOUT).hex() for _ in range(count)]

    def first(self) -> str:
        return self.first_message.hex()

    def close(self) -> None:
        self.connection.socket.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    peer = Peer()
    names = ("node_id", "listen", "accept", "connect", "send", "receive", "first", "close")
    serve({name: getattr(peer, name) for name in names})
