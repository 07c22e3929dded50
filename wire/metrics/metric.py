"""A metric's declaration, a histogram without a library, and the answer to `get_metrics`."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from enum import StrEnum

from wire.control.control_wire import GetMetricsReply
from wire.start.late_dataclass import dataclass


class Kind(StrEnum):
    """As Prometheus calls them."""

    COUNTER = "counter"
    """Grows, and begins at 0 again with its process."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One declaration. A counter's name ends with `_total`. `buckets`: upper bounds of a histogram, without infinity.

    `of`: the processes that give it. Of several, each has the label `process`, which the master sets.
    """

    name: str
    kind: Kind
    meaning: str
    of: tuple[str, ...]
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    values: str = ""
    """What stands in the labels, in words."""
    status: str = ""
    """How `gossipstatus` calls it."""

    @property
    def all_labels(self) -> tuple[str, ...]:
        """With `process`, if several give it."""
        return (*(("process",) if len(self.of) > 1 else ()), *self.labels)


class Declarations(dict[str, Metric]):
    """Metrics by name, each declared once. `labels`: separated by spaces."""

    def declare(
        self,
        kind: Kind,
        name: str,
        meaning: str,
        of: tuple[str, ...],
        labels: str = "",
        values: str = "",
        status: str = "",
        buckets: tuple[float, ...] = (),
    ) -> Metric:
        """One more. Raises TypeError if there is one of this name."""
        if name in self:
            raise TypeError(f"{name} is declared twice")
        metric = self[name] = Metric(
            name=name,
            kind=kind,
            meaning=meaning,
            of=of,
            labels=tuple(labels.split()),
            buckets=buckets,
            values=values,
            status=status,
        )
        return metric

    def counter(
        self, name: str, meaning: str, of: tuple[str, ...], labels: str = "", values: str = "", status: str = ""
    ) -> Metric:
        """`lightning_NAME_total`. Raises as `declare`."""
        return self.declare(Kind.COUNTER, f"lightning_{name}_total", meaning, of, labels, values, status)

    def gauge(
        self, name: str, meaning: str, of: tuple[str, ...], labels: str = "", values: str = "", status: str = ""
    ) -> Metric:
        """`lightning_NAME`. Raises as `declare`."""
        return self.declare(Kind.GAUGE, f"lightning_{name}", meaning, of, labels, values, status)


class Histogram:
    """How many observations were up to each of some bounds, and the sum of all."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, metric: Metric) -> None:
        self._bounds = metric.buckets
        self.counts = [0] * (len(metric.buckets) + 1)
        """Of each bucket alone; the last one has what is above all bounds."""
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """One more."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class Samples:
    """Collects what a process answers."""

    def __init__(self) -> None:
        self._values: list[tuple[str, list[str], float]] = []
        self._histograms: list[tuple[str, list[str], list[int], float]] = []

    def put(self, metric: Metric, value: float, *labels: str) -> None:
        """One value. `labels`: those of the declaration, in its order."""
        self._values.append((metric.name, list(labels), float(value)))

    def put_each(self, metric: Metric, counts: Mapping[str, float] | Iterable[tuple[str, float]], *before: str) -> None:
        """A value for each value of the last label; `before`: the labels before it."""
        for label, value in dict(counts).items():
            self.put(metric, value, *before, label)

    def put_histogram(self, metric: Metric, histogram: Histogram) -> None:
        """All of a histogram."""
        self._histograms.append((metric.name, [], histogram.counts, histogram.sum))

    def reply(self) -> GetMetricsReply:
        """The answer."""
        return GetMetricsReply(self._values, self._histograms)
