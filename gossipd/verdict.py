"""Whose fault, and what follows: a stranger's offence carries its consequence; gossip that we do not want has none."""

from enum import Enum, StrEnum, auto
from typing import Protocol


class Consequence(Enum):
    """What a fault leads to."""

    WARN = auto()
    """The peer is told by a `warning`, the connection stays."""
    DISCONNECT = auto()
    """The peer is told by a `warning`, and the connection ends."""


class PeerFault(Exception):
    """A peer did what it must not; caught in one place, `Gossipd.fault`. The text goes to the peer and into the log."""

    def __init__(self, text: str, consequence: Consequence) -> None:
        super().__init__(text)
        self.consequence = consequence


class BadGossip(PeerFault):
    """Gossip that is malformed or badly signed: its sender is told once, and its score counts it."""

    def __init__(self, text: str) -> None:
        super().__init__(text, Consequence.WARN)


class Verdict(StrEnum):
    """What becomes of a gossip message when it arrives. Unwanted gossip is an answer, not an error."""

    CHECKING = "checking"
    """Perhaps new: on its way through the pipeline."""
    REDUNDANT = "redundant"
    """We have it, or something newer."""
    WAITING = "waiting"
    """Waits for an announcement."""
    HELD = "held"
    """An update that waits until the announcement of its channel is proven."""
    UNKNOWN_CHANNEL = "unknown channel"
    """An update for a channel that was not announced to us (B7-77)."""
    WRONG_CHAIN = "wrong chain"
    DONT_FORWARD = "dont_forward"
    """An update that is for us alone, of a channel that is not ours (B7-87)."""
    FUTURE = "future"
    """Its timestamp is more than a day ahead (B7-84)."""
    CLOSED = "closed"
    """Its channel's output was spent; only updates that disable it are still taken."""
    STALE = "stale"
    """An update so old that its channel would be pruned (B7-103)."""
    NO_OUTPUT = "no output"
    """Its funding output was looked for a while ago, and was not there."""
    TOO_EARLY = "too early"
    """Its block is far above the end of the chain."""
    TWO_HOST_NAMES = "two host names"
    """A node_announcement that must not be passed on (B7-74)."""
    CONFLICT = "conflict"
    """Its channel is on the map with other nodes and other bitcoin keys."""
    BLACKLISTED = "blacklisted"
    """Its nodes have announced a channel that others have announced, too (B7-65)."""
    REFUSED = "refused"
    """Its signature was found wrong a while ago."""
    OWED = "owed"
    """There is no room now: it will be asked for."""
    FULL = "full"
    """The place where it would wait is full."""


REASONS = {
    Verdict.WAITING: "for a channel of its node",
    Verdict.HELD: "for the announcement of its channel",
    Verdict.UNKNOWN_CHANNEL: "its channel is not known",
    Verdict.WRONG_CHAIN: "it is for another chain",
    Verdict.DONT_FORWARD: "it says that it is not to be passed on",
    Verdict.FUTURE: "its timestamp is more than a day ahead",
    Verdict.CLOSED: "its channel is closed",
    Verdict.STALE: "its timestamp is too old: such a channel is pruned",
    Verdict.NO_OUTPUT: "its funding output was not found a while ago",
    Verdict.TOO_EARLY: "its block is far above the end of the chain",
    Verdict.TWO_HOST_NAMES: "it has more than one host name",
    Verdict.CONFLICT: "its channel is known with other keys",
    Verdict.BLACKLISTED: "its nodes are on the blacklist",
    Verdict.REFUSED: "its signature is wrong",
    Verdict.OWED: "there is no room for it at the moment",
    Verdict.FULL: "too many announcements wait already",
}
"""For people: why a message is not on its way."""


class Judge(Protocol):
    """Hears what a message was worth, after its signature check, and who had brought it."""

    def found_good(self, message: bytes, conn_id: int) -> None:
        """A message of its is on the map, and in the store."""

    def found_too_often(self, conn_id: int) -> None:
        """A message was good, but its channel updates too often."""

    def found_bad(self, conn_id: int, fault: PeerFault) -> None:
        """A message was malformed, or had a wrong signature."""
