"""An owner's duties towards a live peer, written once: for gossipd, for connectiond, and for a service's program.

No sockets and no clock here: a message comes in, what is to be done about it comes out; time is an argument. What
waits for the peer is in an Outbox, what waits for gossipd in a GossipQueue (gossip_queue.py), and both are bounded:
nothing that an owner does may block without limit. docs/architecture.md, "The way of a peer".
"""

from collections import deque

from wire.control.control_message import Reply
from wire.control.control_wire import (
    PeerInfo,
    PeerMessage,
    PingReplyfail,
    Pong,
    SendMessageReply,
    SendMessageReplyfail,
)
from wire.control.status import LONGEST, Status, sane
from wire.cursor import WireError
from wire.net.gossip_queue import GossipQueue
from wire.net.pinger import NO_PONG, Pings, PongHandler
from wire.net.seldom_copies import SELDOM
from wire.peer_types import ALL_CHANNELS, channel_id_of, message_name
from wire.peer_wire import ErrorMessage, Ping, WarningMessage, decode
from wire.peer_wire import Pong as PeerPong
from wire.routing import Deed, Routes

ANSWERS_MARK = 16_384
"""Bytes of pongs that wait above which nothing more is taken from the peer: it must read them first."""
MAX_OUTBOX = 65_536
"""Bytes that may wait for a peer before the master is told that it does not take more."""
_ANSWER, _CLOSE = Deed.ANSWER, Deed.CLOSE  # before Python 3.12 a look at a member takes 0.1 µs
_COPY, _TROUBLE = Deed.COPY, Deed.TROUBLE
NOT_ANSWERING = "it does not answer pings"
NOT_READING = "it does not take what is sent to it"


class Flaw(Exception):
    """What a peer has said wrongly: the connection ends, with this text as a warning (B1-6, B1-7)."""

    @property
    def last_words(self) -> list[bytes]:
        """What the peer is told before the end."""
        return [WarningMessage(ALL_CHANNELS, str(self).encode()).encode()]


def deed_of(message: bytes, routes: Routes) -> Deed:
    """What is to be done about a message: never CLOSE. Raises Flaw for one over which the connection ends."""
    if len(message) < 2:
        raise Flaw("a message without a type")
    deed = routes.deed(message[0] << 8 | message[1])
    if deed is _CLOSE:  # B1-6
        raise Flaw(f"unknown even message type {message[0] << 8 | message[1]}")
    if deed is _TROUBLE or (deed is _COPY and message[0] << 8 | message[1] in SELDOM):
        _check(message)
    return deed


def _check(message: bytes) -> object:
    """The message, decoded. Raises Flaw where it is malformed (B1-7)."""
    try:
        return decode(message)
    except WireError as error:
        raise Flaw(f"{message_name(message[0] << 8 | message[1])}: {error}") from error


def log_trouble(status: Status, message: bytes, peer: PeerInfo) -> None:
    """Log an `error` or a `warning`, one that `deed_of` has seen."""
    trouble = decode(message)
    assert isinstance(trouble, ErrorMessage | WarningMessage)
    text = sane(trouble.data[: LONGEST + 1])
    status.by_stranger(trouble.name(), f"peer's {trouble.name()}: {text}", peer.node_id, peer.address)


class Duties:
    """Of one connection: pings and pongs, and what each other message is for."""

    __slots__ = ("_pings", "rtt_ns")

    def __init__(self) -> None:
        self._pings = Pings()
        self.rtt_ns: int | None = None
        """Nanoseconds between the pong that was heard last and its ping; None if that pong was not asked for."""

    def hear(self, message: bytes, routes: Routes) -> tuple[Deed, bytes]:
        """What is to be done, and with what; ANSWER if it is done. Raises Flaw for a message over which the connection
        ends.
        """
        deed = deed_of(message, routes)
        if deed is not _ANSWER:
            return deed, message
        match _check(message):
            case Ping(num_pong_bytes=wanted) if wanted < NO_PONG:  # B1-37; zeros never hold a secret (B1-38)
                return Deed.SAY, PeerPong(bytes(wanted)).encode()
            case PeerPong(ignored=ignored):
                self.rtt_ns = self._pings.heard(len(message), len(ignored))
        return _ANSWER, message

    def ping(self, num_pong_bytes: int, ignored_len: int, answered: PongHandler) -> bytes:
        """A ping, to be said now; `answered` is called when its pong has come, or at once if it asks for none."""
        self._pings.said(num_pong_bytes, answered)
        return Ping(num_pong_bytes, bytes(ignored_len)).encode()

    def leave(self) -> None:
        """The connection leaves: the pongs are not heard here."""
        self._pings.fail()


