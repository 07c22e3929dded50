"""A small server of JSON-RPC in a thread, and `lightning-cli-py` as a process against it."""

import asyncio
import contextlib
import os
import pty
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from lightningd_py.rpc.jsonrpc import Command, RpcServer


@contextlib.contextmanager
def answering(base: Path, commands: Sequence[Command]) -> Iterator[Path]:
    """`base` as a lightning-dir in which a server answers for regtest, in a thread of its own."""
    (base / "regtest").mkdir()
    ready, loop, done = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        server = RpcServer(commands)
        await server.start(base / "regtest" / "lightning-rpc")
        ready.set()
        await done.wait()
        await server.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    yield base
    loop.call_soon_threadsafe(done.set)
    thread.join()
    loop.close()


def cli(directory: Path, *words: str | bytes) -> subprocess.CompletedProcess[str]:
    """What it has printed, and how it has ended."""
    command = [sys.executable, "-P", "-m", "lightningd_py.cli", f"--lightning-dir={directory}", "--regtest", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def in_terminal(directory: Path, *words: str, columns: int = 80, **environment: str) -> list[str]:
    """What stands on a terminal of so many columns after the command."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, columns))
    command = [sys.executable, "-m", "lightningd_py.cli", f"--lightning-dir={directory}", "--regtest", *words]
    asked = {"PYTHONIOENCODING": "utf-8", "TERM": "xterm-256color", **environment}
    inherited = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    subprocess.run(command, stdin=slave, stdout=slave, stderr=slave, timeout=60, env=inherited | asked, check=False)
    os.close(slave)
    shown = os.read(master, 1 << 16).decode()
    os.close(master)
    return shown.splitlines()
