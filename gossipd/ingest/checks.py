"""The way into the signature stage and out of it: what is taken, what is owed instead, and what verdicts are worth.

Nothing whose signature is being checked is checked a second time, and what had a wrong one is not looked at again for
a while.
"""

from collections.abc import Callable

from gossipd.feed import Feed
from gossipd.ingest.debt import Debt
from gossipd.ingest.signatures import SignatureChecks
from gossipd.verdict import BadGossip, Judge, PeerFault, Verdict
from wire.bus.feed import Outcome
from wire.control.shares import Shares
from wire.gossip_layout import GOSSIP_TYPES

USER = 0
"""The source of what comes by `addgossip`; no conn_id is 0."""

PIPELINE_MARK = 1_024
"""Messages in the signature stage above which reading of peers stops: 30 ms of two workers, and what fits a cache."""
PIPELINE_BYTES = 8_000_000
"""The same in bytes: a stranger may make each of its messages 65,535 bytes long."""
DEBT_MARK, DEBT_BYTES = 4 * PIPELINE_MARK, 2 * PIPELINE_BYTES
"""When that has lasted, reading goes on, for the sake of pings; what comes above these marks is owed."""
MAX_REFUSED = 10_000
"""Messages with a wrong signature that are remembered, by their hash."""


def bad_gossip(text: str) -> BadGossip:
    """Gossip that is malformed or badly signed: it is passed over, and its sender told. Honest peers relay such things
    unawares, so one of them is no reason to hang up; a score of them is (`peers/standing.py`).
    """
    return BadGossip(text)


class Checks:
    """One for all kinds of gossip. `source` is the conn_id from which a message came, USER for a user's."""

    def __init__(
        self,
        signatures: SignatureChecks,
        debt: Debt,
        judge: Judge,
        settled: Callable[[bytes, str | None], None],
        feed: Feed,
    ) -> None:
        """`judge` hears what a source's message was worth, `settled` what was found of a user's whose verdict was
        CHECKING: None, or what is wrong with it.
        """
        self.debt = debt
        self.judge = judge
        self.suspended = False
        """Nothing can be written: everything is owed."""
        self.novel: dict[int, int] = {}
        """How many messages that were new, and rightly signed, each source has brought."""
        self.verdicts: dict[int, dict[Verdict, int]] = {number: dict.fromkeys(Verdict, 0) for number in GOSSIP_TYPES}
        """How often messages of each type have had each verdict."""
        self.results: dict[str, int] = dict.fromkeys(["accepted", "bad", "rate limited"], 0)
        """What became of messages later on."""
        self.unjudged = dict.fromkeys(GOSSIP_TYPES, 0)
        """Messages of each type without a verdict: malformed, or their sender is ignored for a while."""
        self.under_way: set[bytes] = set()
        """Updates and node_announcements whose signatures are being checked."""
        self._signatures = signatures
        self._settled = settled
        self._feed = feed
        self.refused: Shares[int, None] = Shares(MAX_REFUSED)
        self._refused = self.refused.values

    @property
    def counters(self) -> dict[str, int]:
        """Verdicts and results, by name."""
        verdicts: dict[str, int] = {verdict: sum(of[verdict] for of in self.verdicts.values()) for verdict in Verdict}
        return {**verdicts, **self.results}

    @property
    def has_room(self) -> bool:
        """False: reading of peers should stop for a moment."""
        return self._signatures.waiting < PIPELINE_MARK and self._signatures.waiting_bytes < PIPELINE_BYTES

    @property
    def waiting(self) -> int:
        """Messages whose signatures are being checked."""
        return self._signatures.waiting

    @property
    def has_no_room(self) -> bool:
        """Nothing more goes to the signature stage now."""
        signatures = self._signatures
        return self.suspended or signatures.waiting >= DEBT_MARK or signatures.waiting_bytes >= DEBT_BYTES

    def submit(self, message: bytes, key: bytes, source: int, verdict: Callable[[int], None]) -> bool:
        """To the signature stage; False if there is no room, and then the message is owed."""
        if self.has_no_room:
            self.debt.note(message, source)
            return False
        self._signatures.submit(message, key, verdict)
        return True

    def submit_held(self, message: bytes, key: bytes, verdict: Callable[[int], None]) -> None:
        """The same for one that was taken before, and has waited within the bounds of `pending.py`."""
        self._signatures.submit(message, key, verdict)

    def refuses(self, message: bytes) -> bool:
        """Its signature was found wrong a while ago."""
        return bool(self._refused) and hash(message) in self._refused

    def verified(self, message: bytes, source: int) -> None:
        """A message is rightly signed, and was new when it came."""
        if source == USER:
            self._settled(message, None)

    def stored(self, message: bytes, source: int) -> None:
        """A message is on the map, and was appended to the store last: what its sender is worth."""
        self.results["accepted"] += 1
        self.novel[source] = self.novel.get(source, 0) + 1
        self.judge.found_good(message, source)

    def bad(self, message: bytes, source: int, fault: PeerFault) -> None:
        """Its signature is wrong, or what it holds."""
        self.results["bad"] += 1
        self.refuse(message, source)
        self.give_up(message, source, str(fault))
        if source != USER:
            self.judge.found_bad(source, fault)

    def forged(self, source: int, fault: PeerFault) -> None:
        """An announcement of an output that is not its own, which no honest peer says."""
        self.results["bad"] += 1
        if source != USER:
            self.judge.found_bad(source, fault)

    def give_up(self, message: bytes, source: int, reason: str) -> None:
        """Nothing comes of a message, for this reason."""
        self.settle(message, Outcome.REJECTED, reason)
        if source == USER:
            self._settled(message, reason)

    def settle(self, message: bytes, outcome: Outcome, reason: str = "") -> None:
        """What has become of a message is told to the feed."""
        if self._feed.gossip:
            self._feed.settled(message, outcome, reason)

    def refuse(self, message: bytes, source: int) -> None:
        """Remember it, so that it is not looked at again for a while, and counts once."""
        self.refused.put(hash(message), None, source)
