"""The command line of connectiond on its own: what it asks for, and one sentence for each mistake."""

from pathlib import Path

import pytest

from connectd.connectiond.alone import standalone
from connectd.connectiond.alone.options import UsageError, parse
from wire.features import Features
from wire.secp256k1 import public_key
from wire.types import NETWORKS

ID = public_key(bytes([3]) * 32)
LISTEN = ("--listen", "127.0.0.1")
CONNECT = ("--connect", f"{ID.hex()}@127.0.0.1")
ONION = "a" * 55 + "d.onion"


def test_what_stands_there_if_nothing_is_said() -> None:
    settings = parse(LISTEN)
    home = Path.home() / ".connectiond" / "bitcoin"
    assert (settings.msg, settings.ctl) == (f"ipc://{home}/msg", f"ipc://{home}/ctl")
    assert settings.hsm_secret == home / "hsm_secret"
    assert settings.chain_hash == NETWORKS["bitcoin"]
    assert not settings.threaded


def test_everything_can_be_said() -> None:
    settings = parse(
        [
            *("--connect", f"{ID.hex()}@127.0.0.1", f"{ID.hex()}@[::1]:99", "--network", "regtest", "--dir", "/a/dir"),
            *(
                "-M",
                "ipc:///a/msg",
                "-X",
                "inproc://ctl",
                "--threaded",
                "--hsm-secret",
                "/a/key",
                "--max-connections",
                "9",
            ),
            *("--proxy", "127.0.0.1", "--always-use-proxy", "--offer", "gossip_queries", "--offer", "1000/even"),
        ]
    )
    assert settings.connect == [(ID, "127.0.0.1:19846"), (ID, "[::1]:99")]
    assert (settings.msg, settings.ctl) == ("ipc:///a/msg", "inproc://ctl")
    assert (settings.proxy, settings.always_use_proxy, settings.max_connections) == ("127.0.0.1:9050", True, 9)
    features = Features(settings.features)
    assert features.has(7) and features.has(1000) and not features.offers("gossip_queries_ex")


def test_onions_are_dialled_through_the_proxy() -> None:
    settings = parse(["--connect", f"{ID.hex()}@{ONION}", "--proxy", "localhost:9150"])
    assert settings.connect == [(ID, f"{ONION}:9735")]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "one of the arguments --listen --connect is required"),
        ((*LISTEN, *CONNECT), "not allowed with argument"),
        (("--listen", "1:2:3"), "--listen 1:2:3: .*'1:2:3' is neither"),
        (("--listen", "ws:127.0.0.1:80"), "only TCP and Unix sockets"),
        (("--listen", "autotor:127.0.0.1"), "only TCP and Unix sockets"),
        (("--connect", "02ab@127.0.0.1"), "'02ab' is no node id"),
        (("--connect", ID.hex()), "an address is missing"),
        (("--connect", f"02{'ff' * 32}@127.0.0.1"), "no point on the curve"),
        (("--connect", f"{ID.hex()}@{ONION}"), "name its SOCKS5 proxy with --proxy"),
        ((*LISTEN, "--network", "litecoin"), "invalid choice: 'litecoin'"),
        ((*LISTEN, "--msg", "/a/path"), "--msg '/a/path' is no endpoint"),
        ((*LISTEN, "--msg", "inproc://msg"), "embed us with --threaded"),
        ((*LISTEN, "--msg", "ipc:///a", "--ctl", "ipc:///a"), "two buses"),
        ((*LISTEN, "--always-use-proxy"), "needs --proxy"),
        ((*LISTEN, "--proxy", "::1::"), "--proxy ::1::: "),
        ((*LISTEN, "--offer", "time_travel"), "'time_travel' is no feature"),
        ((*LISTEN, "--max-connections", "0"), "'0' is not a number from 1 to 99999"),
        ((*CONNECT, f"{ID.hex()}@127.0.0.2", "--max-connections", "1"), "2 connections are more"),
        ((*LISTEN, "--log-level", "loud"), "invalid choice: 'loud'"),
        ((*LISTEN, "--dri", "/a"), "unrecognized arguments"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=reason):
        parse(arguments)
    assert standalone.command(arguments) == standalone.EXIT_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("connectiond: ")


def test_help_tells_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        standalone.command(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for option in ("--listen", "--connect", "--network", "--dir", "--hsm-secret", "--offer", "--proxy", "-M", "-X"):
        assert option in told
