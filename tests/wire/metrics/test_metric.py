"""Declarations, histograms and answers."""

import pytest

from wire.control.control_message import MAX_INLINE
from wire.metrics.declared import PING_SECONDS, VERDICTS, declared
from wire.metrics.metric import Declarations, Histogram, Kind, Samples
from wire.metrics.tally import Tally


def test_a_histogram_counts_up_to_each_bound() -> None:
    histogram = Histogram(PING_SECONDS)
    for seconds in (0.01, 0.011, 1.0, 31.0):
        histogram.observe(seconds)
    assert histogram.counts == [1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    assert round(histogram.sum, 3) == 32.021


def test_an_answer_has_the_labels_in_the_order_of_the_declaration() -> None:
    samples = Samples()
    samples.put_each(VERDICTS, {"checking": 1, "held": True}, "channel_update")
    assert samples.reply().values == [
        ("lightning_gossip_verdicts_total", ["channel_update", "checking"], 1.0),
        ("lightning_gossip_verdicts_total", ["channel_update", "held"], 1.0),
    ]


def test_the_largest_answer_fits_a_datagram() -> None:
    """Of an owner of connections whose peers have said every message that there is."""
    samples, tally = Samples(), Tally()
    for number in range(600):
        tally.heard(number.to_bytes(2, "big"))
        tally.said([number.to_bytes(2, "big")])
    tally.put_into(samples)
    for kind in range(3):
        samples.put_each(VERDICTS, {f"a verdict with a long name {number}": 1e300 for number in range(30)}, str(kind))
    assert len(samples.reply().encode()[0]) < MAX_INLINE / 4


def test_names_are_as_prometheus_wants_them() -> None:
    for name, metric in declared.items():
        assert name == metric.name and name.startswith("lightning_") and name.replace("_", "").isalnum()
        assert name.islower() and (name.endswith("_total") == (metric.kind is Kind.COUNTER))
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
        assert metric.meaning and metric.of and "process" not in metric.labels


def test_a_name_is_declared_once() -> None:
    found = Declarations()
    asked = found.counter("asked", "what was asked", ("gossipd",), "type direction")
    assert (asked.name, asked.labels) == ("lightning_asked_total", ("type", "direction"))
    with pytest.raises(TypeError, match="lightning_asked_total is declared twice"):
        found.counter("asked", "again", ("connectd",))
    assert found == {"lightning_asked_total": asked}
