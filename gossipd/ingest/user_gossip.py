"""Gossip that a user adds by hand: it takes the same way as a peer's, and the user hears what became of it."""

from collections.abc import Callable

from gossipd.ingest.checks import USER
from gossipd.ingest.pipeline import Ingest
from gossipd.verdict import REASONS, PeerFault, Verdict
from wire.gossip_layout import GOSSIP_TYPES
from wire.peer_wire import message_name

Answer = Callable[[str | None], None]
"""Gets None if the message was taken or was known, else one sentence."""

_TAKEN = frozenset({Verdict.REDUNDANT, Verdict.WAITING})


class UserGossip:
    """Who waits for which message's verdict."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, list[Answer]] = {}

    def add(self, message: bytes, ingest: Ingest, answer: Answer) -> None:
        """Take a message in; `answer` is called now or after its signature check."""
        number = int.from_bytes(message[:2], "big")
        if number not in GOSSIP_TYPES:
            answer(f"{message_name(number)} is no gossip message")
            return
        waiting = self._waiting.get(message)
        if waiting is not None:
            waiting.append(answer)
            return
        try:
            verdict = ingest.receive(message, USER)
        except PeerFault as fault:
            answer(str(fault))
            return
        if verdict in (Verdict.CHECKING, Verdict.HELD):
            self._waiting[message] = [answer]
        else:
            answer(None if verdict in _TAKEN else REASONS[verdict])

    def settled(self, message: bytes, error: str | None) -> None:
        """The signatures of a message have been checked."""
        for answer in self._waiting.pop(message, []):
            answer(error)
