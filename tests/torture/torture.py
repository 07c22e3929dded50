"""What the tortures share: their measure, their nodes, and their lines."""

import contextlib
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.harness.node import Nodes
from tests.harness.siege.siege import Outcome
from tests.harness.siege.truth import true_gossip

MOST_SHOWN = 5
"""Lines of harm that are printed, of many."""


def print_line(*cells: str) -> None:
    """One line of a Markdown table."""
    print("| " + " | ".join(cells) + " |", flush=True)


def small_truth(channels: int = 60) -> list[bytes]:
    """The gossip of a small map of today."""
    return true_gossip(SyntheticMap(random_edges(1, channels, 25), seed=1, now=int(time.time())))


@dataclass
class Torture:
    """`share`: of the full time and count. `directory` is empty, and goes away."""

    share: float
    chance: random.Random
    directory: Path
    attacks: frozenset[str] = frozenset()
    """Those that are tried."""
    figures: Path | None = None
    """A file for figures in JSON, of which plots are drawn."""
    harmed: list[str] = field(default_factory=list)
    """Names of what came to harm."""

    def count(self, full: int) -> int:
        """Of something."""
        return max(1, round(self.share * full))

    @contextlib.contextmanager
    def nodes(self, name: str) -> Iterator[Nodes]:
        """As the fixture: they must end well, without a BROKEN line, and leave nothing behind. Else that is harm."""
        place = self.directory / name
        place.mkdir()
        try:
            with Nodes(place) as nodes:
                yield nodes
        except (AssertionError, TimeoutError, OSError) as error:
            self.tell(name, "it did not end well", [repr(error)[:2_000]])

    def tell(self, name: str, figures: str, harm: Sequence[str] = ()) -> None:
        """The line of one torture."""
        print_line(name, figures + (f"; HARM: {len(harm)}" if harm else ""))
        for line in harm[:MOST_SHOWN]:
            print(f"{name}: {line}", file=sys.stderr, flush=True)
        if harm:
            self.harmed.append(name)


def figures_of(outcome: Outcome) -> str:
    """How honest peers fared, in a few words."""
    done = ", ".join(f"{count:,} {what}" for figures in outcome.attacks.values() for what, count in figures.items())
    pongs = f"{outcome.pongs:,} pongs, median {_ms(outcome.median)}, latest {_ms(outcome.latest)}"
    fate = f"lost {len(outcome.lost)}, charged {len(outcome.charged)}"
    whole = f"map whole after {outcome.healed:.1f} s" if not outcome.lacks else f"map lacks {len(outcome.lacks)}"
    return f"{done + ': ' if done else ''}{pongs} (echo {_ms(outcome.echo)}), {fate}, {whole}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1_000:,.0f} ms"


def told(counts: Mapping[str, Any]) -> str:
    """Counts by name."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())
