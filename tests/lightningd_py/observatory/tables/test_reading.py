"""Hour files that are damaged are left out with a sentence, and the rest is read."""

from pathlib import Path

import pytest

from lightningd_py.observatory.arguments import a_place
from lightningd_py.observatory.record.conversion import Conversion, closed_segments
from lightningd_py.observatory.tables.query import Query, asking
from lightningd_py.observatory.tables.reading import Record
from tests.lightningd_py.observatory.recorded import HOUR, T0, FakeFeed, Said, record, update


def recorded(folder: Path) -> list[Path]:
    said = Said()
    frames = [said.arrival(update(number), T0 + number % 3 * HOUR + number) for number in range(3000)]
    record(folder, FakeFeed(frames))
    Conversion(folder, "here").convert(closed_segments(folder, "here", ()))
    return sorted(folder.glob("arrivals/*/*/*.parquet"))


def count(record: Record) -> int:
    def ask(query: Query) -> int:
        query.load("arrivals", ["hash", "vantage"])
        return int(query.rows("SELECT count(DISTINCT hash) FROM arrivals WHERE vantage = 'here'")[0][0])

    return asking(record, ask)


@pytest.mark.parametrize("damage", ["cut", "empty", "rubbish", "flipped"])
def test_damaged_hour_is_left_out_and_said(tmp_path: Path, damage: str) -> None:
    files = recorded(tmp_path)
    assert len(files) == 3
    data = files[1].read_bytes()
    middle = data.index(update(1)[:0] + data[4:40])
    flipped = data[:middle] + bytes(byte ^ 0xFF for byte in data[middle : middle + 400]) + data[middle + 400 :]
    changed = {"cut": data[:-1], "empty": b"", "rubbish": b"no Parquet at all", "flipped": flipped}
    files[1].write_bytes(changed[damage])
    said: list[str] = []
    assert count(Record(tmp_path, said.append)) == 2000
    assert len(said) == 1
    assert said[0].startswith(f"{files[1]} is damaged and is left out: ")


@pytest.mark.parametrize("name", ["a[1]*?", "a\\[1]", "~", "s3:", "file:x", "{x}'\"", "**"])
def test_any_name_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Nothing of a neighbour is read that the name would be a pattern for."""
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path / name, tmp_path / "a1xy"):
        folder.mkdir()
        recorded(folder)
    for path in (tmp_path / "a1xy").glob("arrivals/*/*/*"):
        path.write_bytes(b"")
    said: list[str] = []
    assert count(Record(a_place(name), said.append)) == 3000
    assert said == []


def test_hours_outside_the_window_are_not_opened(tmp_path: Path) -> None:
    files = recorded(tmp_path)
    files[2].write_bytes(b"")
    said: list[str] = []
    part = Record(tmp_path, said.append).part("arrivals", None, T0, T0 + HOUR)
    assert (part.files, said) == (files[:2], [])
