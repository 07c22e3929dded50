"""Connections to a server that says little: what a user is told is the server's own word, if it has one."""

import asyncio
import contextlib
import socket
import struct
from pathlib import Path

import nats.errors
import pytest

from lightningd_py.observatory.jetstream import connecting
from lightningd_py.observatory.jetstream.connecting import Access, connect, end
from lightningd_py.observatory.tables.errors import ObservatoryError

INFO = b'INFO {"server_id":"scripted","version":"2.9.10","max_payload":1048576,"auth_required":true}\r\n'
REFUSAL = b"-ERR 'Authorization Violation'\r\n"


class Server:
    """Does with each connection what comes next in its script; with the last of it, again and again."""

    def __init__(self, *script: str) -> None:
        self._script = list(script)
        self.connections = 0

    async def __aenter__(self) -> "Server":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1")
        self.url = f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        does = self._script[min(self.connections, len(self._script)) - 1]
        if does == "resets at once":
            self._reset(writer)
            return
        writer.write(INFO)
        while (line := await reader.readline()) and line != b"PING\r\n":
            pass
        if does == "resets":
            self._reset(writer)
        elif does == "closes":
            writer.close()
        elif does == "refuses":
            writer.write(REFUSAL)
            writer.close()
        else:
            writer.write(b"PONG\r\n")
            await reader.read()
            writer.close()

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "FIRST_PAUSE", 0.01)


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("before", ["resets", "resets at once", "closes"])
async def test_server_that_refuses_after_resets_has_the_word(before: str) -> None:
    said: list[str] = []
    async with Server(before, before, "refuses") as server:
        with pytest.raises(ObservatoryError, match=r": Authorization Violation$"):
            await connect(Access(server.url), "test", said.append)
    assert server.connections == 3, "its word is final"
    assert not said


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("before", ["resets", "resets at once", "closes"])
async def test_server_that_is_being_started_lets_in(before: str) -> None:
    said: list[str] = []
    async with Server(before, before, "lets in") as server:
        client = await connect(Access(server.url), "test", said.append)
        assert client.is_connected
        assert client.options["reconnect_time_wait"] == connecting.PAUSE
        await client.close()
    assert server.connections == 3
    assert not said


@pytest.mark.usefixtures("patience")
async def test_messages_that_come_too_fast_are_no_trouble() -> None:
    """nats-py tells of each that it throws away."""
    said: list[str] = []
    async with Server("lets in") as server:
        client = await connect(Access(server.url), "test", said.append)
        for subject in ("ln.a", "ln.b", "ln.a"):
            await client._error_cb(nats.errors.SlowConsumerError(subject, "", 1, None))  # type: ignore[arg-type]
        assert not said
        await client._error_cb(nats.errors.Error("nats: 'Permissions Violation'"))
        assert said == ["NATS: Permissions Violation"]
        await client.close()


@pytest.mark.usefixtures("patience")
async def test_server_that_always_resets_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "FIRST_PATIENCE", 0.5)
    async with Server("resets") as server:
        with pytest.raises(ObservatoryError, match=r": Connection reset by peer$"):
            await connect(Access(server.url), "test", lambda sentence: None)
    assert server.connections > 3


@pytest.mark.usefixtures("patience")
async def test_one_of_two_servers_lets_in() -> None:
    async with Server("refuses") as one, Server("resets", "lets in") as other:
        client = await connect(Access(f"{one.url},{other.url}"), "test", lambda sentence: None)
        assert client.is_connected
        await client.close()


@pytest.mark.usefixtures("patience")
async def test_file_that_is_no_certificate_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("rubbish")
    with pytest.raises(ObservatoryError, match=r"/ca: TLS fails: NO_CERT"):
        await connect(Access("tls://127.0.0.1:1", ca=tmp_path / "ca"), "test", lambda sentence: None)


@pytest.mark.timeout(20)
async def test_task_that_forgets_that_it_is_cancelled_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with asyncio.wait_for of Python 3.11, if it ends at the same moment."""
    monkeypatch.setattr(connecting, "AGAIN", 0.01)
    come = asyncio.get_running_loop().create_future()

    async def forgetful() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await come
        await asyncio.Event().wait()

    task = asyncio.create_task(forgetful())
    await asyncio.sleep(0)
    await end(task)
    assert task.cancelled()


async def test_connection_that_comes_as_it_is_no_longer_wanted_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[object] = []
    begun = asyncio.Event()

    class Late:
        async def connect(self, **_: object) -> None:
            begun.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            self.is_connected = True

        async def close(self) -> None:
            closed.append(self)

    monkeypatch.setattr(connecting, "Client", Late)
    task = asyncio.create_task(connect(Access("nats://127.0.0.1:1"), "late", lambda sentence: None))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert len(closed) == 1