class SlowReader:
    """Whether a peer takes what waits for it."""

    __slots__ = ("_mark", "since")

    def __init__(self) -> None:
        self.since: float | None = None
        """Since when it has taken nothing, as far as was looked; None while nothing waits."""
        self._mark: object = None

    def look(self, now: float, mark: object, limit: float) -> bool:
        """True if it has taken nothing for `limit` seconds. `mark` is another one whenever the peer has taken
        something, and None while nothing waits.
        """
        if mark is None:
            self.since = None
        elif self.since is None or mark != self._mark:
            self.since = now
        self._mark = mark
        return self.since is not None and now - self.since >= limit


class Outbox:
    """What waits for one peer, as plaintext: pings and pongs go first, then gossip and a service's words by turns."""

    __slots__ = ("_answers", "_answers_size", "_gossip", "_said", "said_size")

    def __init__(self, gossip: GossipQueue) -> None:
        self.said_size = 0
        """Bytes of a service's words."""
        self._gossip = gossip
        self._answers: deque[bytes] = deque()
        self._answers_size = 0
        self._said: deque[bytes] = deque()

    def __bool__(self) -> bool:
        return bool(self._answers or self._said or self._gossip)

    @property
    def waiting(self) -> int:
        """Bytes that wait, besides gossip."""
        return self._answers_size + self.said_size

    @property
    def choked(self) -> bool:
        """The peer does not take our answers, or gossipd its gossip: nothing more is heard until they do."""
        return self._answers_size > ANSWERS_MARK or self._gossip.is_full

    def answer(self, message: bytes) -> None:
        """A ping or a pong."""
        self._answers.append(message)
        self._answers_size += len(message)

    def say(self, message: bytes) -> None:
        """A service's words."""
        self._said.append(message)
        self.said_size += len(message)

    def take_said(self) -> list[bytes]:
        """A service's words that wait: they are the caller's."""
        said, self._said, self.said_size = list(self._said), deque(), 0
        return said

    def pull(self, most: int) -> tuple[list[bytes], int]:
        """What goes next, `most` bytes or a little more, and how many messages of it are a service's. Gossip has half
        of the room when services speak, too.
        """
        messages = list(self._answers)
        self._answers.clear()
        most -= self._answers_size
        self._answers_size = 0
        share = most // 2 if self._said else most
        most -= share - self._gossip.pull(messages, share)
        count = 0
        while self._said and most > 0:
            message = self._said.popleft()
            messages.append(message)
            self.said_size -= len(message)
            most -= len(message)
            count += 1
        return messages, count

    def pull_all(self) -> tuple[list[bytes], int]:
        """All that waits."""
        messages, count = [], 0
        while self:
            some, said = self.pull(self._answers_size + self.said_size * 2 + MAX_OUTBOX)
            messages += some
            count += said
        return messages, count


# what is said to the master


def copy_of(info: PeerInfo, message: bytes) -> PeerMessage:
    """A copy of what a peer said."""
    return PeerMessage(info.node_id, info.conn_id, message, *type_and_channel(message))


def type_and_channel(message: bytes) -> tuple[int, bytes | None]:
    """What the master decides by: a message's type, and the channel that it is about, if there is one."""
    return int.from_bytes(message[:2], "big"), channel_id_of(message)


def send_message_reply(waiting: int | None) -> SendMessageReply | SendMessageReplyfail:
    """To `send_message`, for a peer for whom so many bytes wait; None if it is not here."""
    if waiting is None:
        return SendMessageReplyfail("the peer is not here")
    if waiting > MAX_OUTBOX:
        return SendMessageReplyfail("the peer does not read: its queue is full")
    return SendMessageReply()


def ping_reply(total: int | None) -> Reply:
    """To `ping`: its pong of so many bytes, or None."""
    return PingReplyfail("the connection left before the pong came") if total is None else Pong(total)
