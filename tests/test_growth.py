"""What `make bench-growth` says of its readings: how a row grows, and that none is lost on the way to its plots."""

from tests.bench.growth.draw import plots
from tests.bench.growth.frame import WORSE, Curve, Reading, curves_of, from_json, table, to_json


def _curve(points: list[tuple[float, float]], *, each: bool) -> Curve:
    return Curve("a row", "peers", "µs CPU", each, 1, points)


def test_a_flat_cost_of_each_is_linear_in_all() -> None:
    assert _curve([(10, 5.0), (1_000, 5.0)], each=True).exponent == 1
    assert _curve([(10, 5.0), (1_000, 500.0)], each=False).exponent == 1


def test_a_cost_of_each_that_grows_is_worse_than_linear_and_said_to_be() -> None:
    curve = _curve([(10, 1.0), (1_000, 10.0)], each=True)
    assert curve.exponent == 1.5 > WORSE
    good = _curve([(10, 1.0), (1_000, 1.2)], each=True)
    *_, bad_line, good_line = table([curve, good])
    assert "peers^1.50 | worse than linear" in bad_line
    assert "worse" not in good_line


def test_nothing_is_said_of_one_size_or_of_a_cost_of_nothing() -> None:
    assert _curve([(10, 1.0)], each=True).exponent is None
    assert _curve([(10, 0.0), (20, 1.0)], each=False).exponent is None


def test_the_least_of_several_readings_counts_by_row_and_cores_in_order_of_size() -> None:
    read = [Reading("a row", "peers", at, cost, "ms") for at, cost in ((100, 3.0), (10, 2.0), (100, 2.5))]
    both = [(1, each) for each in read] + [(2, read[0])]
    assert [(curve.cores, curve.points) for curve in curves_of(both)] == [
        (1, [(10, 2.0), (100, 2.5)]),
        (2, [(100, 3.0)]),
    ]


def test_a_file_reads_back_and_has_a_plot_a_row() -> None:
    curves = [_curve([(10, 5.0), (1_000, 6.0)], each=True), _curve([(10, 4.0)], each=True)._replace(cores=2)]
    about, read = from_json(to_json({"date": "2026-11-29"}, curves))
    assert read == curves
    ((name, text),) = plots(read, about)
    assert name == "a-row.svg"
    assert text.count('class="c') == 2 and "2 cores" in text and "2026-11-29" in text
