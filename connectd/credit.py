"""Numbers and credit of the messages of one connection and one service, in each direction. Knows no sockets.

Each message has a number, counted from 1; nobody sends more than the receiver has given room for. So a lost message is
noticed, and what waits anywhere is bounded.
"""

from wire.bus_wire import MAX_CREDIT


class CreditError(Exception):
    """The other end has lost count, or sends more than it may. The text is one sentence for it."""


class Sending:
    """What we send. `credit` messages may be sent now."""

    __slots__ = ("credit", "seq")

    def __init__(self, credit: int) -> None:
        self.credit = credit
        self.seq = 0
        """Of the last message."""

    def next(self) -> int:
        """The number of a message that is sent now; there must be credit for it."""
        assert self.credit > 0
        self.credit -= 1
        self.seq += 1
        return self.seq

    def give(self, messages: int) -> None:
        """The receiver has room for so many more. Raises CreditError if that is too many."""
        if self.credit + messages > MAX_CREDIT:
            raise CreditError(f"credit for {self.credit + messages} messages is too much, {MAX_CREDIT} may be")
        self.credit += messages


class Receiving:
    """What we receive: at most `window` messages that we have not dealt with."""

    __slots__ = ("_credit", "_done", "_seq", "_window")

    def __init__(self, window: int) -> None:
        self._window = self._credit = window
        self._seq = 0
        self._done = 0

    def take(self, seq: int) -> None:
        """A message of this number has come. Raises CreditError."""
        if seq != self._seq + 1:
            raise CreditError(f"seq {seq} came where {self._seq + 1} was due")
        if not self._credit:
            raise CreditError(f"message {seq} came without credit for it")
        self._seq = seq
        self._credit -= 1

    def done(self, messages: int) -> int:
        """So many have been dealt with. Returns the credit to give now: nothing until half of the window is due."""
        self._done += messages
        if 2 * self._done < self._window:
            return 0
        given, self._done = self._done, 0
        self._credit += given
        return given
