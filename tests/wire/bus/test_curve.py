"""CURVE: the server's certificate, and which clients are admitted, over real tcp sockets on loopback."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio
import zmq.auth

from wire.bus import curve as module
from wire.bus.curve import CLIENTS, Clients, Curve, CurveError, server_keys
from wire.bus.socket import BusSocket

SOON = 60.0


def test_the_certificate_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    directory = tmp_path / "curve"
    keys = server_keys(directory)
    assert server_keys(directory) == keys
    assert zmq.auth.load_certificate(directory / "server.key") == (keys.public, None)
    modes = {path.name: path.stat().st_mode & 0o777 for path in [directory, *directory.iterdir()]}
    assert modes == {"curve": 0o700, "clients": 0o700, "server.key": 0o600, "server.key_secret": 0o600}
    assert keys.secret.decode() not in repr(keys)


def test_a_certificate_that_was_half_made_is_made_anew(tmp_path: Path) -> None:
    first = server_keys(tmp_path)
    (tmp_path / "server.key_secret").unlink()
    assert server_keys(tmp_path) != first
    assert zmq.auth.load_certificate(tmp_path / "server.key")[0] == server_keys(tmp_path).public


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "No public key"),
        ('public-key = "x"', "holds no secret key with its public key"),
        ('public-key = "x"\nsecret-key = "y"', "holds no secret key with its public key"),
    ],
)
def test_a_spoilt_certificate_is_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    server_keys(tmp_path)
    (tmp_path / "server.key_secret").write_text(text)
    with pytest.raises(CurveError, match=complaint):
        server_keys(tmp_path)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    server_keys(tmp_path)
    (tmp_path / "server.key_secret").chmod(0o640)
    with pytest.raises(CurveError, match="may be read by others"):
        server_keys(tmp_path)


def test_a_directory_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "curve").write_text("in the way")
    with pytest.raises(CurveError, match="cannot be used"):
        server_keys(tmp_path / "curve")


def certificate(directory: Path, name: str) -> tuple[bytes, bytes]:
    public_file, secret_file = zmq.auth.create_certificates(directory, name)
    public, secret = zmq.auth.load_certificate(secret_file)
    Path(secret_file).unlink()
    assert secret is not None and Path(public_file).exists()
    return public, secret


def test_clients_come_and_go_with_their_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clients = Clients(tmp_path)
    public, _ = certificate(tmp_path, "alice")
    assert clients.name_of(public) == "alice"
    (tmp_path / "broken.key").write_text("nothing")
    (tmp_path / "wrong.key").write_text('public-key = "tooshort"')
    assert clients.name_of(public) == "alice"
    assert clients.name_of(b"") is None and clients.name_of(b"tooshort") is None
    assert "broken.key is no client's key" in caplog.text and "wrong.key is no client's key" in caplog.text
    (tmp_path / "alice.key").unlink()
    assert clients.name_of(public) is None
    for path in tmp_path.iterdir():
        path.unlink()
    tmp_path.rmdir()
    assert clients.name_of(public) is None
    assert "cannot be read" in caplog.text


def test_so_many_keys_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MAX_CLIENTS", 1)
    clients = Clients(tmp_path)
    first, second = certificate(tmp_path, "a")[0], certificate(tmp_path, "b")[0]
    assert (clients.name_of(first), clients.name_of(second)) == ("a", None)
    assert "has 2 keys: only the first 1 are admitted" in caplog.text


class Server:
    """An echo behind CURVE."""

    def __init__(self, context: Any, directory: Path) -> None:
        self.curve = Curve(context, directory)
        self.socket = BusSocket(context, lambda frames: self.socket.send(frames), curve=self.curve.keys)
        self.socket.on_refused = self.curve.without_key
        self.endpoint = self.socket.bind("tcp://127.0.0.1:0")

    def close(self) -> None:
        self.socket.close()
        self.curve.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    with zmq.Context() as context:
        server = Server(context, tmp_path)
        yield server
        server.close()


class Knocking:
    """Clients that try to come in."""

    def __init__(self, context: zmq.asyncio.Context, server: Server) -> None:
        self._context = context
        self._server = server
        self.made: list[Any] = []

    def connect(self, keys: tuple[bytes, bytes] | None, server_key: bytes | None = None) -> Any:
        """A DEALER with these keys, or without any, which has said something."""
        client = self._context.socket(zmq.DEALER)
        self.made.append(client)
        client.linger = 0
        if keys is not None:
            client.curve_publickey, client.curve_secretkey = keys
            client.curve_serverkey = server_key or self._server.curve.keys.public
        client.connect(self._server.endpoint)
        return client

    async def echo(self, client: Any) -> bool:
        await client.send(b"hello")
        async with asyncio.timeout(SOON):
            return bool(await client.recv() == b"hello")

    async def refusal(self, client: Any, reason: int) -> None:
        """Wait until the client's ZMQ has said that it was refused."""
        monitor = client.get_monitor_socket(reason)
        async with asyncio.timeout(SOON):
            await monitor.recv_multipart()
        client.disable_monitor()
        monitor.close()


