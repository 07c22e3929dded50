"""Last words arrive, or time is up; the socket is closed in any case."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from wire.net.sockman.farewell import Farewell, Farewells


class Parting:
    """A farewell and the end of the one who is left."""

    def __init__(self, words: bytes, timeout: float = 30.0) -> None:
        ours, self.other = socket.socketpair()
        ours.setblocking(False)
        self.other.setblocking(False)
        self.all = Farewells()
        self.sock = ours
        self.farewell = Farewell(ours, bytearray(words), asyncio.get_running_loop(), timeout, self.all)

    async def hears(self) -> bytes:
        """All until the end."""
        heard = b""
        async with asyncio.timeout(60):
            while data := await asyncio.get_running_loop().sock_recv(self.other, 65_536):
                heard += data
        return heard

    async def over(self) -> None:
        """Wait until it has closed."""
        async with asyncio.timeout(60):
            while self.all:  # noqa: ASYNC110 - it does not tell
                await asyncio.sleep(0)
        assert self.sock.fileno() == -1


@pytest.fixture
async def parting(request: pytest.FixtureRequest) -> AsyncIterator[Parting]:
    """With a megabyte to say."""
    parting = Parting(bytes(range(256)) * 4_000)
    yield parting
    for farewell in list(parting.all):
        farewell.end()
    parting.other.close()


async def test_all_is_said_and_then_the_end(parting: Parting) -> None:
    assert await parting.hears() == bytes(range(256)) * 4_000
    assert parting.all, "until the other end closes too"
    parting.other.close()
    await parting.over()


async def test_what_the_other_one_says_is_thrown_away(parting: Parting) -> None:
    """Unread, it would reset the connection and our last words with it."""
    saying = asyncio.create_task(asyncio.get_running_loop().sock_sendall(parting.other, bytes(3_000_000)))
    assert await parting.hears() == bytes(range(256)) * 4_000
    await saying
    parting.other.close()
    await parting.over()


async def test_other_end_closes_without_listening(parting: Parting) -> None:
    parting.other.close()
    await parting.over()


async def test_time_is_up() -> None:
    parting = Parting(bytes(5_000_000), timeout=0.02)
    await parting.over()
    parting.other.close()


async def test_nothing_to_say() -> None:
    parting = Parting(b"")
    assert await parting.hears() == b""
    parting.other.close()
    await parting.over()


async def test_end_at_once(parting: Parting) -> None:
    parting.farewell.end()
    assert parting.sock.fileno() == -1
    assert not parting.all
