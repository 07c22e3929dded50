"""The plot is a document with a curve from nothing to all, whatever the delays are."""

import xml.etree.ElementTree as ET

import pytest

from lightningd_py.observatory.history.svg import HEIGHT, TOP, plot


@pytest.mark.parametrize("delays", [[], [0], [0, 5, 10**6, 10**9, 3_600 * 10**9], list(range(0, 10**10, 10**7))])
def test_plot(delays: list[int]) -> None:
    root = ET.fromstring(plot(delays, "a < b & c"))
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "a < b & c" and "50 %" in texts and "1 ms" in texts
    *_, curve = root.iter("{http://www.w3.org/2000/svg}path")
    heights = [float(part.split("V")[1]) for part in (curve.get("d") or "").split("H")[1:]]
    assert heights == sorted(heights, reverse=True)
    assert not delays or heights[-1] == pytest.approx(TOP)
    assert all(0 <= height <= HEIGHT for height in heights)
