"""Onion services by Tor's control port: authentication, keys that are kept, and a port that does everything wrongly."""

import asyncio
import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectd.doors.tor import OnionServices, TorSettings
from connectd.doors.tor_control import LONGEST_LINE, TorError
from tests.connectd.connectd_process import ConnectdProcess
from tests.connectd.doors.tors import COOKIE, KEY, SERVICE, FakeTor, hashed, real_tor
from wire.address import WireAddr
from wire.control.binding import parse_binding
from wire.control.control_channel import RequestFailed
from wire.control.timing import Timing

TARGET = WireAddr("ipv4", "127.0.0.1", 19846)
ONION = f"{SERVICE}.onion:9735"
PASSWORD = 'se"cret\\'


class Services:
    """OnionServices, and what came of them."""

    def __init__(self, keys: Path, password: str | None = None, *, timeout: float = 20.0, pause: float = 0.01) -> None:
        self.up: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        settings = TorSettings(password, keys, timeout, pause)
        self.onions = OnionServices(settings, self._spawn, self.up.append)

    def _spawn(self, coroutine: "asyncio._CoroutineLike[None]") -> None:
        self.tasks.append(asyncio.ensure_future(coroutine))  # type: ignore[arg-type]

    async def start(self, text: str) -> str:
        return str(await self.onions.start(parse_binding(text, 9735), TARGET))

    async def end(self) -> None:
        await asyncio.sleep(0)  # they have begun
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.sleep(0)  # what they have closed is closed


@pytest.fixture
def cookie_file(tmp_path: Path) -> Path:
    file = tmp_path / 'control auth "cookie"'
    file.write_bytes(COOKIE)
    return file


def files(directory: Path) -> list[Path]:
    return list(directory.iterdir())


async def until(reached: Callable[[], bool]) -> None:
    """For what is not told."""
    async with asyncio.timeout(60):
        while not reached():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


async def failure(tor: FakeTor | str, keys: Path, password: str | None = None, *, limit: float = 20.0) -> str:
    """Why there is no service, without the port's address."""
    address = tor if isinstance(tor, str) else tor.address
    services = Services(keys, password, timeout=limit)
    with pytest.raises(TorError) as failed:
        await services.start(f"autotor:{address}")
    assert services.tasks == []
    return str(failed.value).replace(f"Tor's control port {address}: ", "")


async def test_a_new_service_each_time(tmp_path: Path) -> None:
    async with FakeTor().running() as tor:
        services = Services(tmp_path)
        assert await services.start(f"autotor:{tor.address}") == ONION
        assert await services.start(f"autotor:{tor.address}/torport=7") == f"{SERVICE}.onion:7"
        assert services.up == [ONION, f"{SERVICE}.onion:7"]
        assert tor.services() == [f"ADD_ONION NEW:ED25519-V3 Port={port},{TARGET}" for port in (9735, 7)]
        assert files(tmp_path) == []
        await services.end()


async def test_a_key_is_kept_for_nobody_else_to_read(tmp_path: Path) -> None:
    async with FakeTor().running() as tor:
        services = Services(tmp_path)
        for _ in range(2):
            assert await services.start(f"statictor:{tor.address}") == ONION
        assert [line.split()[1] for line in tor.services()] == ["NEW:ED25519-V3", KEY]
        (file,) = files(tmp_path)
        assert (file.stat().st_mode & 0o777, file.read_text()) == (0o600, KEY + "\n")
        await services.end()


async def test_a_text_makes_the_key(tmp_path: Path) -> None:
    async with FakeTor().running() as tor:
        services = Services(tmp_path)
        await services.start(f"statictor:{tor.address}/torblob=my text")
        key = base64.b64decode(tor.services()[0].split()[1].removeprefix("ED25519-V3:"))
        assert key == b"my text" + bytes(57)
        assert files(tmp_path) == []
        await services.end()


@pytest.mark.parametrize("content", [b"", b"ED25519-V3:short\n", b"\xff" * 100])
async def test_a_damaged_key_is_never_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "onion-9735-key").write_bytes(content)
    async with FakeTor().running() as tor:
        with pytest.raises(TorError, match=r"onion-9735-key (is damaged|cannot be read)"):
            await Services(tmp_path).start(f"statictor:{tor.address}")
    assert (tmp_path / "onion-9735-key").read_bytes() == content


async def test_a_key_that_cannot_be_written(tmp_path: Path) -> None:
    async with FakeTor().running() as tor:
        with pytest.raises(TorError, match="cannot be written: No such file or directory"):
            await Services(tmp_path / "nowhere").start(f"statictor:{tor.address}")


