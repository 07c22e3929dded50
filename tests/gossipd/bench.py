"""An Ingest among neighbours without processes, for the tests of taking gossip in."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from pathlib import Path

from gossipd.feed import SILENT, Feed
from gossipd.ingest.around import Around, Questions
from gossipd.ingest.checks import Checks
from gossipd.ingest.debt import Debt
from gossipd.ingest.pipeline import Ingest
from gossipd.ingest.workers import check
from gossipd.map import loading
from gossipd.map.forget import Forgetting
from gossipd.map.gone import Gone
from gossipd.map.index import MapIndex
from gossipd.map.own import OwnGossip
from gossipd.map.writer import MapWriter
from gossipd.store.records import CHANNEL_AMOUNT
from gossipd.store.writer import GossipStore
from gossipd.verdict import Consequence, PeerFault, Verdict
from tests.gossipd.messages import (
    CHAIN,
    KEYS,
    NOW,
    announcement,
    signed,
    update,
)
from tests.gossipd.writer import MapAround
from wire.peer_wire import ChannelAnnouncement
from wire.secp256k1 import public_key

PRUNE = 1_209_600.0
CONTEST = 60.0
TELLER = 5
OUR_ID = bytes([2]) * 33


class Signatures:
    """The stage without processes: `run` checks what has come."""

    def __init__(self) -> None:
        self.checked: list[bytes] = []
        self.waiting = self.waiting_bytes = 0
        self._submitted: list[tuple[bytes, bytes, Callable[[int], None]]] = []

    def submit(self, message: bytes, key: bytes, verdict: Callable[[int], None]) -> None:
        """As SignatureChecks."""
        self._submitted.append((message, key, verdict))
        self.waiting += 1

    def run(self, count: int = 1_000_000) -> None:
        """Check the first so many that wait, and what that brings; else all."""
        while self._submitted and count:
            count -= 1
            message, key, verdict = self._submitted.pop(0)
            self.waiting -= 1
            self.checked.append(message)
            verdict(check(message, key))


class Outputs:
    """The chain stage: outputs are found at once, or when the test says so."""

    has_room = asks = True

    def __init__(self) -> None:
        self.refused: dict[int, Verdict] = {}
        self.at_once = True
        self.asked: list[tuple[int, tuple[bytes, ...]]] = []
        self.answers: list[tuple[Callable[[int], None], Callable[..., None]]] = []

    @property
    def unfinished(self) -> int:
        """As Txout."""
        return len(self.answers)

    def refuses(self, scid: int, bitcoin_keys: tuple[bytes, ...]) -> Verdict | None:
        """As Txout."""
        return self.refused.get(scid)

    def ask(
        self,
        scid: int,
        bitcoin_keys: tuple[bytes, ...],
        passed: Callable[[int], None],
        failed: Callable[..., None],
        source: int,
    ) -> None:
        """As Txout."""
        self.asked.append((scid, bitcoin_keys))
        if self.at_once:
            passed(1_000)
        else:
            self.answers.append((passed, failed))


@dataclass
class Bench:
    """An Ingest with its neighbours."""

    path: Path
    store: GossipStore
    index: MapIndex
    now: float = float(NOW)
    wall_jump: float = 0.0
    """By how much the wall clock was set, ahead or back."""
    feed: Feed = SILENT
    signatures: Signatures = field(default_factory=Signatures)
    outputs: Outputs = field(default_factory=Outputs)
    faults: list[tuple[int, str, Consequence]] = field(default_factory=list)
    settled: list[tuple[bytes, str | None]] = field(default_factory=list)
    owed: list[tuple[int, int]] = field(default_factory=list)
    owed_to: list[Hashable] = field(default_factory=list)
    """The source of each of them."""
    witnesses: dict[int, int] = field(default_factory=dict)
    """Peers that can be asked about contests, and how far they were."""
    asked: list[tuple[int, int]] = field(default_factory=list)
    """conn_id and scid of what they were asked."""
    heard_of: list[int] = field(default_factory=list)
    made: list[list[bytes]] = field(default_factory=list)
    good: list[int] = field(default_factory=list)
    too_often: list[int] = field(default_factory=list)
    stored: int = 0
    overflows: list[int] = field(default_factory=list)
    """What the owners of connections dropped without knowing what it was about."""
    on_settled: Callable[[bytes, str | None], None] | None = None

    def __post_init__(self) -> None:
        self.forgetting = Forgetting(self.store, self.index, Gone(), feed=self.feed)

        own = OwnGossip(OUR_ID, self.store, self.index, MapAround(say_own=self.made.append))

        def owe(scid: int, flags: int, source: Hashable) -> None:
            self.owed.append((scid, flags))
            self.owed_to.append(source)

        self.ingest = Ingest(
            Around(
                MapWriter(self.store, self.index, self.forgetting, own),
                self.index,
                CHAIN,
                Checks(
                    self.signatures,  # type: ignore[arg-type]
                    Debt(self.index, owe, lambda: self.overflows.append(1)),
                    self,
                    self._settle,
                    self.feed,
                ),
                self.outputs,  # type: ignore[arg-type]
                PRUNE,
                lambda: self.now + self.wall_jump,
                lambda: self.now,
                self._stored,
                owe,
                lambda scid, source: self.heard_of.append(scid),
                self._ask_witnesses,
                CONTEST,
            )
        )

    def _ask_witnesses(self, questions: Questions) -> None:
        for conn_id in self.witnesses:
            scids, self.witnesses[conn_id] = questions(conn_id, self.witnesses[conn_id])
            self.asked += [(conn_id, scid) for scid in scids]

    def found_good(self, message: bytes, conn_id: int) -> None:
        """Note it."""
        self.good.append(conn_id)

    def found_too_often(self, conn_id: int) -> None:
        """Note it."""
        self.too_often.append(conn_id)

    def found_bad(self, conn_id: int, fault: PeerFault) -> None:
        """Note it."""
        self.faults.append((conn_id, str(fault), fault.consequence))

    def _settle(self, message: bytes, error: str | None) -> None:
        self.settled.append((message, error))
        if self.on_settled is not None:
            self.on_settled(message, error)

    def _stored(self) -> None:
        self.stored += 1

    def tell(self, *messages: bytes) -> list[Verdict]:
        """Tell it messages without checking signatures yet."""
        return [self.ingest.receive(message, TELLER) for message in messages]

    def take(self, *messages: bytes) -> list[Verdict]:
        """Tell it messages one after the other, each wholly dealt with."""
        verdicts = []
        for message in messages:
            verdicts += self.tell(message)
            self.signatures.run()
        return verdicts

    def records(self) -> list[bytes]:
        """The messages that the store holds, in order, without amounts."""
        self.store.flush()
        records, _ = self.store.scan(1, self.store.end)
        return [message for _, _, kind, message, _ in records if kind < CHANNEL_AMOUNT]

    def timestamps(self) -> list[int]:
        """Those of the same records."""
        records, _ = self.store.scan(1, self.store.end)
        return [timestamp for _, timestamp, kind, _, _ in records if kind < CHANNEL_AMOUNT]

    def is_as_reopened(self) -> bool:
        """A new process that opens the file has the same map."""
        self.store.close()
        store, index = loading.load(self.path)
        store.close()
        return seen(index) == seen(self.index)


def seen(index: MapIndex) -> object:
    """What an index says, whatever its rows are."""
    channels = {
        scid: [
            (index.announce_off[row], index.amount_sat[row]),
            [(index.update_off[direction][row], index.update_ts[direction][row]) for direction in (0, 1)],
            [index.node_ids[node] for node in (index.node1[row], index.node2[row])],
        ]
        for scid, row in index.channels.items()
    }
    nodes = {key: (index.node_announce_off[row], index.node_ts[row]) for key, row in index.nodes.items()}
    return channels, nodes


CHANNEL = [announcement(), update(direction=0), update(direction=1)]
CHECKED = [Verdict.CHECKING]


def forged(channel: int = 0, number: int = 0) -> bytes:
    """A self-signed announcement of a channel that is another's: own node keys, own bitcoin keys."""
    secrets = [KEYS[4][0], KEYS[5][0], bytes([200 + number]) * 32, bytes([230]) * 32]
    message = ChannelAnnouncement.decode(announcement(channel))
    keys = [public_key(secret) for secret in secrets]
    message = replace(message, node_id_1=keys[0], node_id_2=keys[1], bitcoin_key_1=keys[2], bitcoin_key_2=keys[3])
    return signed(message, secrets)


def say(bench: Bench, source: int, *messages: bytes) -> list[Verdict]:
    """A source says messages, one after the other, each wholly dealt with."""
    verdicts = []
    for message in messages:
        verdicts.append(bench.ingest.receive(message, source))
        bench.signatures.run()
    return verdicts
