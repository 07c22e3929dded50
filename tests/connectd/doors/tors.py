"""Tor's control port for tests: Debian's tor without a network, and one of our own that can misbehave."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.harness.ports import free_port

COOKIE = bytes(range(32))
SERVICE = "a" * 55 + "d"
KEY = "ED25519-V3:" + base64.b64encode(bytes(range(64))).decode()
SERVER_HASH = b"Tor safe cookie authentication server-to-controller hash"
CONTROLLER_HASH = b"Tor safe cookie authentication controller-to-server hash"


class FakeTor:
    """A control port. `methods` are offered; `replies` replaces what is answered to a command."""

    def __init__(self, methods: str = "NULL", cookie_file: Path | None = None, **replies: str | None) -> None:
        self.methods = methods
        self.cookie_file = cookie_file
        self.replies = replies
        self.heard: list[str] = []
        self.address = ""
        self.hello = b""
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._nonces = b""
        self._conversations = asyncio.Semaphore(0)

    @contextlib.asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator["FakeTor"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            self.hang_up()
            await asyncio.gather(*self._tasks)

    def hang_up(self) -> None:
        """On everybody."""
        for writer in self._writers:
            writer.close()

    async def heard_of_services(self, count: int) -> None:
        """Waits until so many were added."""
        async with asyncio.timeout(60):
            for _ in range(count):
                await self._conversations.acquire()

    def services(self) -> list[str]:
        """The ADD_ONION commands."""
        return [line for line in self.heard if line.startswith("ADD_ONION")]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if task := asyncio.current_task():
            self._tasks.add(task)
        writer.write(self.hello)
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while line := (await reader.readline()).decode().rstrip("\r\n"):
                self.heard.append(line)
                command = line.split(" ", 1)[0]
                answer = self.replies.get(command, getattr(self, command.lower(), lambda _: "510 what?")(line))
                if answer is None:
                    await reader.read()
                    return
                writer.write(answer.replace("\n", "\r\n").encode() + (b"\r\n" if answer else b""))
                if not answer:
                    return
                if command == "ADD_ONION":
                    self._conversations.release()

    def protocolinfo(self, line: str) -> str:
        file = f' COOKIEFILE="{self.cookie_file}"' if self.cookie_file else ""
        return f'250-PROTOCOLINFO 1\n250-AUTH METHODS={self.methods}{file}\n250-VERSION Tor="0.4.8.9"\n250 OK'

    def authchallenge(self, line: str) -> str:
        self._nonces = bytes.fromhex(line.split()[2]) + bytes(32)
        server = hmac.digest(SERVER_HASH, COOKIE + self._nonces, hashlib.sha256)
        return f"250 AUTHCHALLENGE SERVERHASH={server.hex().upper()} SERVERNONCE={bytes(32).hex()}"

    def authenticate(self, line: str) -> str:
        wanted = {
            "NULL": "AUTHENTICATE",
            "HASHEDPASSWORD": r'AUTHENTICATE "se\"cret\\"',
        }.get(self.methods)
        if "SAFECOOKIE" in self.methods:
            wanted = "AUTHENTICATE " + hmac.digest(CONTROLLER_HASH, COOKIE + self._nonces, hashlib.sha256).hex()
        return "250 OK" if line == wanted else "515 Authentication failed: wrong"

    def add_onion(self, line: str) -> str:
        key = f"\n250-PrivateKey={KEY}" if "NEW:" in line else ""
        return f"250-ServiceID={SERVICE}{key}\n250 OK"


@contextlib.contextmanager
def real_tor(directory: Path, *options: str) -> Iterator[str]:
    """Debian's tor, which connects to no other; its control port. Skips where it is not installed."""
    program = shutil.which("tor")
    if program is None:
        pytest.skip("tor is not installed")
    port = free_port()
    base = [program, "--DisableNetwork", "1", "--SocksPort", "0", "--ignore-missing-torrc", "-f", str(directory / "no")]
    where = ["--DataDirectory", str(directory), "--ControlPort", f"127.0.0.1:{port}"]
    process = subprocess.Popen([*base, *where, *options], stdout=subprocess.DEVNULL)
    try:
        _wait_for(process, port)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Asks again and again: Tor does not tell when it is ready."""
    while process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 10):
            return
        time.sleep(0.02)
    pytest.fail("tor does not start")


def hashed(password: str) -> str:
    """What tor's HashedControlPassword wants."""
    done = subprocess.run(["tor", "--quiet", "--hash-password", password], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]
