"""listconfigs: values, kinds and sources, and what is not shown."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lightningd_py.config.options import parse
from lightningd_py.config.table import OPTIONS
from lightningd_py.rpc.jsonrpc import RpcServer
from lightningd_py.rpc.methods.config_commands import CONCEALED, ConfigCommands
from lightningd_py.rpc.params import RpcError


def server(directory: Path, *arguments: str) -> RpcServer:
    own: Any = SimpleNamespace(alias="chosen", color=b"\1\2\3")
    options = parse([f"--lightning-dir={directory}", "--network=regtest", *arguments])
    nothing: Any = None
    return RpcServer(ConfigCommands(options, own, nothing).all())


async def test_values_and_sources(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("# ours\nmax-inbound=7\nlog-level=debug\nbitcoin-rpcpassword=secret\n")
    rpc = server(tmp_path, "--offline", "--max-inbound=8", "--bind-addr=127.0.0.1", "--bind-addr=[::1]:5")
    configs = (await rpc.call("listconfigs"))["configs"]
    assert configs["max-inbound"] == {"value_int": 8, "source": "cmdline", "dynamic": True}
    assert configs["log-level"] == {
        "value_str": "debug",
        "source": f"{tmp_path}/config:3",
        "dynamic": True,
    }
    assert configs["network"] == {"value_str": "regtest", "source": "cmdline"}
    assert configs["offline"] == {"set": True, "source": "cmdline"}
    assert configs["developer"] == {"set": False, "source": "default"}
    assert configs["autolisten"] == {"value_bool": True, "source": "default"}
    assert configs["bind-addr"] == {"values_str": ["127.0.0.1", "[::1]:5"], "sources": ["cmdline", "cmdline"]}
    assert configs["log-file"] == {"values_str": ["-"], "sources": ["default"]}
    assert configs["rpc-file"] == {"value_str": f"{tmp_path}/regtest/lightning-rpc", "source": "default"}
    assert configs["rpc-file-mode"] == {"value_str": "0600", "source": "default"}
    assert (configs["alias"]["value_str"], configs["rgb"]["value_str"]) == ("chosen", "010203")
    assert configs["bitcoin-rpcpassword"]["value_str"] == "..."
    assert not {"proxy", "addr", "help", "regtest"} & configs.keys()


async def test_one(tmp_path: Path) -> None:
    rpc = server(tmp_path)
    assert (await rpc.call("listconfigs", ["max-inbound"]))["configs"].keys() == {"max-inbound"}
    assert (await rpc.call("listconfigs", ["proxy"]))["configs"] == {}
    with pytest.raises(RpcError) as error:
        await rpc.call("listconfigs", ["nosuch"])
    assert error.value.code == -32602


def test_what_is_concealed_is_an_option() -> None:
    assert {option.name for option in OPTIONS} >= CONCEALED
    assert all("password" not in option.name or option.name in CONCEALED for option in OPTIONS)
