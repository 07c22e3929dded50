"""The document: well-formed whatever texts say, in two colour schemes that can be read."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_py.plots.axes import counts, shares
from lightningd_py.plots.svg import COLOURS, DARK_COLOURS, STRONG, Curve, document

SPACE = "{http://www.w3.org/2000/svg}"


@given(st.text(), st.text(min_size=1))
def test_any_text_makes_a_document(title: str, name: str) -> None:
    root = ET.fromstring(document(title, counts(10), shares(), [Curve([(1, 2)], name)]))
    assert root.tag == f"{SPACE}svg"
    assert not list(root.iter(f"{SPACE}script"))


def test_curve_begins_where_it_is_told() -> None:
    text = document("x", counts(10), shares(100), [Curve([(5, 50)], start=None), Curve([(5, 50)], colour=STRONG)])
    paths = [path.get("d") or "" for path in ET.fromstring(text).iter(f"{SPACE}path") if path.get("class") != "grid"]
    assert [re.match("M([0-9.]+) ([0-9.]+)H", path) is not None for path in paths] == [True, True]
    assert paths[0].startswith("M470.0 205.0") and paths[1].startswith("M70 370.0")


def test_curve_goes_straight_where_it_is_told() -> None:
    points = [(0, 0), (5, 50), (10, 0)]
    text = document("x", counts(10), shares(100), [Curve(points, start=None, straight=True), Curve(points)])
    straight, steps = (
        path.get("d") for path in ET.fromstring(text).iter(f"{SPACE}path") if path.get("class") != "grid"
    )
    assert straight == "M70.0 370.0L70.0 370.0L470.0 205.0L870.0 370.0"
    assert steps is not None and "L" not in steps


def test_only_what_matters_most_has_the_colour_of_text() -> None:
    """However many curves there are: colours begin again."""
    curves = [Curve([(1, 2)], f"{number}", number) for number in range(20)]
    text = document("x", counts(10), shares(), [Curve([(1, 2)], "all", STRONG), *curves])
    used = [path.get("class") for path in ET.fromstring(text).iter(f"{SPACE}path") if path.get("class") != "grid"]
    assert used == ["cs", *(f"c{number % len(COLOURS)}" for number in range(20))]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("colours", "paper"), [(COLOURS, "#ffffff"), (DARK_COLOURS, "#14171a")])
def test_colours_can_be_read(colours: tuple[str, ...], paper: str) -> None:
    """WCAG's 4.5 to 1 for text."""
    for colour in colours:
        light, dark = sorted((luminance(colour), luminance(paper)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, colour