async def test_authentication(tmp_path: Path, cookie_file: Path) -> None:
    for tor in (
        FakeTor("HASHEDPASSWORD"),
        FakeTor("COOKIE,SAFECOOKIE", Path(str(cookie_file).replace('"', '\\"'))),
        FakeTor("COOKIE,SAFECOOKIE,HASHEDPASSWORD", Path(str(cookie_file).replace('"', '\\"'))),
    ):
        async with tor.running():
            services = Services(tmp_path, PASSWORD if tor.methods == "HASHEDPASSWORD" else None)
            assert await services.start(f"autotor:{tor.address}") == ONION
            await services.end()


async def test_cookie_file_whose_name_tor_escapes(tmp_path: Path) -> None:
    """Tor writes each byte that is no ASCII in octal digits."""
    cookie_file = tmp_path / "k\u00e4se\tx"
    cookie_file.write_bytes(COOKIE)
    escaped = str(cookie_file).replace("\u00e4", "\\303\\244").replace("\t", "\\t")
    async with FakeTor("SAFECOOKIE", Path(escaped)).running() as tor:
        services = Services(tmp_path)
        assert await services.start(f"autotor:{tor.address}") == ONION
        await services.end()


async def test_authentication_that_fails(tmp_path: Path, cookie_file: Path) -> None:
    async def why(tor: FakeTor, password: str | None = None) -> str:
        async with tor.running():
            return await failure(tor, tmp_path, password)

    assert await why(FakeTor("HASHEDPASSWORD")) == "it wants a password: --tor-service-password"
    assert await why(FakeTor("HASHEDPASSWORD"), "wrong") == "Authentication failed: wrong"
    assert await why(FakeTor("COOKIE", cookie_file)) == "it offers no way to authenticate that we know: COOKIE"
    nowhere = await why(FakeTor("SAFECOOKIE", tmp_path / "nowhere"))
    assert nowhere == f"its cookie file {tmp_path / 'nowhere'}: No such file or directory"
    (tmp_path / "long").write_bytes(bytes(33))
    assert "has not 32 bytes" in await why(FakeTor("SAFECOOKIE", tmp_path / "long"))


async def test_a_port_that_asks_for_another_secret_learns_nothing(tmp_path: Path) -> None:
    """hsm_secret has 32 bytes, too."""
    secret = tmp_path / "hsm_secret"
    secret.write_bytes(b"secret" + bytes(26))
    async with FakeTor("COOKIE,SAFECOOKIE", secret).running() as tor:
        assert "does not know what is in its cookie file" in await failure(tor, tmp_path)
        assert [line.split()[0] for line in tor.heard] == ["PROTOCOLINFO", "AUTHCHALLENGE"]
        assert secret.read_bytes().hex() not in "".join(tor.heard)


async def test_cookie_file_or_methods_that_are_no_utf_8(tmp_path: Path) -> None:
    """One sentence."""
    async with FakeTor("SAFECOOKIE", Path("/nowhere/\\377")).running() as tor:
        assert await failure(tor, tmp_path) == "its cookie file /nowhere/?: No such file or directory"
    offered = '250-AUTH METHODS="\\377"\r\n250 OK'
    async with FakeTor(PROTOCOLINFO=offered).running() as tor:
        assert await failure(tor, tmp_path) == "it offers no way to authenticate that we know: ?"


