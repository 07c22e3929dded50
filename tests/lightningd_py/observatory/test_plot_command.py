"""`lightning-observatory plot`: each picture of a record whose answers are known, and of a gossip_store."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lightningd_py.observatory.command import command
from lightningd_py.observatory.plot_command import PLOTS
from tests.lightningd_py.observatory.made_up_day import SECOND, T0, Day, make_day
from wire.command import console


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return make_day(tmp_path_factory.mktemp("day"))


@pytest.fixture(autouse=True)
def no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "hear_interrupts", lambda: None)


def title_of(path: Path) -> str:
    return next(ET.fromstring(path.read_text()).iter("{http://www.w3.org/2000/svg}text")).text or ""


TITLES = {
    "growth": "channels of west: 19 at the end",
    "capacity": "19 channels by capacity, ",
    "fees": "fees of 36 directions (west",
    "propagation": "28 messages, 116 receipts",
    "arrivals": "",
}


@pytest.mark.parametrize("what", PLOTS)
def test_picture_of_a_record(day: Day, tmp_path: Path, what: str) -> None:
    path = tmp_path / "x.svg"
    since, until = str(T0 // SECOND + 1), str(T0 // SECOND + 10_000)
    words = ["plot", what, str(day.folder), str(path), "--since", since, "--until", until, "--vantage", "west"]
    assert command(words) == 0
    assert title_of(path).startswith(TITLES[what])
    if what == "arrivals":
        assert int((re.match("([0-9,]+) arrivals", title_of(path)) or [""])[1].replace(",", "")) > 100


@pytest.mark.parametrize(
    ("what", "title"),
    [
        ("growth", "18 channels by the block of their funding (gossip_store)"),
        ("capacity", "18 channels by capacity, "),
        ("fees", "fees of 36 directions (gossip_store)"),
    ],
)
def test_picture_of_a_gossip_store(
    day: Day, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, title: str
) -> None:
    assert command(["plot", what, str(day.folder.parent / "gossip_store")]) == 0
    assert f">{title}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["propagation", "STORE"], "propagation is plotted from a record, and STORE is a file"),
        (["growth", "NOWHERE"], "nothing was recorded in NOWHERE"),
        (["fees", "MINE"], "MINE is no gossip_store that can be read"),
        (["fees", "STORE", "MINE"], "MINE is there already"),
        (["arrivals", "STORE", "--since", "now", "--until", "-1h"], "--since is later than --until"),
    ],
)
def test_bad_input_is_one_sentence(
    day: Day,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "MINE").write_text("mine")
    (tmp_path / "STORE").symlink_to(day.folder.parent / "gossip_store")
    assert command(["plot", *words]) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith(f"lightning-observatory: {sentence}") and said.err.count("\n") == 1
    assert (tmp_path / "MINE").read_text() == "mine"
