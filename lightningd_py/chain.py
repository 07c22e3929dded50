"""What the master knows of the chain. With `none` it knows nothing: announcements are taken unchecked, and it is said.

The bitcoind source is not built yet: `--chain=bitcoind` is refused at the start.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NoChain:
    """No chain at all: for observatories, and for tests."""

    name: str = "none"
    checks_outputs: bool = False
    blockheight: int = 0
    warning: str = "no chain is followed (--chain=none): channels are listed without a check of their funding outputs"
