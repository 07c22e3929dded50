"""Sockets by hand: what a resolver may hold up."""

import subprocess
import sys

HANGS = """
import asyncio, contextlib, socket, threading
from wire.net.sockman.sockets import resolve
from wire.net.sockman.sockman import SocketAddress

asked, real = threading.Event(), socket.getaddrinfo

def hang(host, port, *more, flags=0, **others):
    if flags & socket.AI_NUMERICHOST:
        return real(host, port, *more, flags=flags, **others)
    asked.set()
    threading.Event().wait()

async def main():
    socket.getaddrinfo = hang
    task = asyncio.create_task(resolve(SocketAddress("tcp", "proxy.example", 9050)))
    await asyncio.to_thread(asked.wait)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

asyncio.run(main())
print("ended")
"""


def test_a_resolver_that_hangs_does_not_hold_up_the_end() -> None:
    ended = subprocess.run([sys.executable, "-P", "-c", HANGS], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "ended\n"
