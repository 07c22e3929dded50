"""Our own node over a map, without processes, for the tests of what is said of ourselves."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gossipd.map import loading
from gossipd.map.forget import Forgetting
from gossipd.map.gone import Gone
from gossipd.map.own import OwnGossip
from gossipd.map.writer import MapWriter
from gossipd.own_node import OwnNode
from tests.gossipd.messages import CHAIN, KEYS, NOW, announcement, scid, update
from tests.gossipd.writer import MapAround
from wire.control.control_wire import GossipdInit
from wire.control.timing import Timing
from wire.peer_wire import NodeAnnouncement
from wire.secp256k1 import double_sha256, sign, verify

OUR_KEY, OUR_ID = KEYS[1]
"""So that we are the second end of channels with KEYS[0], and the first of those with KEYS[2]."""
DAY = 86_400
WISHES: dict[str, Any] = {
    "alias": "me",
    "rgb": b"\1\2\3",
    "features": b"\x80",
    "addresses": ["192.0.2.7:9735"],
}


@dataclass
class Around:
    """What our node sees of a daemon."""

    now: Callable[[], float]
    clock: Callable[[], float]
    publish: Callable[[bytes, Callable[[str | None], None]], None]


class Us:
    """A node of this key over a map, without processes: hsmd signs when `tick` has returned, if it does."""

    def __init__(self, path: Path, **changes: Any) -> None:
        self.path = path
        self.now = float(NOW)
        self.jumped = 0.0
        self.told: list[bytes] = []
        self.hsmd_answers = True
        self.refuses: str | None = None
        self.asked = 0
        self.store, self.index = loading.load(path)
        self.forgetting = Forgetting(self.store, self.index, Gone())
        self.own = OwnGossip(OUR_ID, self.store, self.index, MapAround(say_own=self.told.extend))
        self.writer = MapWriter(self.store, self.index, self.forgetting, self.own)
        init = GossipdInit(CHAIN, OUR_ID, str(path), False, Timing(), **(WISHES | changes))
        self.node = OwnNode(
            init, self.own, self._sign, Around(lambda: self.now, lambda: self.now - self.jumped, self._publish)
        )

    def _sign(self, blank: bytes, signed: Callable[[bytes], None]) -> None:
        self.asked += 1
        if self.hsmd_answers:
            signed(sign(OUR_KEY, double_sha256(blank[66:])))

    def _publish(self, message: bytes, settled: Callable[[str | None], None]) -> None:
        said = NodeAnnouncement.decode(message)
        row = self.index.nodes[OUR_ID]
        assert verify(double_sha256(message[66:]), said.signature, OUR_ID)
        assert said.timestamp > self.index.node_ts[row], "no peer would take it (B7-69)"
        if self.refuses is None:
            self.writer.write_node(row, said.timestamp, message)
        settled(self.refuses)

    def channel(self, number: int = 0, other: int = 0, *, updates: str = "ours") -> list[bytes]:
        """A channel with KEYS[other], announced; returns its announcement and our update."""
        one, two = sorted((other, 1))
        message, direction = announcement(number, one, two), int(two == 1)
        ours, theirs = update(number, direction, node=1), update(number, 1 - direction, node=other)
        row = self.writer.write_channel(message, scid(number), (KEYS[one][1], KEYS[two][1]), NOW, 1_000)
        if updates != "ours":
            self.writer.write_update(row, 1 - direction, NOW, theirs)
        if updates != "theirs":
            self.writer.write_update(row, direction, NOW, ours)
        return [message, ours]

    def said(self, after: float = 0.0) -> NodeAnnouncement | None:
        """What we announce if we are asked so many seconds later: None if nothing."""
        self.now += after
        self.told.clear()
        self.node.tick()
        if not self.told:
            return None
        (message,) = self.told
        return NodeAnnouncement.decode(message)

    def again(self, **changes: Any) -> "Us":
        """The next start, with other wishes."""
        self.store.flush()
        self.store.close()
        return Us(self.path, **changes)
