"""What we lack and want to ask for: channels, and which parts of each, in the bits of query_flags (B7-91)."""

from wire.encoded import NODE_1, NODE_2

MOST = 100_000
"""Channels that are remembered at a time: twice the public network. What is more is found by the next comparison."""
TRIES = 3
"""So often something is asked for that answers do not bring, each time of a random peer."""


class Wanted:
    """A bounded set of channels with flags. `overflowed` counts what did not fit.

    Nodes that never announce themselves are no more asked for after TRIES answers without them, until `start_over`.
    """

    def __init__(self) -> None:
        self.overflowed = 0
        self._flags: dict[int, int] = {}
        self._tries: dict[int, int] = {}
        self._silent: dict[int, int] = {}
        """Channel -> answers that did not bring its nodes."""

    def __len__(self) -> int:
        return len(self._flags)

    @property
    def has_channels(self) -> bool:
        """Not only nodes."""
        return any(flags & ~(NODE_1 | NODE_2) for flags in self._flags.values())

    def add(self, scid: int, flags: int) -> None:
        """Want these parts too."""
        if scid in self._flags:
            self._flags[scid] |= flags
        elif len(self._flags) < MOST:
            self._flags[scid] = flags
        else:
            self.overflow()

    def overflow(self) -> None:
        """Something to be wanted did not fit, here or where it was noted."""
        self.overflowed += 1

    def add_compared(self, scid: int, flags: int) -> None:
        """A peer has these parts, or would have the nodes if they had ever announced themselves."""
        if self._silent.get(scid, 0) >= TRIES:
            flags &= ~(NODE_1 | NODE_2)
        if flags:
            self.add(scid, flags)

    def take(self, most: int) -> list[tuple[int, int]]:
        """The oldest wishes, which are asked for now."""
        scids = [scid for scid, _ in zip(self._flags, range(most), strict=False)]
        return [(scid, self._flags.pop(scid)) for scid in scids]

    def retry(self, scid: int, flags: int) -> None:
        """The channel did not come: want it again, unless that has been so several times."""
        tries = self._tries.pop(scid, 0) + 1
        if tries < TRIES:
            self._tries[scid] = tries
            self.add(scid, flags)

    def note_silent(self, scid: int) -> None:
        """An answer has come, and a node of this channel has not."""
        if scid in self._silent or len(self._silent) < MOST:
            self._silent[scid] = self._silent.get(scid, 0) + 1

    def start_over(self) -> None:
        """Nodes may have announced themselves by now."""
        self._silent.clear()

    def done(self, scid: int) -> None:
        """The channel came."""
        self._tries.pop(scid, None)

    def clear(self) -> None:
        """Want nothing."""
        self._flags.clear()
        self._tries.clear()
