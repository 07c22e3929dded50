"""Attacks with connections: many, silent, half done, rude."""

import asyncio
import base64
import contextlib
import os
from collections.abc import Awaitable, Callable

from tests.harness.siege.attacker import MOST, PAUSE, Attacker
from tests.harness.siege.stranger import LOST, Stranger
from wire.features import Features
from wire.noise import ACT_ONE_SIZE
from wire.peer_wire import ErrorMessage, WarningMessage

ALL_CHANNELS = bytes(32)
EMPTY_FRAME = b"\x82\x80\0\0\0\0"
FEATURES = Features(b"\x80" + bytes(59_999))
"""Bit 479,999, which is odd, and all the zeros below it."""


async def huge_inits(at: Attacker) -> None:
    """Ten peers whose features fill a message."""

    async def one(source: str) -> None:
        for _ in range(MOST):
            with contextlib.suppress(*LOST):
                async with await at.connect(source, FEATURES) as peer:
                    await peer.swallow()
            await asyncio.sleep(PAUSE)

    await asyncio.gather(*(one(at.source(18)) for _ in range(10)))


async def warnings_and_errors(at: Attacker) -> None:
    """60,000 bytes of text each, without end."""
    text = b"you do not please us, " * 2_700
    await at.flood([WarningMessage(ALL_CHANNELS, text).encode()] * 2, at.source(19))


async def small_warnings(at: Attacker) -> None:
    """Thousands of one byte."""
    one, other = WarningMessage(ALL_CHANNELS, b"w").encode(), ErrorMessage(bytes([1]) * 32, b"e").encode()
    await at.flood([one, other] * 500, at.source(20))


async def connect_and_leave(at: Attacker) -> None:
    """Handshake, INIT, and away."""

    async def leave(_: Stranger) -> None:
        return

    await asyncio.gather(*(at.again(leave) for _ in range(4)))


async def silent_crowd(at: Attacker) -> None:
    """100 of one address that say nothing after INIT, and come again when they are ended."""
    await asyncio.gather(*(at.again(Stranger.swallow) for _ in range(100)))


async def half_handshakes(at: Attacker) -> None:
    """Nothing, half of act one, act one without act three, a wrong act three, a handshake without INIT."""

    async def nothing(_: Stranger) -> None:
        return

    async def half(peer: Stranger) -> None:
        await peer.send_raw(bytes(ACT_ONE_SIZE // 2))

    async def wrong(peer: Stranger) -> None:
        await peer.shake_hands(spoil=lambda act, data: data if act == "act one" else data[:-1] + b"\0")

    async def no_init(peer: Stranger) -> None:
        await peer.shake_hands()

    ways = [nothing, half, wrong, no_init]
    await asyncio.gather(*(_at_the_door(at, ways[number % 4], at.source(21 + number // 10)) for number in range(40)))


async def _at_the_door(at: Attacker, way: Callable[[Stranger], Awaitable[None]], source: str) -> None:
    """Come as far as this, wait for two seconds or for the end, and come again."""
    for _ in range(MOST):
        with contextlib.suppress(*LOST):
            async with await Stranger.dial_from(at.target, source) as peer:
                at.figures["connections"] += 1
                await way(peer)
                await peer.hangs_up(timeout=2)
        await asyncio.sleep(PAUSE)


async def empty_frames(at: Attacker) -> None:
    """WebSocket frames without a byte in them, over 20 connections."""
    await asyncio.gather(*(_empty_frames(at) for _ in range(20)))


async def _empty_frames(at: Attacker) -> None:
    host, _, port = at.web.rpartition(":")
    key = base64.b64encode(os.urandom(16)).decode()
    request = f"GET / HTTP/1.1\r\nHost: {at.web}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    request += f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    for _ in range(MOST):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(host, int(port), local_addr=(at.source(26), 0))
            try:
                at.figures["connections"] += 1
                writer.write(request.encode())
                await reader.readuntil(b"\r\n\r\n")
                while True:
                    writer.write(EMPTY_FRAME * 2_000)
                    await writer.drain()
                    at.figures["frames"] += 2_000
            finally:
                writer.close()
        await asyncio.sleep(PAUSE)
