"""WebSockets that come through a trusted proxy: their source is what the proxy says."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from connectd.connections import Connections
from connectd.doors import websocket_door
from connectd.doors.websocket_door import WebRules, WebSocketDoor
from lightningd_py.tools.scripted_peer import PeerClosed
from tests.connectd.connectd_process import ConnectdProcess
from tests.connectd.webs import WEB, Websocketd, hangs_up, silent, until_fds, url, web_peer
from tests.harness.web_peer import REQUEST
from wire.control.access import Access
from wire.control.control_channel import ControlChannel, receive_message
from wire.control.control_wire import SetAccess, UnwrapWebsocket
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.net.sockman.sockman import SocketAddress, SockManOptions

New = Callable[[], ConnectdProcess]


async def start(connectd: ConnectdProcess, unwrapper: Websocketd, timing: Timing) -> None:
    """Start a connectd that believes what comes from 127.0.0.0/30."""
    await connectd.start(
        bind=WEB,
        websocket_fd=unwrapper.fd_for_connectd(),
        web_proxies=["127.0.0.0/30"],
        limits=Limits(inbound_per_source=1),
        timing=timing,
    )


def behind_proxy(says: dict[str, str]) -> bytes:
    """A request as a proxy passes it on."""
    return REQUEST[:-2] + "".join(f"{name}: {value}\r\n" for name, value in says.items()).encode() + b"\r\n"


@pytest.fixture
async def proxied(new_connectd: New, unwrapper: Websocketd) -> AsyncIterator[ConnectdProcess]:
    connectd = new_connectd()
    await start(connectd, unwrapper, Timing())
    yield connectd


async def test_behind_a_proxy_the_source_is_what_the_proxy_says(proxied: ConnectdProcess) -> None:
    async with web_peer(proxied, headers={"X-Forwarded-For": "1.2.3.4, 203.0.113.7"}):
        first = await proxied.owner()
        assert first.info.address == "203.0.113.7:0"
        with pytest.raises(PeerClosed):
            async with web_peer(proxied, headers={"Forwarded": "for=203.0.113.7"}):
                pass
        async with web_peer(proxied, headers={"Forwarded": 'for="[2001:470::1]:4711"'}):
            second = await proxied.owner()
            assert second.info.address == "[2001:470::1]:4711"
            await second.ends()
        await first.ends()
    async with web_peer(proxied):
        plain = await proxied.owner()
        assert plain.info.address.startswith("127.0.0.1:")
        await plain.ends()


async def test_a_ban_is_of_the_client_behind_the_proxy(proxied: ConnectdProcess) -> None:
    proxied.master.send(SetAccess([], [("203.0.113.0/24", "", None)]))
    await proxied.barrier()
    with pytest.raises(PeerClosed):
        async with web_peer(proxied, headers={"X-Forwarded-For": "203.0.113.7"}):
            pass
    async with web_peer(proxied, headers={"X-Forwarded-For": "198.51.100.1"}):
        await (await proxied.owner()).ends()


async def test_a_malformed_header_of_a_proxy(proxied: ConnectdProcess) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(url(proxied), additional_headers={"X-Forwarded-For": "unknown"})
    assert refused.value.response.status_code == 400
    await proxied.lives()


async def test_who_is_no_proxy_is_not_believed(proxied: ConnectdProcess) -> None:
    async with web_peer(proxied, headers={"X-Forwarded-For": "203.0.113.7"}, source="127.0.0.9"):
        owner = await proxied.owner()
        assert owner.info.address.startswith("127.0.0.9:")
        await owner.ends()


async def test_a_request_through_a_proxy_that_does_not_end(new_connectd: New, unwrapper: Websocketd) -> None:
    """A deadline ends it; and one whose client goes before is not waited for."""
    proxied = new_connectd()
    await start(proxied, unwrapper, Timing(connection_timeout=0.3))
    before, there = unwrapper.fds(), proxied.fds()
    for said in (b"", behind_proxy({"X-Forwarded-For": "203.0.113.7"})[:-1]):
        reader, writer = await silent(proxied)
        writer.write(said)
        assert await hangs_up(reader) == b""
        writer.close()
    reader, writer = await silent(proxied)
    writer.write(b"no request")
    assert await hangs_up(reader) == b""
    writer.close()
    await until_fds(unwrapper, before)
    await proxied.barrier()
    assert proxied.fds() == there


async def test_requests_through_proxies_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_door, "MOST_WAITING", 2)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = ControlChannel(ours, "websocketd", lambda _: None, lambda _: None)
    inside = Connections(1, lambda _: None, Limits(), Access())
    door = WebSocketDoor(inside, channel, WebRules((ip_network("127.0.0.1"),), 0, 60.0))
    address = door.bind_and_start_listening(SocketAddress("tcp", "127.0.0.1", 0))
    door.start(SockManOptions())
    streams = []
    with theirs, contextlib.ExitStack() as stack:
        for _ in range(3):
            _, writer = await asyncio.open_connection(address.host, address.port)
            stack.callback(writer.close)
            theirs.setblocking(False)
            await readable(theirs)
            message = receive_message(theirs, "connectd")
            assert isinstance(message, UnwrapWebsocket)
            os.close(message.tcp_fd)
            streams.append(stack.enter_context(socket.socket(fileno=message.stream_fd)))
        assert streams[0].recv(1) == b"", "the oldest is closed"
        for stream in streams[1:]:
            stream.setblocking(False)
            with pytest.raises(BlockingIOError):
                stream.recv(1)
        door.close_sockets()
        inside.close_sockets()
        channel.close()


async def readable(sock: socket.socket) -> None:
    """There is something to be read."""
    loop, there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sock, there.set)
    await there.wait()
    loop.remove_reader(sock)
