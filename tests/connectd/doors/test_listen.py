"""Where we listen, and what of it is announced: by the rules of --addr, --bind-addr and --announce-addr."""

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest

from connectd.doors import listen
from connectd.doors.listen import BindRules, Listeners
from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.connectd_process import ConnectdProcess
from wire.control.binding import BindFailed
from wire.control.control_channel import RequestFailed
from wire.control.control_wire import Ways
from wire.net.sockman.sockman import SocketAddress, SockMan

RULES = BindRules(port=9735, use_dns=True, guess=True, announce_any=False)


class FakeSockMan(SockMan):
    """Binds nothing; hosts in `errors` cannot be bound."""

    def __init__(self, **errors: int) -> None:
        super().__init__()
        self.errors = errors
        self.bound: list[str] = []

    def bind_and_start_listening(self, to: SocketAddress) -> SocketAddress:
        kind = "ipv6" if ":" in to.host else "ipv4"
        if kind in self.errors:
            raise OSError(self.errors[kind], os.strerror(self.errors[kind]))
        self.bound.append(f"{to.host} {to.port}")
        return to


async def listeners(*texts: str, rules: BindRules = RULES, announce: bool = True, **errors: int) -> Listeners:
    """What has come of listening there."""
    found = Listeners(FakeSockMan(**errors), FakeSockMan(), rules)
    for text in texts:
        await found.listen(text, announce=announce)
    return found


async def test_every_interface() -> None:
    found = await listeners("", ":8", "ws::9")
    assert found.bindings == ["[::]:9735", "0.0.0.0:9735", "[::]:8", "0.0.0.0:8", "ws:[::]:9", "ws:0.0.0.0:9"]
    assert str(found.local) == "[::1]:9735"


@pytest.mark.parametrize("error", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT])
async def test_a_host_may_be_without_one_family(error: int) -> None:
    assert (await listeners("", ipv6=error)).bindings == ["0.0.0.0:9735"]
    assert (await listeners("", ipv4=error)).bindings == ["[::]:9735"]
    with pytest.raises(BindFailed, match=f"^Cannot bind every interface: {os.strerror(error)}$"):
        await listeners("", ipv4=error, ipv6=error)


async def test_but_nobody_else_may_have_the_port() -> None:
    with pytest.raises(BindFailed, match=r"^Cannot bind :8: Address already in use$"):
        await listeners(":8", ipv4=errno.EADDRINUSE)
    with pytest.raises(BindFailed, match=r"^Cannot bind :8: Address already in use$"):
        await listeners(":8", ipv6=errno.EADDRINUSE)


async def test_what_is_public_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    def announced(found: Listeners) -> list[str]:
        return [str(address) for address in found.announceable]

    texts = ("8.8.8.8", "10.0.0.1:7", "[2001:4860:4860::8888]:7", "127.0.0.1", "/a/path")
    assert announced(await listeners(*texts)) == ["8.8.8.8:9735", "[2001:4860:4860::8888]:7"]
    assert announced(await listeners(*texts, announce=False)) == []
    loopback = BindRules(port=9735, use_dns=True, guess=True, announce_any=True)
    assert announced(await listeners("127.0.0.1", rules=loopback)) == ["127.0.0.1:9735"]
    monkeypatch.setattr(listen, "source_address", {"ipv6": "fe80::1", "ipv4": "8.8.4.4"}.get)
    assert announced(await listeners("", ":8")) == ["8.8.4.4:9735", "8.8.4.4:8"]
    hidden = BindRules(port=9735, use_dns=True, guess=False, announce_any=False)
    assert announced(await listeners("", rules=hidden)) == []


async def test_onions_are_left_to_tor() -> None:
    found = await listeners("autotor:127.0.0.1", "0.0.0.0:7")
    assert [(str(binding), announce) for binding, announce in found.onions] == [
        ("autotor:127.0.0.1:9051/torport=9735", True)
    ]
    assert str(found.local) == "127.0.0.1:7"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"bind": ["autotor:"]}, "Cannot bind autotor:: "),
        ({"bind": ["node.example:1"]}, "Cannot bind node.example:1: it is a name, and DNS is disabled"),
        ({"addr": ["999.0.0.1"]}, "Cannot bind 999.0.0.1: "),
    ],
)
async def test_one_clear_sentence(
    new_connectd: Callable[[], ConnectdProcess], changes: dict[str, Any], sentence: str
) -> None:
    connectd = new_connectd()
    with pytest.raises(RequestFailed) as failed:
        await connectd.start(ways=Ways(None, False, use_dns=False), **changes)
    assert str(failed.value).startswith(sentence)


async def test_several_at_once(new_connectd: Callable[[], ConnectdProcess], tmp_path: Any) -> None:
    connectd = new_connectd()
    path = str(tmp_path / "socket")
    await connectd.start(addr=["127.0.0.1:0", "localhost:0"], bind=["[::1]:0", path], announce=["node.example:5"])
    assert connectd.bindings[-1] == path
    assert connectd.announceable[-1] == "node.example:5"
    assert set(connectd.announceable[:-1]) == set(connectd.bindings[:-2])
    for number in range(len(connectd.bindings)):
        async with await ScriptedPeer.connect(connectd.target(number)):
            await (await connectd.owner()).ends()
