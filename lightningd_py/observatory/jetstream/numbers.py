"""Which batches of a recorder's run an archive has: one that comes twice is known, in whatever order they come."""

from collections import OrderedDict

from lightningd_py.observatory.jetstream.names import BatchId

MOST_MISSING, MOST_RUNS = 128, 2_000
"""Numbers of a run that may yet come (64 are in flight at a time), and runs that are remembered."""


class Run:
    """One run's: the highest number, and those below it that have not come."""

    def __init__(self) -> None:
        self.last = -1
        self.missing: set[int] = set()

    def has(self, number: int) -> bool:
        """Whether it was there."""
        return number <= self.last and number not in self.missing

    def is_new(self, number: int) -> bool:
        """Whether it was not there before; from now on it was."""
        if number > self.last:
            self.missing.update(range(max(self.last + 1, number - MOST_MISSING), number))
            self.last = number
            if len(self.missing) > MOST_MISSING:
                self.missing = set(sorted(self.missing)[-MOST_MISSING:])
            return True
        if number in self.missing:
            self.missing.remove(number)
            return True
        return False


class Numbers:
    """Those of one table, by vantage point and run."""

    def __init__(self) -> None:
        self._runs: OrderedDict[tuple[str, int], Run] = OrderedDict()

    def has(self, id: BatchId) -> bool:
        """Whether this batch was there."""
        run = self._runs.get((id.vantage, id.epoch))
        return run is not None and run.has(id.number)

    def is_new(self, id: BatchId) -> bool:
        """Whether this batch was not there before; from now on it was."""
        key = id.vantage, id.epoch
        run = self._runs.setdefault(key, Run())
        self._runs.move_to_end(key)
        if len(self._runs) > MOST_RUNS:
            self._runs.popitem(last=False)
        return run.is_new(id.number)

    def encode(self) -> list[list[object]]:
        """For JSON."""
        return [[*key, run.last, sorted(run.missing)] for key, run in self._runs.items()]

    @classmethod
    def decode(cls, found: list[list[object]]) -> "Numbers":
        """Raises ValueError or TypeError."""
        numbers = cls()
        for vantage, epoch, last, missing in found:
            run = Run()
            if not (isinstance(vantage, str) and isinstance(epoch, int) and isinstance(last, int)):
                raise TypeError("no numbers of a run")
            run.last, run.missing = last, {int(each) for each in missing}  # type: ignore[attr-defined]
            numbers._runs[vantage, epoch] = run
        return numbers
