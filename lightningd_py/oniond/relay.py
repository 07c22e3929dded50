"""What is done with an onion message: opened, sent on, or told to those it is for. BOLT 4, Onion Messages.

Whatever is wrong with one, the answer is silence (B4-130): it is counted. Nothing is kept of a message.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from lightningd_py.oniond.path_ids import PathIds, Purpose
from wire.net.onion_rates import OnionRate
from wire.onion.blinding import BlindedPath, path_by, path_to, read_path
from wire.onion.errors import OnionError
from wire.onion.keys import OnionKeys, PathKeys
from wire.onion.message import Final, Forward, Sealed, open_message, read_message, seal, write_message
from wire.onion.payloads import REPLY_PATH
from wire.secp256k1 import is_point, new_secret
from wire.start.late_dataclass import dataclass

MOST_IN_HAND = 400
"""Messages of peers that wait for keys. One more is dropped."""
MOST_TURNS = 10
"""Layers of one message that may be for this node, one after the other: dummy hops, or a loop."""
MOST_A_SECOND = 400
MOST_BYTES_A_SECOND = 2_000_000
"""Of all peers together; a second's worth may come at once. What is more is dropped."""
MOST_HOPS = 20
"""Nodes of a path that is made here."""


@dataclass(frozen=True, slots=True)
class ForUs:
    """A message that ends here. `purpose`: of the path along which it came, if that was ours."""

    fields: Mapping[int, bytes]
    reply_path: bytes
    path_key: bytes
    purpose: Purpose | None


class Around(Protocol):
    """What the relay uses."""

    async def keys(self, path_key: bytes, public_key: bytes) -> tuple[PathKeys, OnionKeys]:
        """Of our own hop. Both are points."""

    async def channel(self, short_channel_id: int) -> Sequence[bytes]:
        """Its two nodes, node_id_1 first; none if it is not known."""

    def say(self, node_id: bytes, message: bytes, source: bytes) -> None:
        """Have the node told, if it is connected. `source`: the node that has said it, empty for a service."""

    def for_us(self, message: ForUs) -> None:
        """Tell those it is for."""


class CannotSend(Exception):
    """What was asked for is none. One sentence."""


