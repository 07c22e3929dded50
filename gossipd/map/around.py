"""What the keeping of the map asks of the daemon around it: used by keeper, own, prune and compaction."""

from collections.abc import Callable
from typing import Protocol

from gossipd.map.jumps import Clocks


class Around(Clocks, Protocol):
    """The daemon, as the map's keeping sees it."""

    def say_own(self, messages: list[bytes]) -> None:
        """Something new of our own was written: all peers are to have it, in this order."""

    def disk_changed(self) -> None:
        """The disk has failed, or works again."""

    def records_moved(self, place: Callable[[int], int]) -> None:
        """The store was compacted, in this same step. `place`: an offset of the old file -> where it is in the new one.
        Called for those who keep an offset besides the index.
        """
