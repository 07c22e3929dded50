"""What `--record` needs is asked for before the node starts."""

import importlib.util
from pathlib import Path

import pytest

from lightningd_py.config.options import Options, parse
from lightningd_py.errors import StartError
from lightningd_py.recording.recorder import Recorder


def options(node: Path, *more: str) -> Options:
    return parse([f"--lightning-dir={node}", "--network=regtest", "--record=history", *more])


def test_it_lies_in_the_networks_directory(tmp_path: Path) -> None:
    assert options(tmp_path).record == tmp_path / "regtest" / "history"
    assert options(tmp_path, "--record=/x").record == Path("/x")


def test_feed_on_a_unix_socket_is_needed(tmp_path: Path) -> None:
    for feed in ("none", "tcp://127.0.0.1:5"):
        with pytest.raises(StartError, match="--record needs a feed on a Unix socket"):
            Recorder(options(tmp_path, f"--feed={feed}"), "east")


def test_extra_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StartError, match=r"--record needs pyarrow, duckdb, xxhash: pip install 'lightningd-py\[obs"):
        Recorder(options(tmp_path), "east")


def test_there_is_no_process_before_it_is_started(tmp_path: Path) -> None:
    assert Recorder(options(tmp_path), "east").pid == 0
