"""`lightning-observatory rgs`, as a user calls it."""

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from lightningd_py.observatory.command import command
from tests.lightningd_py.observatory.rgs.made import USUAL, write
from tests.lightningd_py.observatory.rgs.reading import read
from wire.command import console
from wire.types import NETWORKS


@pytest.fixture(autouse=True)
def no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "hear_interrupts", lambda: None)


def test_one_step_without_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = write(tmp_path / "gossip_store", dict.fromkeys(range(3), (USUAL, USUAL)))
    for _ in range(2):
        assert command(["rgs", str(tmp_path / "out"), "--store", str(store), "--once"]) == 0
        assert re.fullmatch(r"lightning-observatory: step \d+: 3 channels, 4 nodes\n", capsys.readouterr().err)
    assert len(read((tmp_path / "out/snapshots/v1/0.bin").read_bytes()).channels) == 3


def test_empty_map_is_of_the_named_network(tmp_path: Path) -> None:
    store = write(tmp_path / "gossip_store", {})
    assert command(["rgs", str(tmp_path / "out"), "--store", str(store), "--network", "signet", "--once"]) == 0
    assert read((tmp_path / "out/snapshots/v2/0.bin").read_bytes()).chain_hash == NETWORKS["signet"]


def test_store_that_is_not_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "MINE").write_text("mine")
    for store, sentence in (("NOWHERE", "NOWHERE: No such file or directory"), ("MINE", "MINE is no gossip_store")):
        assert command(["rgs", "out", "--store", store, "--once"]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"lightning-observatory: {sentence}") and said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--listen", "example.com"], "'example.com' is no IP address"),
        (["--interval", "1s"], "1s is not between a minute and 12 hours"),
        (["--interval", "never"], "'never' is no duration"),
        (["--network", "moon"], "invalid choice"),
    ],
)
def test_what_is_said_wrongly(capsys: pytest.CaptureFixture[str], words: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit) as ended:
        command(["rgs", "x", *words])
    assert ended.value.code == 2 and sentence in capsys.readouterr().err


def test_process_serves_until_it_is_ended(tmp_path: Path) -> None:
    """And one that finds the port taken says so."""
    store = write(tmp_path / "gossip_store", {0: (USUAL, USUAL)})
    start = [sys.executable, "-m", "lightningd_py.observatory", "rgs"]
    with subprocess.Popen(
        [*start, tmp_path / "out", "--store", store, "--listen=127.0.0.1:0"], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        try:
            match = re.search(r"served at (http://127\.0\.0\.1:(\d+)/snapshot)", process.stderr.readline())
            assert match is not None
            with urllib.request.urlopen(f"{match[1]}/0") as answer:
                assert len(read(answer.read()).channels) == 1
            second = subprocess.run(
                [*start, tmp_path / "other", "--store", store, f"--listen=127.0.0.1:{match[2]}"],
                capture_output=True,
                text=True,
                check=False,
            )
            assert (second.returncode, second.stderr.count("\n")) == (1, 1)
            assert "cannot be served at 127.0.0.1:" in second.stderr
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
