"""What an archive has done in this run, by table."""

from collections import Counter
from dataclasses import field

from wire.start.late_dataclass import dataclass


@dataclass
class Tally:
    """`losses`: by table and why. `waiting`: messages of the table's stream that are to be read yet."""

    batches: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    losses: Counter[tuple[str, str]] = field(default_factory=Counter)
    waiting: dict[str, int] = field(default_factory=dict)
