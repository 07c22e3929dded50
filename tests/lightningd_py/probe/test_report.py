"""The report and its plot."""

import xml.etree.ElementTree as ET

from lightningd_py.probe.report import HEAD, as_json, curve, rows, sentences
from lightningd_py.probe.survey import Survey
from lightningd_py.probe.svg import plot
from tests.lightningd_py.probe.test_survey import CHANNELS, REGTEST, SCIDS, spoilt

EVIL = "02<b>\x1b[31m&"


def survey() -> Survey:
    found = Survey([f"{EVIL}{i}" for i in range(20)], REGTEST)
    found.lists(0, SCIDS[:4])
    found.lists(1, SCIDS[1:5])
    for i in range(3):
        found.arrives(i % 2, CHANNELS[i].announcement, i + 0.5)
    found.arrives(1, spoilt(CHANNELS[5].announcement), 4.0)
    return found


def test_what_is_in_it() -> None:
    report = as_json(survey(), "regtest", 10.0, frozenset([SCIDS[0], SCIDS[11]]))
    assert report["map"] == {"channels": 4, "given": 3, "never_given": 1, "yours": 2, "you_lack": 2, "only_yours": 1}
    assert report["time_to"] == {"50": 1.5, "90": None, "95": None, "99": None}
    first, second = report["peers"][:2]
    assert (first["first_channels"], first["listed_that_you_lack"], first["curve"]) == (2, 3, [[0.5, 1], [2.5, 2]])
    assert second["wrong"] == 1
    assert first["connect_s"] is None


def test_text_for_people() -> None:
    report = as_json(survey(), "regtest", 10.0, frozenset(SCIDS[:1]))
    assert list(sentences(report)) == [
        "The map has 4 channels: 3 were given and 1 are listed by two peers and were given by none.",
        "50 % after 1.5s  90 % after -  95 % after -  99 % after -",
        "Yours has 1: it lacks 2 of those that were given; 0 of yours no peer knows.",
    ]
    cells = rows(report)
    assert {len(row) for row in cells} == {len(HEAD)}
    assert all(cell.isprintable() for row in cells for cell in row)


def test_a_curve_is_thinned_out_and_keeps_its_end() -> None:
    points = curve([float(i) for i in range(1_001)])
    assert len(points) <= 201
    assert points[-1] == [1_000.0, 1_001]
    assert curve([]) == []


def test_the_plot_is_xml_whatever_peers_are_called() -> None:
    text = plot(as_json(survey(), "regtest", 10.0, None))
    root = ET.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    curves = [path for path in root.findall(f"{space}path") if path.get("class") != "grid"]
    named = [text.text or "" for text in root.findall(f"{space}text") if "…" in (text.text or "")]
    assert (len(curves), len(named)) == (16 + 1, 16)
    assert "\x1b" not in text
    ET.fromstring(plot(as_json(Survey(["x"], REGTEST), "regtest", 0.0, None)))
