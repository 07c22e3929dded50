"""`lightning-observatory web`: what it refuses, and how it ends."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lightningd_py.observatory.command import command


def test_address_of_others_without_a_token_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for address in ("0.0.0.0", "[::]:1", "192.0.2.1"):
        assert command(["web", "--listen", address]) == 1
        assert "--token-file FILE keeps others out" in capsys.readouterr().err


def test_name_is_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command(["web", "--listen", "localhost"])
    assert "'localhost' is no IP address" in capsys.readouterr().err


def test_address_in_use_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        assert command(["web", "--listen", where, "--feed", str(tmp_path / "feed"), "--cache", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"cannot listen on {where}: " in said and "already in use" in said and said.count("\n") == 1


def test_file_for_nats_that_is_not_there_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And is not taken for an address that cannot be listened on."""
    nats = ("--nats", "nats://127.0.0.1:1", "--nats-creds", str(tmp_path / "creds"))
    assert command(["web", "--listen", "127.0.0.1:0", *nats, "--cache", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"lightning-observatory: {tmp_path / 'creds'}: No such file or directory\n"


WITHOUT_NATS = """
import sys
sys.modules["nats"] = None
from lightningd_py.observatory.command import command
sys.exit(command(sys.argv[1:]))
"""


def test_it_runs_without_any_node_or_nats_py_and_ends_at_a_signal(tmp_path: Path) -> None:
    words = ("web", "--listen", "127.0.0.1:0", "--feed", str(tmp_path / "feed"), "--cache", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-P", "-c", WITHOUT_NATS, *words], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert "the page is at http://127.0.0.1:" in said, said + process.stderr.read()
        process.terminate()
        assert (process.wait(60), process.stderr.read()) == (0, "")
