"""What `--web-addr` needs, and how its process is asked."""

import importlib.util
from pathlib import Path

import pytest

from lightningd_py.config.options import Options, parse
from lightningd_py.errors import StartError, UsageError
from lightningd_py.recording.page import Page


def options(node: Path, *more: str) -> Options:
    return parse([f"--lightning-dir={node}", "--network=regtest", *more])


def words(node: Path, *more: str) -> list[str]:
    return Page(options(node, *more))._command[4:]


def test_it_is_pointed_at_the_nodes_files(tmp_path: Path) -> None:
    directory = tmp_path / "regtest"
    said = words(tmp_path, "--web-addr=127.0.0.1", "--record=history")
    assert said[:2] == ["web", str(directory / "history")]
    given = dict(zip(said[2::2], said[3::2], strict=True))
    assert given == {
        "--feed": str(directory / "feed"),
        "--store": str(directory / "gossip_store"),
        "--rpc": str(directory / "lightning-rpc"),
        "--listen": "127.0.0.1:9760",
        "--cache": str(directory / "web-cache"),
    }


@pytest.mark.parametrize("address", ["0.0.0.0:80", "192.168.1.1", "[::]:9760"])
def test_token_is_asked_where_others_can_connect(tmp_path: Path, address: str) -> None:
    assert words(tmp_path, f"--web-addr={address}")[-2:] == ["--token-file", str(tmp_path / "regtest" / "web-token")]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8:1", "[::1]:5"])
def test_loopback_needs_none(tmp_path: Path, address: str) -> None:
    assert "--token-file" not in words(tmp_path, f"--web-addr={address}")


def test_name_is_no_address(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no IP address"):
        options(tmp_path, "--web-addr=localhost")


def test_feed_on_a_unix_socket_is_needed(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="--web-addr needs a feed on a Unix socket"):
        Page(options(tmp_path, "--web-addr=127.0.0.1", "--feed=none"))


def test_extra_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StartError, match=r"--web-addr needs pyarrow, duckdb, xxhash: pip install 'lightningd-py\[obs"):
        Page(options(tmp_path, "--web-addr=127.0.0.1"))
