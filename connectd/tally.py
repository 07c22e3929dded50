"""What connectd counts: handshakes by how and where they end, refusals, and who got what came of them."""

from typing import Protocol

from wire.control.control_wire import GetMetricsReply
from wire.control.status import lines_lost
from wire.metrics import declared
from wire.metrics.metric import Samples

PLACE_NEEDED = "its place was needed"
KINDS = {
    "too many handshakes under way from there": "half_open",
    "too many peers from there": "inbound",
    "too many connections from there": "rate",
    PLACE_NEEDED: "place_needed",
}
"""Reasons why a stranger is refused, and how each is counted; every other one is a rule or a ban."""
RULE = "access"
_ENDS = {"in": ("act_one", "act_three", "init"), "out": ("connect", "act_two", "init")}


class Stepping(Protocol):
    """A connection in its handshake."""

    step: str
    """What it waits for."""


class Tally:
    """The counters of the process."""

    def __init__(self) -> None:
        self._handshakes = {(direction, "done", "done"): 0 for direction in _ENDS}
        for outcome in ("failed", "timed_out"):
            self._handshakes |= {(way, outcome, step): 0 for way, steps in _ENDS.items() for step in steps}
        self._refused = dict.fromkeys([*KINDS.values(), RULE], 0)
        self.given = dict.fromkeys(("gossipd", "master"), 0)
        """Connections, by their first owner."""

    def done(self, direction: str) -> None:
        """A handshake is done, with INIT."""
        self._handshakes[direction, "done", "done"] += 1

    def failed(self, direction: str, error: BaseException, connection: Stepping | None) -> None:
        """A handshake has ended otherwise; None if there was not even a connection."""
        outcome = "timed_out" if isinstance(error, TimeoutError) else "failed"
        self._handshakes[direction, outcome, "connect" if connection is None else connection.step] += 1

    def refuse(self, reason: str) -> None:
        """A stranger's connection is closed, for this reason."""
        self._refused[KINDS.get(reason, RULE)] += 1

    def reply(self, dials: dict[str, int], under_way: int, nodes: int, queues: dict[str, int]) -> GetMetricsReply:
        """To `get_metrics`. `dials`: their outcomes; the others as they are now."""
        samples = Samples()
        for labels, count in self._handshakes.items():
            samples.put(declared.HANDSHAKES, count, *labels)
        samples.put_each(declared.REFUSED, self._refused)
        samples.put_each(declared.GIVEN, self.given)
        samples.put_each(declared.DIALS, dials)
        samples.put(declared.HALF_OPEN, under_way)
        samples.put(declared.NODES_LIVE, nodes)
        samples.put_each(declared.QUEUE, queues)
        samples.put(declared.LOG_LOST, lines_lost())
        return samples.reply()