class Relay:
    """Of one node."""

    def __init__(self, node_id: bytes, path_ids: PathIds, around: Around, clock: Callable[[], float]) -> None:
        """`clock`: seconds, of any that does not jump."""
        self._node_id = node_id
        self._path_ids = path_ids
        self._around = around
        self._clock = clock
        self._rate = OnionRate(MOST_A_SECOND, MOST_BYTES_A_SECOND, MOST_BYTES_A_SECOND)
        self.known: Collection[int] = frozenset()
        """Types of payloads that services understand."""
        self.in_hand = 0
        self._spoken: set[bytes] = set()
        """Peers of which one was let in, in this second."""
        self._second = clock()
        """When that began."""
        self.outcomes: Counter[str] = Counter()
        """What became of messages: see `ONION_MESSAGES` in wire/metrics/declared.py."""

    # of peers

    async def heard(self, node_id: bytes, raw: bytes) -> None:
        """This peer has said this onion_message."""
        if not self._lets_in(node_id, len(raw)):
            self.outcomes["too_many"] += 1
            return
        self.in_hand += 1
        try:
            self.outcomes[await self._go(read_message(raw), node_id)] += 1
        except OnionError as error:
            self.outcomes[error.flaw.value] += 1
        finally:
            self.in_hand -= 1

    def _lets_in(self, node_id: bytes, size: int) -> bool:
        """Whether there is room for it. Where half is taken, the rest is for peers of which none was let in, in this
        second: so a flood from a hundred peers is not in the way of one more.
        """
        now = self._clock()
        if now >= self._second + 1:
            self._second = now
            self._spoken.clear()
        crowded = self.in_hand >= MOST_IN_HAND // 2 or self._rate.is_low(now)
        if self.in_hand >= MOST_IN_HAND or (crowded and node_id in self._spoken) or not self._rate.take(size, now):
            return False
        self._spoken.add(node_id)  # no more than the rate lets through
        return True

    async def _go(self, sealed: Sealed, source: bytes) -> str:
        """Open it, and send it on: what became of it. `source` as for `Around.say`. Raises OnionError."""
        for _ in range(MOST_TURNS):
            keys = await self._around.keys(sealed.path_key, sealed.packet.public_key)
            opened = open_message(sealed, keys, self.known)
            if isinstance(opened, Final):
                return self._end(opened, sealed.path_key)
            node_id = await self._next(opened)
            if node_id is None:
                return "unknown_next"
            sealed = opened.message
            if node_id != self._node_id:
                self._around.say(node_id, write_message(sealed), source)
                return "forwarded"
            if not is_point(sealed.path_key):  # an override
                return "malformed"
            if not self._rate.take(0, self._clock()):  # each layer costs as much as a message
                return "too_many"
        return "loop"

    async def _next(self, forward: Forward) -> bytes | None:
        """The next peer (B4-120): of a channel, its end that is not this node."""
        if forward.short_channel_id is None:
            return forward.next_node_id
        ends = await self._around.channel(forward.short_channel_id)
        return next((end for end in ends if end != self._node_id), None) if self._node_id in ends else None

    def _end(self, final: Final, path_key: bytes) -> str:
        """For this node. Raises OnionError."""
        fields = dict(final.fields)
        reply_path = fields.pop(REPLY_PATH, b"")
        if reply_path:
            read_path(reply_path)  # no service gets one that is none
        self._around.for_us(ForUs(fields, reply_path, path_key, self._path_ids.open(final.path_id)))
        return "for_us"

    # of services

    def path_to_us(self, node_ids: Sequence[bytes], purpose: Purpose) -> bytes:
        """A blinded path by way of these nodes, of which the first one is the introduction node. Raises CannotSend."""
        _check(node_ids)
        try:
            return path_to([*node_ids, self._node_id], self._path_ids.seal(purpose), new_secret()).encode()
        except ValueError as error:
            raise CannotSend(str(error)) from error

    async def send(
        self, node_ids: Sequence[bytes], path: bytes, fields: Mapping[int, bytes]
    ) -> tuple[bytes | None, bytes]:
        """The first node, and what it is to be told; None if that is this node: then it is on its way. Raises
        CannotSend.
        """
        _check(node_ids)
        first, onward = await self._path(node_ids, path)
        try:
            sealed = seal(onward, fields, new_secret())
        except ValueError as error:
            raise CannotSend(str(error)) from error
        if first != self._node_id:
            return first, write_message(sealed)
        try:
            outcome = await self._go(sealed, b"")
        except OnionError as error:
            raise CannotSend(f"the path begins with this node, and {error}") from error
        if outcome not in ("forwarded", "for_us"):
            raise CannotSend(f"the path begins with this node, and leads nowhere: {outcome}")
        return None, b""

    async def _path(self, node_ids: Sequence[bytes], path: bytes) -> tuple[bytes, BlindedPath]:
        """Its first node, and the whole of it. Raises CannotSend."""
        if not path:
            if not node_ids:
                raise CannotSend("neither nodes nor a blinded path are given")
            return node_ids[0], path_to(node_ids, None, new_secret())
        try:
            theirs = read_path(path)
        except OnionError as error:
            raise CannotSend(str(error)) from error
        introduction = await self._introduction(theirs)
        onward = path_by(node_ids, theirs, introduction, new_secret())
        return node_ids[0] if node_ids else introduction, onward

    async def _introduction(self, path: BlindedPath) -> bytes:
        """Its first node's id: it may be named by a channel and a direction. Raises CannotSend."""
        if len(path.first_node_id) == 33:
            return path.first_node_id
        scid = int.from_bytes(path.first_node_id[1:], "big")
        ends = await self._around.channel(scid)
        if len(ends) != 2:
            raise CannotSend("the blinded path begins at a channel that is not known here")
        return ends[path.first_node_id[0]]


def _check(node_ids: Sequence[bytes]) -> None:
    if len(node_ids) > MOST_HOPS - 1:
        raise CannotSend(f"{MOST_HOPS - 1} nodes are the most that a path may have besides its last one")
    for node_id in node_ids:
        if not is_point(node_id):
            raise CannotSend(f"{node_id.hex()[:66] or 'nothing'} is no node id")
