"""What the master knows of the chain, behind one interface: `choice.py` makes the source that the options ask for.

GetTxout (gossipd) -> look_up(scid, script, answered) -> Output or NoOutput
new blocks, spent funding outputs, reorganisations -> Follower (the master's gossip_control tells gossipd)
"""

from collections.abc import Callable
from typing import Protocol

from wire.start.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Output:
    """A funding output that is there, and unspent in the best chain."""

    amount_sat: int
    script: bytes


@dataclass(frozen=True, slots=True)
class NoOutput:
    """There is none, and this is why: one sentence about "its" output."""

    reason: str
    is_known: bool = True
    """False: there may be one, but the node has not got its block."""
    forged: bool = False
    """There never was one of this script: only a liar announces it."""


Answered = Callable[[Output | NoOutput], None]


class Follower(Protocol):
    """Hears how the chain goes on."""

    def new_blockheight(self, blockheight: int) -> None:
        """The best chain ends here now. Said for the first time when the source is in step with its node."""

    async def outpoints_spent(self, blockheight: int, scids: list[int]) -> None:
        """The funding outputs of these channels are spent by the block at this height. Returns when it is safe on disk;
        if it raises nothing is remembered, and the same is said again after a restart."""

    async def reorganised(self, blockheight: int, unspent: list[int]) -> None:
        """The blocks above this height are undone, and what they spent is unspent again. Height 0: so may be what was
        spent longer ago than is remembered."""


class ChainSource(Protocol):
    """A source of blocks. Nothing that its node does, or does not do, raises out of here."""

    @property
    def name(self) -> str:
        """As in --chain."""

    @property
    def checks_outputs(self) -> bool:
        """Announcements wait for `look_up`."""

    @property
    def blockheight(self) -> int:
        """Of the best chain; 0 while it is unknown."""

    @property
    def warning(self) -> str:
        """One sentence for getinfo about what is not as it should be; empty if all is well."""

    def start(self, follower: Follower) -> None:
        """Begin to follow. Returns at once: a node that is down is waited for."""

    def look_up(self, scid: int, script: bytes, answered: Answered) -> None:
        """What is at `scid`? `answered` is called once, when the node has answered, be it hours later; never if we end
        first. An output that pays to `script` is watched from then on."""

    def unwatched(self, scids: list[int]) -> list[int]:
        """Those of all the channels on the map whose outputs are not watched yet."""

    async def close(self) -> None:
        """Stop at once."""