@pytest.fixture
async def knocking(server: Server) -> AsyncIterator[Knocking]:
    with zmq.asyncio.Context() as context:
        knocking = Knocking(context, server)
        yield knocking
        for client in knocking.made:
            client.close()


@pytest.fixture
def alice(tmp_path: Path, server: Server) -> Iterator[tuple[bytes, bytes]]:
    yield certificate(tmp_path / CLIENTS, "alice")


async def test_a_client_with_a_key_is_let_in_as_soon_as_its_file_is_there(
    server: Server, knocking: Knocking, tmp_path: Path
) -> None:
    first = certificate(tmp_path / CLIENTS, "first")
    assert await knocking.echo(knocking.connect(first))
    assert await knocking.echo(knocking.connect(certificate(tmp_path / CLIENTS, "second")))


async def test_an_unknown_key_gets_nothing_and_is_logged_once(
    knocking: Knocking, alice: tuple[bytes, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    unknown = zmq.curve_keypair()
    stranger = knocking.connect(unknown)
    await stranger.send(b"let me in")
    await knocking.refusal(stranger, zmq.EVENT_HANDSHAKE_FAILED_AUTH)
    assert await knocking.echo(knocking.connect(alice))
    assert await stranger.poll(0) == 0
    assert f"127.0.0.1 with the unknown key {unknown[0].decode()} (1 so far)" in caplog.text


async def test_a_client_without_a_key_gets_nothing_and_is_logged(
    server: Server, knocking: Knocking, alice: tuple[bytes, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    refused = asyncio.Event()
    count, server.socket.on_refused = server.socket.on_refused, refused.set
    stranger = knocking.connect(None)
    await stranger.send(b"let me in")
    async with asyncio.timeout(SOON):
        await refused.wait()
    count()
    assert await knocking.echo(knocking.connect(alice))
    assert await stranger.poll(0) == 0
    assert "a client of a bus is refused: it has no key, or not ours, or has gone too soon (1 so far)" in caplog.text


async def test_a_client_with_another_servers_key_gets_nothing(
    server: Server, knocking: Knocking, alice: tuple[bytes, bytes]
) -> None:
    refused = asyncio.Event()
    server.socket.on_refused = refused.set
    misled = knocking.connect(alice, server_key=zmq.curve_keypair()[0])
    await misled.send(b"let me in")
    async with asyncio.timeout(SOON):
        await refused.wait()
    assert await knocking.echo(knocking.connect(alice))
    assert await misled.poll(0) == 0


def test_refusals_are_said_ever_more_seldom(caplog: pytest.LogCaptureFixture) -> None:
    curve = Curve.__new__(Curve)
    curve._refused = 0
    for _ in range(100):
        curve.without_key()
    assert len(caplog.records) == 7
