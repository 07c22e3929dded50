"""Daemons that are taken over: the real ones, which also do what a test tells them.

    python taken_over.py DIRECTORY gossipd,connectd OPTION...      the node, with these daemons so
    python -m tests.harness.taken_over DIRECTORY NAME ...          such a daemon, as that node starts it

A daemon listens on DIRECTORY/NAME, and does one thing for each line of JSON: `say` sends a datagram to the master, with
fds of these kinds; `open` tries to open a file. Nothing of it is in the daemons themselves.
"""

import asyncio
import json
import os
import runpy
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 0.3
"""Seconds that the master waits for connectd's word where that does not come."""
FDS: dict[str, Callable[[], list[int]]] = {
    "null": lambda: [os.open(os.devnull, os.O_RDWR)],
    "stream": lambda: [sock.detach() for sock in socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)],
    "packets": lambda: [sock.detach() for sock in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)],
}


def run_node(directory: str, names: str) -> None:
    """The node, with the daemons of these names taken over."""
    sys.path.insert(0, str(REPOSITORY))
    from lightningd_py.__main__ import main
    from lightningd_py.daemons import supervisor
    from lightningd_py.owners import claims
    from wire.start.python import command

    claims.HELD_TIME = PATIENCE
    os.environ["PYTHONPATH"] = str(REPOSITORY)
    taken = {supervisor.COMMANDS[name] for name in names.split(",")}

    def with_strings(module: str, *arguments: str) -> list[str]:
        if module in taken:
            return command("tests.harness.taken_over", directory, module, *arguments)
        return command(module, *arguments)

    supervisor.command = with_strings  # type: ignore[attr-defined]  # replaced on purpose
    sys.exit(main())


class Strings:
    """What a daemon is told by the test."""

    def __init__(self) -> None:
        self.master: Any = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Do what each line says, and answer with one."""
        while line := await reader.readline():
            order = json.loads(line)
            answer = getattr(self, order.pop("do"))(**order)
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()

    def say(self, datagram: str, fds: list[str]) -> None:
        """The first of the fds of a pair is sent, and the other one closed."""
        from wire.control.control_socket import transmit

        pairs = [FDS[kind]() for kind in fds]
        transmit(self.master, bytes.fromhex(datagram), [pair[0] for pair in pairs], 0)
        for pair in pairs:
            for fd in pair[1:]:
                os.close(fd)

    def open(self, path: str, write: bool) -> str:
        """What comes of it."""
        try:
            os.close(os.open(path, os.O_WRONLY if write else os.O_RDONLY))
        except OSError as error:
            return os.strerror(error.errno or 0)
        return "opened"


def run_daemon(directory: str, module: str) -> None:
    """The daemon, by its own `__main__`, with an ear for the test on its loop."""
    from wire.control import daemon
    from wire.control.control_channel import ControlChannel

    strings, run, init = Strings(), daemon.run, ControlChannel.__init__

    def remember(self: ControlChannel, sock: socket.socket, who: str, *rest: Any, **options: Any) -> None:
        init(self, sock, who, *rest, **options)
        if who == "master":
            strings.master = sock

    def run_with_strings(name: str, start: Callable[[Callable[[int], None]], Callable[[], None]]) -> int:
        def started(stop: Callable[[int], None]) -> Callable[[], None]:
            close = start(stop)
            listening = asyncio.start_unix_server(strings.serve, Path(directory) / name, limit=1 << 22)
            task = asyncio.get_running_loop().create_task(listening)
            return lambda: (task.cancel(), close())[1]

        return run(name, started)

    ControlChannel.__init__ = remember  # type: ignore[method-assign]
    daemon.run = run_with_strings
    sys.argv[0] = module
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    if "--" in "".join(sys.argv[3:4]):
        run_node(sys.argv.pop(1), sys.argv.pop(1))
    else:
        run_daemon(sys.argv.pop(1), sys.argv.pop(1))
