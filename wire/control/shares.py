"""Bounded tables, which drop their oldest entries: the one writing of that for all that grows by itself.

`Shares` has a share for each source: when it is full, the greediest source loses its own oldest entry. So a stranger
that fills a table pushes out what it put there itself, and what others have in it stays. `Turns` are shares whose
sources are served in turn. `Newest` is for what has one source only, and where the key is the source.
"""

import heapq
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Shares(Generic[K, V]):
    """At most `most` entries of `most_size` in sum. Each operation costs O(log n), amortised."""

    __slots__ = (
        "_greedy",
        "_grown",
        "_of",
        "_sequence",
        "_sizes",
        "_sources",
        "get",
        "most",
        "most_size",
        "size",
        "values",
    )

    def __init__(self, most: int, most_size: int | None = None) -> None:
        self.most = most
        self.most_size = most_size
        self.values: dict[K, V] = {}
        """The entries, to be read."""
        self.get = self.values.get
        """The value of a key, None if there is none: a hot path."""
        self._sources: dict[K, tuple[Hashable, int]] = {}
        self._of: dict[Hashable, dict[K, None]] = {}
        self._sizes: dict[Hashable, int] = {}
        self._greedy: list[tuple[int, int, Hashable]] = []
        """A heap of (-size, sequence, source) with old figures in it, which are passed over."""
        self._grown: dict[Hashable, None] = {}
        """Sources that have more than the heap says: noted when it is asked."""
        self._sequence = 0
        self.size = 0

    def __len__(self) -> int:
        return len(self.values)

    def __contains__(self, key: K) -> bool:
        return key in self.values

    def __iter__(self) -> Iterator[K]:
        return iter(self.values)

    def source(self, key: K) -> Hashable:
        """Who has put it there; KeyError if it is not."""
        return self._sources[key][0]

    def is_full(self, size: int = 1) -> bool:
        """One more of this size makes another one go."""
        return len(self.values) >= self.most or (self.most_size is not None and self.size + size > self.most_size)

    def refuses(self, source: Hashable, size: int = 1) -> bool:
        """Full, and this source has the most in it: what it brings next can only take its own place."""
        return self.is_full(size) and (not self._sizes or self._sizes.get(source, 0) >= self._sizes[self._greediest()])

    def put(self, key: K, value: V, source: Hashable, size: int = 1) -> list[tuple[K, V]]:
        """Put an entry there, instead of the one with the same key. Returns those that made room, perhaps this one."""
        before = self._sources.get(key)
        if before is not None and before[0] == source:
            del self.values[key], self._of[source][key]
            self._of[source][key] = None
            self._grow(source, size - before[1])
        else:
            if before is not None:
                self.pop(key)
            of = self._of.get(source)
            if of is None:
                of = self._of[source] = {}
            of[key] = None
            self._grow(source, size)
        self.values[key] = value
        self._sources[key] = (source, size)
        gone: list[tuple[K, V]] = []
        while len(self.values) > self.most or (self.most_size is not None and self.size > self.most_size):
            oldest = next(iter(self._of[self._greediest()]))
            gone.append((oldest, self.values[oldest]))
            self.pop(oldest)
        return gone

    def grow(self, key: K, size: int) -> None:
        """An entry takes so much more than before (or less)."""
        source, before = self._sources[key]
        self._sources[key] = (source, before + size)
        self._grow(source, size)

    def pop(self, key: K) -> V | None:
        """Take an entry out; None if there is none."""
        if key not in self.values:
            return None
        value = self.values.pop(key)
        source, size = self._sources.pop(key)
        of = self._of[source]
        del of[key]
        self._sizes[source] -= size
        self.size -= size
        if not of:
            del self._of[source], self._sizes[source]
            self._grown.pop(source, None)
        return value

    def forget(self, source: Hashable) -> None:
        """Take out all that this source has put there."""
        for key in list(self._of.get(source, ())):
            self.pop(key)

    def clear(self) -> None:
        """Take everything out."""
        self.values.clear()
        self._sources.clear()
        self._of.clear()
        self._sizes.clear()
        self._greedy.clear()
        self._grown.clear()
        self.size = 0

    def _grow(self, source: Hashable, size: int) -> None:
        self.size += size
        self._sizes[source] = self._sizes.get(source, 0) + size
        self._grown[source] = None

    def _note(self, source: Hashable) -> None:
        self._sequence += 1
        heapq.heappush(self._greedy, (-self._sizes[source], self._sequence, source))
        if len(self._greedy) > 64 + 4 * len(self._sizes):
            self._greedy = [(-size, i, each) for i, (each, size) in enumerate(self._sizes.items())]
            heapq.heapify(self._greedy)
            self._sequence = len(self._greedy)

    def _greediest(self) -> Hashable:
        """The source with the most; sources that have shrunk since they were noted are noted again."""
        for source in self._grown:
            self._note(source)
        self._grown.clear()
        while True:
            size, _, source = self._greedy[0]
            now = self._sizes.get(source, 0)
            if now == -size:
                return source
            heapq.heappop(self._greedy)
            if 0 < now < -size:
                self._note(source)


class Turns(Shares[K, V]):
    """Shares whose sources are served in turn."""

    def next_source(self) -> Hashable:
        """The source whose turn it is; after it the others have theirs. StopIteration if there is none."""
        source = next(iter(self._of))
        self._of[source] = self._of.pop(source)
        return source

    def oldest_of(self, source: Hashable, most: int) -> list[K]:
        """What this source has put there, in that order."""
        return [key for key, _ in zip(self._of.get(source, ()), range(most), strict=False)]

    def drop(self, source: Hashable) -> list[K]:
        """Take out all that this source has put there."""
        keys = self.oldest_of(source, len(self))
        for key in keys:
            self.pop(key)
        return keys


class Newest(Generic[K, V]):
    """At most `most` entries, the newest ones. Each operation costs O(1)."""

    __slots__ = ("get", "most", "values")

    def __init__(self, most: int) -> None:
        self.most = most
        self.values: dict[K, V] = {}
        """The entries, the oldest first: to be read."""
        self.get = self.values.get
        """The value of a key, None if there is none."""

    def __len__(self) -> int:
        return len(self.values)

    def __contains__(self, key: object) -> bool:
        return key in self.values

    def __iter__(self) -> Iterator[K]:
        return iter(self.values)

    def put(self, key: K, value: V) -> None:
        """The newest entry from now on, also if its key was there before. The oldest makes room for it."""
        self.values.pop(key, None)
        self.values[key] = value
        if len(self.values) > self.most:
            del self.values[next(iter(self.values))]

    def pop(self, key: K) -> V | None:
        """Take an entry out; None if there is none."""
        return self.values.pop(key, None)

    def clear(self) -> None:
        """Take everything out."""
        self.values.clear()
