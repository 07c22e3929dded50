"""What the movers of all daemons share: one process gives all that it has to the next one of its kind, or goes on.

Until the next one has said that it has all, the old one has lost nothing: it sends copies of its fds, and closes its
own ones at the end. `gossipd/moving.py`, `connectd/moving.py`, `connectd/connectiond/moving.py`, and
`connectd/websocketd/moving.py` say what is moved.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from wire.control.control_channel import ChannelClosed, ControlChannel, RequestFailed
from wire.control.control_message import ControlError, ControlMessage, Fd, Reply, Request
from wire.control.daemon import inherited_socket
from wire.start.late_dataclass import dataclass

MOVE_TIME = 10.0
"""Seconds for all that the next one has to take before it serves; if it takes longer it has failed."""
COPIES = 64
"""States whose fds are here twice at a time."""
LOOK = 0.005
"""Seconds between two looks at something that nothing tells of."""
FAILURES = (RequestFailed, ChannelClosed, ControlError, TimeoutError, OSError)
"""What the next one's failure is seen by."""

T = TypeVar("T")


class MoveFailed(Exception):
    """The next one does not take all; one sentence. Nothing has moved."""


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """What moves, in our hands: the fds are ours, the next one gets copies."""

    moved: T
    fds: tuple[int | None, ...]

    def copies(self) -> list[Fd | None]:
        """Of the fds. Raises OSError if there are none left, and then there are no copies."""
        copies: list[Fd | None] = []
        try:
            for fd in self.fds:
                copies.append(None if fd is None else Fd(os.dup(fd)))
        except OSError:
            for copy in filter(None, copies):
                os.close(copy)
            raise
        return copies

    def close(self) -> None:
        """Let go of it."""
        for fd in self.fds:
            if fd is not None:
                os.close(fd)


async def give(
    successor: ControlChannel, held: Iterable[Held[T]], message: Callable[[Held[T]], Request], reply: type[Reply]
) -> None:
    """Have the next one take each of these. `message` makes copies of its fds. Raises FAILURES."""
    copies = asyncio.Semaphore(COPIES)

    async def give_one(one: Held[T]) -> None:
        async with copies:
            await successor.request(message(one), reply)

    giving = [asyncio.ensure_future(give_one(one)) for one in held]
    try:
        await asyncio.gather(*giving)
    except BaseException:
        for each in giving:
            each.cancel()
        await asyncio.gather(*giving, return_exceptions=True)
        raise


def successor_at(fd: Fd, *, window: int = 64) -> ControlChannel:
    """The channel to the next one, which may be of any version: only replies are heard."""

    def refuse(message: ControlMessage) -> None:
        channel.refuse(message)

    sock = inherited_socket(str(fd))
    channel = ControlChannel(sock, "successor", refuse, lambda reason: None, window=window, foreign=True)
    return channel


def close_channel(channel: ControlChannel) -> None:
    """Say no more there; what was not sent goes with its fds."""
    for unsent in channel.close():
        unsent.close_fds()


def reason_of(failure: Exception) -> str:
    """Why the next one does not take all, for people."""
    if isinstance(failure, TimeoutError):
        return f"it has not taken all within {MOVE_TIME:g} s"
    return str(failure) or type(failure).__name__


async def soon(is_so: Callable[[], bool], seconds: float) -> bool:
    """Wait until it is so, so many seconds at most; whether it is."""
    for _ in range(int(seconds / LOOK)):
        if is_so():
            return True
        await asyncio.sleep(LOOK)
    return is_so()
