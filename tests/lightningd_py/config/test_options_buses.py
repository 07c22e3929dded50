"""Where the buses are: the options -M, -X, -C and -R."""

from pathlib import Path

import pytest

from lightningd_py.config.options import BUSES, parse
from lightningd_py.errors import UsageError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without config files."""
    monkeypatch.setenv("HOME", str(tmp_path))


def test_they_are_in_the_networks_directory() -> None:
    options = parse(["--regtest", "--lightning-dir=/l"])
    assert [getattr(options, bus) for bus in BUSES] == [f"ipc:///l/regtest/{bus}" for bus in BUSES]


def test_other_places() -> None:
    options = parse(
        ["--regtest", "--lightning-dir=/l", "-M", "sub/m", "--ctl=ipc:///c", "-Cnone", "-R", "tcp://127.0.0.1"]
    )
    found = (options.msg, options.ctl, options.chnl, options.api)
    assert found == ("ipc:///l/regtest/sub/m", "ipc:///c", "", "tcp://127.0.0.1:62962")
    assert parse(["--msg=tcp://[::1]:5"]).msg == "tcp://[::1]:5"
    assert parse(["--api=tcp://127.0.0.1:5"]).api == "tcp://127.0.0.1:5"


@pytest.mark.parametrize(
    "value",
    ["", "ipc://", "ipc://@x", "@x", "*", "tcp://", "tcp://*:5", "tcp://host:5", "tcp://127.0.0.1:99999", "inproc://x"],
)
def test_what_is_no_place(value: str) -> None:
    for bus in BUSES:
        with pytest.raises(UsageError, match=f"^--{bus}: .*'"):
            parse([f"--{bus}={value}"])


def test_only_the_api_has_a_port_of_its_own() -> None:
    with pytest.raises(UsageError, match="does not name an IP address and a port"):
        parse(["--ctl=tcp://127.0.0.1"])
