"""A connection as the hub of the MSG bus sees it, wherever its socket is: here, in a thread, or in another process.

The holder of the socket answers pings, and says nothing of them. What else the peer says is told to the hub, one
message at a time; what the hub says goes out in that order. Events are called on the hub's loop.
"""

from typing import Protocol

from wire.control.control_wire import PeerInfo


class Line(Protocol):
    """One live connection. After `end`, or when the connection is given away, no event of it is called any more."""

    @property
    def peer(self) -> PeerInfo:
        """Who it is."""

    def say(self, message: bytes) -> None:
        """Send this to the peer, its type first, behind all that was said before. Never blocks, never fails."""

    def pause(self) -> None:
        """Hear nothing: `heard` is not called until `resume`, not even for what has been read already."""

    def resume(self) -> None:
        """Hear on, from the next turn of the loop."""

    def end(self, reason: str, last_words: list[bytes]) -> None:
        """Close, after what was said before and these messages have gone out, or after a few seconds."""


class LineEvents(Protocol):
    """What happens on lines: the hub's side."""

    def heard(self, line: Line, message: bytes) -> bool:
        """The peer has said this. False: the line is gone, by `end` or given away; nothing more may be decrypted."""

    def sent(self, line: Line, count: int) -> None:
        """So many messages of `say`, the oldest ones, have been encrypted for the socket. Never called within `say`,
        `heard`, or any other call of the hub's.
        """

    def ended(self, line: Line, reason: str) -> None:
        """The connection has ended by itself: its last event."""