async def test_cookie_file_that_is_no_file(tmp_path: Path) -> None:
    """A control port may name anything: connectd waits for none of it, nor reads on in what never ends."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for named in (pipe, tmp_path, Path("/dev/zero")):
        async with FakeTor("SAFECOOKIE", named).running() as tor:
            assert f"its cookie file {named} has not 32 bytes" in await failure(tor, tmp_path / "keys")


NO_TOR = "this does not speak Tor's control protocol"


@pytest.mark.parametrize(
    ("replies", "sentence"),
    [
        ({"PROTOCOLINFO": ""}, "hung up"),
        ({"AUTHENTICATE": ""}, "hung up"),
        ({"ADD_ONION": ""}, "hung up"),
        ({"PROTOCOLINFO": "HTTP/1.1 400 Bad Request"}, NO_TOR),
        ({"PROTOCOLINFO": "250 OK"}, NO_TOR),
        ({"PROTOCOLINFO": "250+data\n250 OK"}, NO_TOR),
        ({"PROTOCOLINFO": "\n".join(["250-x"] * 1000)}, NO_TOR),
        ({"PROTOCOLINFO": "\n".join(["650 x"] * 1000)}, NO_TOR),
        ({"PROTOCOLINFO": "250-" + "x" * LONGEST_LINE * 2}, NO_TOR),
        ({"PROTOCOLINFO": '250-AUTH METHODS=SAFECOOKIE COOKIEFILE="\0"\n250 OK'}, NO_TOR),
        ({"PROTOCOLINFO": "514 Authentication required\x1b[31m"}, "Authentication required?[31m"),
        ({"ADD_ONION": "512 Invalid port\n"}, "Invalid port"),
        ({"ADD_ONION": "250 OK"}, "it has named no onion service"),
        ({"ADD_ONION": "250-ServiceID=short\n250 OK"}, "it has named no onion service"),
    ],
)
async def test_a_port_that_does_it_wrongly(tmp_path: Path, replies: dict[str, Any], sentence: str) -> None:
    async with FakeTor(**replies).running() as tor:
        assert await failure(tor, tmp_path) == sentence


async def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    tor = FakeTor()
    tor.hello = bytes(range(128, 256)) + b"\n"
    async with tor.running():
        assert await failure(tor, tmp_path) == NO_TOR


@pytest.mark.parametrize("command", ["PROTOCOLINFO", "AUTHENTICATE", "ADD_ONION"])
async def test_a_port_that_falls_silent(tmp_path: Path, command: str) -> None:
    silent: dict[str, Any] = {command: None}
    async with FakeTor(**silent).running() as tor:
        assert await failure(tor, tmp_path, limit=0.1) == "no answer within 0.1 s"


async def test_a_port_that_is_not_there(tmp_path: Path) -> None:
    assert "refused" in (await failure("127.0.0.1:1", tmp_path)).lower()


@pytest.mark.parametrize("kind", ["autotor", "statictor"])
async def test_after_a_restart_of_tor_the_same_service_is_there_again(tmp_path: Path, kind: str) -> None:
    async with FakeTor().running() as tor:
        services = Services(tmp_path)
        await services.start(f"{kind}:{tor.address}")
        await tor.heard_of_services(1)
        tor.replies["AUTHENTICATE"] = "515 not yet"
        tor.hang_up()
        await until(lambda: tor.heard.count("AUTHENTICATE") >= 3)
        del tor.replies["AUTHENTICATE"]
        await tor.heard_of_services(1)
        assert [line.split()[1] for line in tor.services()] == ["NEW:ED25519-V3", KEY]
        await until(lambda: services.up == [ONION, ONION])
        await services.end()


async def test_connectd_announces_it_and_it_leads_to_the_first_socket(
    new_connectd: Callable[[], ConnectdProcess],
) -> None:
    async with FakeTor("HASHEDPASSWORD").running() as tor:
        connectd = new_connectd()
        await connectd.start(addr=[f"autotor:{tor.address}/torport=9735"], bind=["0.0.0.0:0"], tor_password=PASSWORD)
        assert connectd.announceable == [ONION]
        port = connectd.bindings[0].rpartition(":")[2]
        assert tor.services() == [f"ADD_ONION NEW:ED25519-V3 Port=9735,127.0.0.1:{port}"]
        await connectd.lives()
        assert f"onion service {ONION} leads here" in connectd.log()


@pytest.mark.parametrize(
    ("bind", "sentence"),
    [
        ([], "it has to lead to an IP address: add one with --bind-addr"),
        (["127.0.0.1:0"], "refused"),
    ],
)
async def test_connectd_says_why_not(
    new_connectd: Callable[[], ConnectdProcess], bind: list[str], sentence: str
) -> None:
    connectd = new_connectd()
    with pytest.raises(RequestFailed) as failed:
        await connectd.start(addr=["autotor:127.0.0.1:1"], bind=bind, timing=Timing())
    assert str(failed.value).startswith("Cannot bind autotor:127.0.0.1:1")
    assert sentence in str(failed.value).lower() or sentence in str(failed.value)


@pytest.mark.parametrize("authentication", ["none", "password", "cookie"])
async def test_a_real_tor(tmp_path: Path, authentication: str) -> None:
    data = tmp_path / "tor"
    data.mkdir(mode=0o700)
    options = {
        "none": [],
        "password": ["--HashedControlPassword", hashed(PASSWORD)] if authentication == "password" else [],
        "cookie": ["--CookieAuthentication", "1"],
    }[authentication]
    with real_tor(data, *options) as address:
        services = Services(tmp_path, PASSWORD if authentication == "password" else None)
        first = await services.start(f"statictor:{address}")
        await services.end()
        again = Services(tmp_path, PASSWORD if authentication == "password" else None)
        new = await again.start(f"autotor:{address}/torport=7")
        assert await again.start(f"statictor:{address}") == first
        assert first.endswith(".onion:9735")
        assert new.endswith(".onion:7") and new[:56] != first[:56]
        await again.end()
