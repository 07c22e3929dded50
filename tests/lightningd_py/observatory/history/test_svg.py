"""The plots are documents whose curves and bars say what they were given, whatever that is."""

import re
import xml.etree.ElementTree as ET

import pytest

from lightningd_py.observatory.history import svg
from lightningd_py.plots.svg import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH

SPACE = "{http://www.w3.org/2000/svg}"


def texts(root: ET.Element) -> list[str]:
    return [each.text or "" for each in root.iter(f"{SPACE}text")]


def curves(root: ET.Element) -> list[list[tuple[float, float]]]:
    """Points of each curve, in the document's units; all of them within the axes."""
    found = []
    for path in root.iter(f"{SPACE}path"):
        if path.get("class") != "grid":
            points = re.findall(r"H([0-9.]+)V([0-9.]+)", path.get("d") or "")
            found.append([(float(x), float(y)) for x, y in points])
    assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM for each in found for x, y in each)
    return found


@pytest.mark.parametrize("delays", [[], [0], [0, 5, 10**6, 10**9, 3_600 * 10**9], list(range(0, 10**10, 10**7))])
def test_propagation(delays: list[int]) -> None:
    root = ET.fromstring(svg.plot_propagation(delays, "a < b & c"))
    assert texts(root)[0] == "a < b & c" and "50 %" in texts(root) and "1 ms" in texts(root)
    (curve,) = curves(root)
    heights = [y for _, y in curve]
    assert heights == sorted(heights, reverse=True)
    assert not delays or heights[-1] == pytest.approx(TOP)


def test_growth_goes_up_and_down() -> None:
    points = [(0.0, 10), (3600.0, 20), (7200.0, 15)]
    root = ET.fromstring(svg.plot_growth(points, 0, 86_400, "x"))
    ((first, up, down, end),) = curves(root)
    assert first[1] > down[1] > up[1] and end == (pytest.approx(WIDTH - RIGHT), down[1])
    assert {"00:00", "03:00", "20"} <= set(texts(root))
    assert curves(ET.fromstring(svg.plot_growth([], 0, 1, "x"))) == [[]]


def test_growth_by_block() -> None:
    (curve,) = curves(ET.fromstring(svg.plot_growth_by_block([800_000, 800_100, 800_050, 800_050], "x")))
    assert [y for _, y in curve] == sorted((y for _, y in curve), reverse=True)
    assert curve[-1][1] == pytest.approx(TOP)
    assert curves(ET.fromstring(svg.plot_growth_by_block([], "x"))) == [[]]
    assert len(curves(ET.fromstring(svg.plot_growth_by_block([5], "x")))[0]) == 1
    many = curves(ET.fromstring(svg.plot_growth_by_block(list(range(200_000)), "x")))[0]
    assert len(many) <= svg.MOST_POINTS + 1 and many[-1][1] == pytest.approx(TOP), "a large map is no large file"


def test_capacities_are_in_their_bins() -> None:
    root = ET.fromstring(svg.plot_capacities([0, 20_000, 21_000, 1_000_000, 10**9], "x"))
    bars = [each for each in root.iter(f"{SPACE}rect") if each.get("class") == "b0"]
    heights = [float(bar.get("height") or 0) for bar in bars]
    assert len(bars) == 4 and heights[1] == pytest.approx(2 * heights[0], abs=0.2)
    assert {"10,000 sat", "0.01 BTC", "10 BTC"} <= set(texts(root))
    assert not [each for each in ET.fromstring(svg.plot_capacities([], "x")).iter(f"{SPACE}rect") if each.get("x")]


def test_fees_are_cumulated_and_nothing_is_at_the_left() -> None:
    root = ET.fromstring(svg.plot_fees([0, 0, 0, 1000], [1, 10, 100, 2**32 - 1], "x"))
    rates, base = curves(root)
    assert base[0] == (LEFT, pytest.approx(HEIGHT - BOTTOM - 0.75 * (HEIGHT - BOTTOM - TOP), abs=0.1))
    assert rates[-1][1] == base[-1][1] == pytest.approx(TOP)
    assert {"millionths", "base fee, msat"} <= set(texts(root))
    assert curves(ET.fromstring(svg.plot_fees([], [], "x"))) == [[], []]


def test_arrivals_are_a_minute() -> None:
    counted = {"channel_update": {0: 60, 600: 30}, "node_announcement": {600: 6}}
    root = ET.fromstring(svg.plot_arrivals(counted, 0, 1200, 60, "x"))
    updates, nodes = curves(root)
    high = HEIGHT - BOTTOM - TOP
    assert min(y for _, y in updates) == pytest.approx(HEIGHT - BOTTOM - high, abs=0.1), "60 a minute is the most"
    assert min(y for _, y in nodes) == pytest.approx(HEIGHT - BOTTOM - high / 10, abs=0.1)
