"""Figures as text, in the two forms that Prometheus reads; the only module that knows prometheus_client."""

from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from lightningd_py.metrics.figures import Figures
from wire.metrics.metric import Kind, Metric

TEXT, OPENMETRICS = "text/plain; version=0.0.4; charset=utf-8", openmetrics.CONTENT_TYPE_LATEST


class _Families(Collector):
    def __init__(self, figures: Figures, metrics: Iterable[Metric]) -> None:
        self._figures, self._metrics = figures, metrics

    def collect(self) -> Iterator[Family]:
        """Every metric that is declared."""
        return (self._family(metric) for metric in self._metrics)

    def _family(self, metric: Metric) -> Family:
        if metric.kind is Kind.HISTOGRAM:
            return self._histogram(metric)
        make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
        family = make(metric.name, metric.meaning, labels=metric.all_labels)
        for labels, value in self._figures.values.get(metric, {}).items():
            family.add_metric(labels, value)
        return family

    def _histogram(self, metric: Metric) -> Family:
        family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.all_labels)
        bounds = [*map(str, metric.buckets), "+Inf"]
        for labels, (counts, total) in self._figures.histograms.get(metric, {}).items():
            family.add_metric(labels, list(zip(bounds, accumulate(counts), strict=True)), total)
        return family


def encoded(figures: Figures, metrics: Iterable[Metric], *, as_openmetrics: bool) -> bytes:
    """The text of a scrape: all of these metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(figures, metrics))
    text: bytes = openmetrics.generate_latest(registry) if as_openmetrics else generate_latest(registry)  # type: ignore[no-untyped-call]
    return text
