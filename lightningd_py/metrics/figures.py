"""The figures of one scrape: what each process has said, checked against the declarations. Knows no library.

A daemon may have been taken over: what it says that is not declared, and declared as its own, is rejected and counted.
"""

import math
from collections import Counter
from collections.abc import Container
from dataclasses import field

from wire.control.control_wire import GetMetricsReply
from wire.metrics.declared import declared
from wire.metrics.metric import Kind, Metric
from wire.start.late_dataclass import dataclass

MOST_SERIES = 256
"""Of one metric from one process."""
LONGEST_LABEL = 80
"""Characters."""

Labels = tuple[str, ...]


@dataclass(slots=True)
class Figures:
    """By metric, and by the values of all its labels."""

    values: dict[Metric, dict[Labels, float]] = field(default_factory=dict)
    histograms: dict[Metric, dict[Labels, tuple[list[int], float]]] = field(default_factory=dict)
    rejected: Counter[str] = field(default_factory=Counter)
    """How much each process has said that is not declared so."""

    def take(self, process: str, said: GetMetricsReply) -> None:
        """What one process says."""
        series: Counter[Metric] = Counter()
        for name, labels, value in said.values:
            metric = _declared(name, process, labels)
            if metric is None or metric.kind is Kind.HISTOGRAM or not math.isfinite(value):
                self.rejected[process] += 1
                continue
            there, key = self.values.setdefault(metric, {}), _key(metric, process, labels)
            if self._has_room(series, metric, key, there, process):
                there[key] = value
        for name, labels, counts, total in said.histograms:
            metric = _declared(name, process, labels)
            if metric is None or len(counts) != len(metric.buckets) + 1 or min(counts) < 0 or not math.isfinite(total):
                self.rejected[process] += 1
                continue
            of, key = self.histograms.setdefault(metric, {}), _key(metric, process, labels)
            if self._has_room(series, metric, key, of, process):
                of[key] = counts, total

    def _has_room(
        self, series: Counter[Metric], metric: Metric, key: Labels, there: Container[Labels], process: str
    ) -> bool:
        series[metric] += 1
        if series[metric] <= MOST_SERIES and key not in there:
            return True
        self.rejected[process] += 1
        return False


def _declared(name: str, process: str, labels: list[str]) -> Metric | None:
    """The metric, if the process may say it, with so many labels."""
    metric = declared.get(name)
    if metric is None or process not in metric.of or len(labels) != len(metric.labels):
        return None
    return metric if all(len(label) <= LONGEST_LABEL and label.isprintable() for label in labels) else None


def _key(metric: Metric, process: str, labels: list[str]) -> Labels:
    return (*((process,) if len(metric.of) > 1 else ()), *labels)
