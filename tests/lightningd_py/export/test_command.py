"""`lightning-cli-py export`, as a user calls it."""

import importlib.util
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from lightningd_py.cli import cli
from lightningd_py.database import FILE_NAME
from lightningd_py.export.formats import FORMATS, PARQUETS
from tests.lightningd_py.export.odd_maps import write_empty_store, write_odd_store, write_one_node
from wire.command import console


@pytest.fixture(autouse=True)
def no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "hear_interrupts", lambda: None)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("write", [write_empty_store, write_one_node, write_odd_store])
def test_each_format_of_each_map(tmp_path: Path, format_: str, write: object) -> None:
    store = write(tmp_path / "gossip_store")  # type: ignore[operator]
    assert cli.command(["export", format_, str(tmp_path / "out"), f"--store={store}"]) == 0
    assert (tmp_path / "out").stat().st_size > 0
    assert {path.name for path in tmp_path.iterdir()} == {"out", "gossip_store"}


@pytest.mark.parametrize("format_", [name for name in FORMATS if name not in PARQUETS])
def test_standard_output_is_the_same_as_a_file(
    odd_store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], format_: str
) -> None:
    assert cli.command(["export", format_, f"--store={odd_store}"]) == 0
    printed = capfd.readouterr().out
    assert cli.command(["export", format_, str(tmp_path / "out"), f"--store={odd_store}"]) == 0
    assert (tmp_path / "out").read_bytes().decode() == printed


def test_map_of_the_node_that_the_options_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "regtest").mkdir()
    write_odd_store(tmp_path / "regtest" / "gossip_store")
    (tmp_path / "regtest" / FILE_NAME).write_text("no database" * 100)
    assert cli.command(["--regtest", f"--lightning-dir={tmp_path}", "export", "describegraph"]) == 0
    said = capsys.readouterr()
    assert len(json.loads(said.out)["edges"]) == 20
    assert said.err.startswith("lightning-cli-py: chan_point is left empty, for ")


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["csv", "MINE"], 4, "MINE is there already, and is left as it is: --force overwrites it"),
        (["csv", "NOWHERE/x"], 4, "NOWHERE/x cannot be written: No such file or directory"),
        (["csv", "--store=NOWHERE"], 2, "NOWHERE cannot be read: No such file or directory"),
        (["csv", "--store=MINE"], 2, "MINE is no gossip_store that can be read (version byte 109)"),
        (["csv", "--store=."], 2, ". cannot be read: Is a directory"),
        (["gif"], 3, "export needs a format, and may be given a file: one of describegraph, graphml"),
        ([], 3, "export needs a format"),
        (["csv", "x", "y"], 3, "export needs a format"),
    ],
)
def test_bad_input_is_one_sentence(
    odd_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "MINE").write_text("mine")
    words = words if any(word.startswith("--store") for word in words) else [*words, f"--store={odd_store}"]
    assert cli.command(["export", *words]) == status
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1) and said.err.startswith(f"lightning-cli-py: {sentence}")
    assert [path.name for path in tmp_path.iterdir()] == ["MINE"] and (tmp_path / "MINE").read_text() == "mine"


def test_parquet_says_how_to_get_what_it_needs(
    odd_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert cli.command(["export", "parquet", str(tmp_path / "x"), f"--store={odd_store}"]) == 3
    assert "pip install 'lightningd-py[observatory]' gets it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_one_sentence_and_leaves_nothing(odd_store: Path, tmp_path: Path) -> None:
    """A process whose files may not grow past 4 kB stands for it, and /dev/full for standard output."""
    command = [sys.executable, "-m", "lightningd_py.cli", "export", "describegraph", f"--store={odd_store}"]

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run(
        [*command, tmp_path / "out"], capture_output=True, text=True, preexec_fn=small_files, check=False
    )
    assert (done.returncode, done.stderr) == (
        4,
        f"lightning-cli-py: {tmp_path / 'out'} cannot be written: File too large\n",
    )
    assert list(tmp_path.iterdir()) == []
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        4,
        "lightning-cli-py: standard output cannot be written: No space left on device\n",
    )
