"""Files are written whole or not at all, and what is there stays."""

import os
from pathlib import Path

import pytest

from lightningd_py.export.output import new_bytes, new_path, new_text
from wire.command.console import OutputError


def test_what_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("mine")
    with pytest.raises(OutputError, match="is there already, and is left as it is"), new_text(path, force=False):
        raise AssertionError("not to be written")
    assert path.read_text() == "mine"
    with new_text(path, force=True) as file:
        file.write("yours")
        assert path.read_text() == "mine", "until all is written"
    assert path.read_text() == "yours"


def test_symbolic_link_to_nothing_is_something(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to("nowhere")
    with pytest.raises(OutputError), new_bytes(tmp_path / "x", force=False):
        pass


def test_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    with pytest.raises(OutputError, match="no file that could be overwritten"), new_bytes(tmp_path / "x", force=True):
        pass
    assert (tmp_path / "x").is_fifo()


def test_folder_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "old").touch()
    with new_path(tmp_path / "x", force=True) as part:
        part.mkdir()
        (part / "new").touch()
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["new"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "x"
    path.write_text("mine")
    with pytest.raises((OutputError, KeyboardInterrupt)) as raised, new_text(path, force=True) as file:
        file.write("half")
        raise error
    if isinstance(error, OSError):
        assert str(raised.value) == f"{path} cannot be written: No space left on device"
    assert [each.name for each in tmp_path.iterdir()] == ["x"]
    assert path.read_text() == "mine"
