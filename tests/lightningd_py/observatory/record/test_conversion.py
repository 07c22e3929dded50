"""Conversions that are interrupted at each of their steps, and read at each of them: each row is there once."""

from pathlib import Path

import pytest

from lightningd_py.observatory.record.conversion import Conversion, closed_segments
from tests.lightningd_py.observatory.recorded import HOUR, T0, FakeFeed, Said, record, rows, update


class Killed(BaseException):
    """The process has gone at this step."""


def numbers(folder: Path) -> list[int]:
    return sorted(row["time_ns"] - T0 for row in rows(folder, "arrivals"))


def recorded(folder: Path) -> list[int]:
    """Two segments a table, of three hours."""
    said = Said()
    for run in range(2):
        frames = [said.arrival(update(10 * run + number), T0 + run + number * HOUR) for number in range(3)]
        record(folder, FakeFeed(frames), now_ns=T0 + run)
    return numbers(folder)


def steps(folder: Path) -> list[str]:
    passed: list[str] = []
    Conversion(folder, "here", passed.append).convert(closed_segments(folder, "here", ()))
    return passed


def test_steps_are_those_of_the_docstring(tmp_path: Path) -> None:
    recorded(tmp_path)
    passed = steps(tmp_path)
    assert len(passed) == 18, "as many kills as the next test has"
    assert passed[0] == "manifest"
    assert passed.index("hours") < passed.index("committed") < passed.index("removed") < passed.index("done")


@pytest.mark.parametrize("at", range(18))
def test_kill_at_each_step_loses_nothing_and_doubles_nothing(tmp_path: Path, at: int) -> None:
    before = recorded(tmp_path)
    read: list[list[int]] = []

    def between(step: str) -> None:
        read.append(numbers(tmp_path))
        if len(read) > at:
            raise Killed(step)

    try:
        Conversion(tmp_path, "here", between).convert(closed_segments(tmp_path, "here", ()))
    except Killed:
        read.append(numbers(tmp_path))
        (tmp_path / "spool" / "here-9.conversion.part").write_text('{"segme')
    assert read == [before] * len(read)
    Conversion(tmp_path, "here").convert(closed_segments(tmp_path, "here", ()))
    assert numbers(tmp_path) == before
    assert list(tmp_path.glob("spool/*/*.arrows")) == []
    assert list(tmp_path.glob("spool/*.conversion")) + list(tmp_path.glob("spool/*.converted")) == []


def test_number_is_never_used_twice(tmp_path: Path) -> None:
    recorded(tmp_path)
    steps(tmp_path)
    recorded(tmp_path)
    steps(tmp_path)
    assert {path.name for path in tmp_path.glob("arrivals/*/*/*")} == {"here-1.parquet", "here-2.parquet"}


def test_other_vantage_points_are_left_alone(tmp_path: Path) -> None:
    recorded(tmp_path)
    record(tmp_path, FakeFeed([Said().arrival(update(77), T0 + 77)]), vantage="there")
    steps(tmp_path)
    assert [path.name.split("-")[0] for path in tmp_path.glob("spool/arrivals/*")] == ["there"]
    assert 77 in numbers(tmp_path)


def test_full_disk_ends_it_and_it_is_done_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lightningd_py.observatory.record import conversion as module

    before = recorded(tmp_path)

    def no_room(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module, "sync_file", no_room)
        with pytest.raises(OSError, match="No space left"):
            Conversion(tmp_path, "here").convert(closed_segments(tmp_path, "here", ()))
    assert numbers(tmp_path) == before
    Conversion(tmp_path, "here").convert(closed_segments(tmp_path, "here", ()))
    assert numbers(tmp_path) == before
    assert list(tmp_path.glob("*/*/*/*.part")) == []
