"""Scripted peers that say messages at given times, each on a connection of its own, and note when they did.

A connection may be down for a while: what was to be said then is left out. Before it closes there is a ping and its
pong, so all that was said has been taken.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from wire import secp256k1
from wire.noise import HandshakeError

SYNC_TIME, FOR_EVER = 60.0, 1e6
MOST_AT_ONCE = 200
"""Messages in one write."""


class Due(NamedTuple):
    """A message, and when: seconds from the beginning."""

    at: float
    raw: bytes


class Script(NamedTuple):
    """What one peer says to one node. `secret` is its key; `down`: stretches (from, to) in which it is not connected,
    in their order."""

    target: str
    secret: bytes
    says: Sequence[Due]
    down: Sequence[tuple[float, float]] = ()

    @property
    def node_id(self) -> bytes:
        """The peer's own."""
        return secp256k1.public_key(self.secret)


Note = Callable[[Script, int, bytes], None]
"""Gets the script, unix nanoseconds just before the message was given to the socket, and the message."""


def parts(script: Script) -> Iterator[tuple[float, list[Due]]]:
    """When each connection of a script begins, and what is said over it."""
    ends = [*script.down, (float("inf"), float("inf"))]
    begin = 0.0
    for down, up in ends:
        yield begin, [due for due in script.says if begin <= due.at < down]
        begin = up


async def speak(script: Script, network: str, began: float, note: Note) -> None:
    """Say it all; `began` is the loop's time of the script's 0. Raises ObservatoryError if the node hangs up."""
    loop = asyncio.get_running_loop()
    for begin, says in parts(script):
        if begin == float("inf"):
            return
        await asyncio.sleep(began + begin - loop.time())
        try:
            peer = await ScriptedPeer.connect(script.target, privkey=script.secret, networks=[network])
            async with peer:
                await _say(peer, says, began, lambda at, raw: note(script, at, raw))
        except (OSError, PeerClosed, HandshakeError, TimeoutError) as error:
            what = str(error) or type(error).__name__
            raise ObservatoryError(f"{script.target.partition('@')[2]} does not listen any more: {what}") from error


async def _say(peer: ScriptedPeer, says: list[Due], began: float, note: Callable[[int, bytes], None]) -> None:
    loop = asyncio.get_running_loop()
    listening = asyncio.create_task(_listen(peer))
    try:
        place = 0
        while place < len(says):
            await asyncio.sleep(began + says[place].at - loop.time())
            now = loop.time() - began
            stop = place
            while stop < len(says) and says[stop].at <= now and stop - place < MOST_AT_ONCE:
                stop += 1
            at = time.time_ns()
            await peer.say(*(due.raw for due in says[place:stop]))
            for due in says[place:stop]:
                note(at, due.raw)
            place = stop
    finally:
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError, PeerClosed):
            await listening
    await peer.sync(timeout=SYNC_TIME)


async def _listen(peer: ScriptedPeer) -> None:
    """Answer pings; what else the node says is of no interest."""
    with contextlib.suppress(PeerClosed):
        while True:
            await peer.hear(timeout=FOR_EVER)


async def speak_all(scripts: Sequence[Script], network: str, note: Note, head_start: float = 0.0) -> None:
    """All of them, side by side; the first that fails ends all. `head_start`: seconds before the scripts' 0, in which
    they connect. Raises ObservatoryError."""
    began = asyncio.get_running_loop().time() + head_start
    try:
        async with asyncio.TaskGroup() as group:
            for script in scripts:
                group.create_task(speak(script, network, began, note))
    except* ObservatoryError as errors:
        raise errors.exceptions[0] from None
