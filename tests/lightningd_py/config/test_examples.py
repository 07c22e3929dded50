"""`--write-examples`: what it writes is what the pages show, and nothing of the user's is overwritten."""

from pathlib import Path

import pytest

from lightningd_py.config.examples import write_examples
from lightningd_py.config.options import parse
from lightningd_py.errors import DirectoryError

SOURCE = Path(__file__).parents[3] / "lightningd_py" / "examples"
UNITS = ["systemd/lightningd-py.conf", "systemd/lightningd-py.service", "systemd/lightningd-py.socket"]
NAMES = ["channel_service.py", "collect_gossip.py", "follow_gossmap.py", "refuse_channels.py", *UNITS]


def test_examples_are_written_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "new" / "examples"
    for _ in range(2):
        with pytest.raises(SystemExit) as ended:
            parse([f"--write-examples={directory}"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.splitlines() == [str(directory / name) for name in NAMES]
    assert all((directory / name).read_text() == (SOURCE / name).read_text() for name in NAMES)


def test_a_file_of_the_user_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "refuse_channels.py").write_text("mine")
    with pytest.raises(DirectoryError, match=r"refuse_channels.py is there already"):
        write_examples(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["refuse_channels.py"]


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DirectoryError, match=r"cannot be written into .*/file: "):
        write_examples(tmp_path / "file")
