"""Bad input of the command line: one sentence each, and what was there stays."""

from pathlib import Path

import pytest

from lightningd_py.observatory.command import command
from lightningd_py.observatory.record.lock import Lock
from tests.lightningd_py.observatory.made_up_day import Day, make_day
from tests.lightningd_py.observatory.recorded import T0
from wire.command import console


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return make_day(tmp_path_factory.mktemp("day"))


@pytest.fixture(autouse=True)
def no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "hear_interrupts", lambda: None)


BEFORE, DURING = "2026-09-21T14:13", "2026-09-21T15:00"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["as-of", "RECORD", BEFORE], "2026-09-21T14:13:00.000Z is before the first map that was recorded"),
        (["as-of", "RECORD", DURING, "--vantage", "moon"], "no whole map of moon was recorded"),
        (["as-of", "RECORD", DURING, "--format", "csv"], "where is the csv to go? --output FILE says it"),
        (
            ["as-of", "RECORD", DURING, "--format", "csv", "--vantage", "east", "--output", "MINE"],
            "MINE is there already, and is left as it is",
        ),
        (["as-of", "NOWHERE", DURING], "nothing was recorded in NOWHERE"),
        (["as-of", "RECORD", DURING, "--format", "csv", "--vantage", "east", "--output", "NOWHERE/x"], "NOWHERE/x"),
        (["diff", "RECORD", BEFORE, DURING], "is before the first map"),
        (["propagation", "RECORD", "1x1x1"], "1x1x1 was not heard in that time"),
        (["propagation", "RECORD", "--since", "now", "--until", "-1h"], "--since is later than --until"),
        (["propagation", "RECORD", "--svg", "MINE"], "MINE is there already"),
        (["export", "gsp", "RECORD", "MINE"], "MINE is there already"),
        (["export", "gossip-observer", "RECORD", "MINE"], "MINE is there already"),
        (["import", "gsp", "MINE", "NOWHERE"], "MINE is no GSP file"),
        (["import", "gossip-store", "MINE", "NOWHERE"], "is no gossip_store that can be read"),
        (["import", "gossip-store", "NOWHERE/x", "NOWHERE"], "NOWHERE/x is not there"),
        (["import", "gossip-observer", "RECORD", "NOWHERE"], "RECORD has no table"),
        (["replay"], "what is to be said again?"),
        (["replay", "RECORD", BEFORE, DURING], "where is it to be said?"),
        (["replay", "RECORD", DURING, BEFORE, "--feed", "NOWHERE/feed"], "T1 is later than T2"),
        (["replay", "RECORD", BEFORE, DURING, "--feed", "x", "--speed", "0"], "--speed is more than 0"),
        (["replay", "--synthetic"], "to whom is it to be said?"),
        (["replay", "--synthetic", "--node", "me"], "to whom is it to be said?"),
        (["replay", "--synthetic", "--node", "a=b", "--channels", "0"], "a map needs two nodes or more"),
    ],
)
def test_one_sentence(
    day: Day, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine, and no file of anybody else")
    places = {"RECORD": str(day.folder), "MINE": str(mine), "NOWHERE": str(tmp_path / "nowhere")}

    def placed(text: str) -> str:
        for name, place in places.items():
            text = text.replace(name, place)
        return text

    assert command([placed(word) for word in words]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1, said
    assert placed(sentence) in said[0]
    assert mine.read_text() == "mine, and no file of anybody else"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["as-of", "x", "yesterday"], "'yesterday' is no time"),
        (["record", "x", "--quota", "much"], "'much' is no size"),
        (["record", "x", "--convert-every", "1"], "'1' is no duration"),
        (["as-of", "x", "now", "--format", "gif"], "invalid choice"),
        (["record", "\udcff"], "its name is not UTF-8 text"),
        ([], "COMMAND"),
    ],
)
def test_what_is_said_wrongly(capsys: pytest.CaptureFixture[str], words: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit) as ended:
        command(words)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("asked", ["as-of", "diff", "propagation", "noisy", "openings", "first-responders"])
def test_table_and_json_of_everything_that_can_be_asked(
    day: Day, capsys: pytest.CaptureFixture[str], asked: str
) -> None:
    import json

    window = ["--since", BEFORE, "--until", "2026-09-21T18:00"]
    times = {"as-of": [DURING], "diff": ["2026-09-21T14:20", DURING]}
    words = [asked, str(day.folder), *times.get(asked, window)]
    assert command(words) == 0
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) > 1
    assert command([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_force_overwrites(day: Day, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    assert command(["as-of", str(day.folder), DURING, "--format", "csv", "--output", str(mine), "--force"]) == 0
    assert mine.read_text().startswith("short_channel_id,")


def test_two_recorders_on_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = Lock(tmp_path, "here")
    assert command(["record", str(tmp_path), "--feed", str(tmp_path / "feed"), "--vantage", "here"]) == 1
    assert f"another recorder writes to {tmp_path} as here" in capsys.readouterr().err
    lock.close()


def test_time_ago_is_a_time(day: Day, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["as-of", str(day.folder), "-1s"]) == 0, "today is later than that day"
    assert T0 and "channels" in capsys.readouterr().out
