"""The one query that is under way, and its deadlines: one for the next sign of an answer, one for the whole of it.

A peer that answers slowly is waited for while its answer comes, but what it says moves only the first of the two.
All times are seconds on a clock that does not jump.
"""

from collections.abc import Hashable
from dataclasses import field

from wire.start.late_dataclass import dataclass

LONGEST = 20
"""A question may take so many times the patience for a sign of an answer: 10 minutes, for 2 MB over Tor."""


@dataclass(slots=True)
class Question:
    """`batch`: channels with query_flags; empty for a query_channel_range."""

    conn_id: int
    asked_at: float
    patience: float
    """Seconds for a sign of an answer, and for the last one to get through the pipeline."""
    batch: list[tuple[int, int]] = field(default_factory=list)
    source: Hashable = None
    """The connection that has spoken of the batch."""
    is_rumour: bool = False
    come: int = 0
    """Channels of the batch that are on the map by now."""
    replies: int = 0
    answered: bool = False
    until: float = field(init=False)

    def __post_init__(self) -> None:
        self.until = self.asked_at + self.patience

    @property
    def end(self) -> float:
        """The deadline that nothing moves."""
        return self.asked_at + LONGEST * self.patience

    def go_on(self, clock: float) -> None:
        """Something has come: wait for more."""
        self.until = min(clock + self.patience, self.end)
