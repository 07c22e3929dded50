"""What a control channel keeps of a message that waits: for room in the socket, or for its reply."""

import asyncio
import errno
from collections.abc import Callable
from typing import TypeVar

from wire.control.control_message import ControlMessage, Refusal, Reply, Request
from wire.start.late_dataclass import dataclass

T = TypeVar("T")

NO_RESOURCES = (errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Errors of `sendmsg` after which a message is sent again later."""
NO_READER = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN)
"""Errors of `sendmsg` that say that the other end is gone."""


class DirectFuture(asyncio.Future[T]):
    """A future of which the one that waits goes on in the very call that sets it, by `on_done`: a coroutine that is
    driven by what it waits for (`connectd.tasks`). A task that awaits it goes on in the next turn of the loop, as ever.

    A turn is 8 to 12 µs, and a handshake waits for four things.
    """

    on_done: Callable[[], None] | None = None

    def set_result(self, result: T) -> None:
        """As any future's."""
        super().set_result(result)
        if self.on_done is not None:
            self.on_done()

    def set_exception(self, exception: type | BaseException) -> None:
        """As any future's."""
        super().set_exception(exception)
        if self.on_done is not None:
            self.on_done()


class RequestFailed(Exception):
    """The other end answered a request with a refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.error)
        self.refusal = refusal


class ChannelClosed(Exception):
    """The channel is closed: the message was not sent, or its reply will not come."""


@dataclass(slots=True, eq=False)
class Outgoing:
    """A message that waits for room in the socket, encoded."""

    message: ControlMessage
    datagram: bytes
    fds: list[int]


@dataclass(slots=True, eq=False)
class Asked:
    """A request and the future that waits for its reply."""

    request: Request
    future: asyncio.Future[Reply]
