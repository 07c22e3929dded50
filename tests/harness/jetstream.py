"""A real nats-server, recorders that send to it and archives that read from it, for tests of the whole."""

import asyncio
import contextlib
import hashlib
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Self

import pytest

from lightningd_py.observatory.replay.publisher import Publisher
from tests.harness.observatories import PATIENCE, PROGRAM, Recording, arrivals_of, observe, until

SERVER = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
PEER = bytes([2]) * 33


class NatsServer:
    """On a port of loopback. `kill` and `start` again keep what it has."""

    def __init__(self, folder: Path, *options: str) -> None:
        if SERVER is None:
            pytest.skip("nats-server is not installed")
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.port = sock.getsockname()[1]
        self._words = [SERVER, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(folder / "nats"), *options]
        self._log = (folder / "nats.log").open("ab")
        self.url = f"nats://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Until it takes connections."""
        self.process = subprocess.Popen(self._words, stdout=self._log, stderr=self._log)
        try:
            until(self._answers, "nats-server")
        except AssertionError:
            self.__exit__()
            raise

    def _answers(self) -> bool:
        assert self.process.poll() is None, Path(self._log.name).read_text()
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1.0) as sock:
                return sock.recv(5) == b"INFO "
        except OSError:
            return False

    def kill(self) -> None:
        """As it may happen at any time."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._log.close()


class Proxy:
    """Between a client and the server; `end_for_good` is what the server would say to a user who has expired."""

    def __init__(self, server: NatsServer) -> None:
        self._server = server
        self.connections: list[asyncio.StreamWriter] = []
        self._serving: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> str:
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1")
        return f"nats://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for writer in self.connections:
            writer.close()
        await asyncio.gather(*self._serving)

    def end_for_good(self) -> None:
        """After this nats-py makes no other connection by itself. A server closes then."""
        self.connections[-1].write(b"-ERR 'User Authentication Expired'\r\n")
        self.connections[-1].close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        current = asyncio.current_task()
        assert current is not None
        self._serving.append(current)
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server.port)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._carry(reader, to_server))
            both.create_task(self._carry(from_server, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()


class Archiving(Recording):
    """`lightning-observatory archive`; usable as `with`, whose end it must end well."""

    def __init__(self, folder: Path, server: NatsServer, *options: str) -> None:
        words = [str(PROGRAM), "archive", str(folder), "--nats", server.url, "--network", "regtest", *options]
        self.process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)


class Talk:
    """A feed that says arrivals, until `end`. Each message is said by two peers."""

    def __init__(self, path: Path, rate: int = 1_000) -> None:
        """`rate`: arrivals a second."""
        self.path = path
        self.said: Counter[bytes] = Counter()
        self._rate = rate
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._talk)
        self._thread.start()
        until(path.exists, "the feed")

    def _talk(self) -> None:
        with Publisher(self.path, vantage=self.path.stem, epoch=7) as publisher:
            number = 0
            while not self._ending.wait(0.05):
                if not publisher.has_subscriber():
                    continue
                for _ in range(self._rate // 40):
                    number += 1
                    raw = b"\x01\x02" + hashlib.sha256(str(number).encode()).digest() * 4
                    for conn_id in (1, 2):
                        self.said[hashlib.sha256(raw).digest()[:16]] += 1
                        about = {"node_id": PEER, "conn_id": conn_id, "incoming": False, "outcome": "new"}
                        publisher.say("gossip.channel_update", time.time_ns(), reason="", raw=raw, **about)

    def end(self) -> None:
        """Say no more."""
        self._ending.set()
        self._thread.join()


def recording(folder: Path, talk: Talk, server: NatsServer, *options: str) -> Recording:
    """A recorder of it that sends to the server."""
    about = ("--store", "none", "--nats", server.url, "--network", "regtest")
    return Recording(folder, talk.path, "--vantage", talk.path.stem, *about, *options)


def make_streams(server: NatsServer, *options: str) -> str:
    """`lightning-observatory init`."""
    return observe("init", "--nats", server.url, "--network", "regtest", *(options or ("--max-bytes", "64M")))


def same_arrivals(archive: Path, *records: Path) -> bool:
    """Whether the archive has exactly the rows of these recorders."""
    wanted: Counter[tuple[str, bytes, bytes]] = Counter()
    for record in records:
        wanted += arrivals_of(record)
    return archive.exists() and wanted.total() > 0 and arrivals_of(archive) == wanted


__all__ = ["PATIENCE", "Archiving", "NatsServer", "Proxy", "Talk", "make_streams", "recording", "same_arrivals"]
