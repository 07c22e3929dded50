"""What a control channel keeps of a message that waits: for room in the socket, or for its reply."""

import asyncio

from wire.control.control_message import ControlMessage, Refusal, Reply, Request
from wire.start.late_dataclass import dataclass


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
