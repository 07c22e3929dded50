"""connectd and websocketd together: peers that come by WebSocket, and strangers who do it wrongly."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from connectd.connections import Connections
from connectd.doors.websocket_door import WebRules, WebSocketDoor
from connectd.websocketd import bridges as module
from connectd.websocketd.bridges import MAX_UNSENT, Bridges
from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.connectd_process import ConnectdProcess
from tests.connectd.webs import WEB, Websocketd, hangs_up, silent, until_fds, url, web_peer
from tests.harness.injected_time import InjectedTime
from tests.harness.web_peer import REQUEST
from wire.control.access import Access
from wire.control.control_channel import ControlChannel
from wire.control.control_message import Fd
from wire.control.control_wire import UnwrapWebsocket, WebsocketSource
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.net.sockman.sockman import SocketAddress, SockManOptions

CUSTOM = bytes.fromhex("8001")
MESSAGE = 60_000
MOST_BUFFERED = 64 << 20
"""Bytes that the kernel's buffers may hold on the way of a message through three sockets."""


async def test_a_peer_both_ways(connectd: ConnectdProcess) -> None:
    assert connectd.bindings[1].startswith("ws:127.0.0.1:")
    async with web_peer(connectd) as peer:
        owner = await connectd.owner()
        assert owner.info.node_id == peer.node_id
        assert owner.info.incoming
        assert owner.info.address.startswith("127.0.0.1:")
        messages = [CUSTOM + bytes([number % 256]) * (number * 37 % 65_534) for number in range(300)]
        for there, back in ((peer, owner.peer), (owner.peer, peer)):
            saying = asyncio.create_task(there.say(*messages))
            assert [await back.hear_raw() for _ in messages] == messages
            await saying
        await owner.ends()
        await peer.hangs_up()
    await connectd.lives()


async def test_it_outlives_connectd(
    connectd: ConnectdProcess, unwrapper: Websocketd, new_connectd: Callable[[], ConnectdProcess]
) -> None:
    async with web_peer(connectd) as peer:
        owner = await connectd.owner()
        connectd.process.kill()
        connectd.process.wait()
        connectd.master.close()
        await peer.say(CUSTOM)
        assert await owner.peer.hear_raw() == CUSTOM
        second = new_connectd()
        await second.start(bind=WEB, websocket_fd=unwrapper.fd_for_connectd())
        async with web_peer(second):
            await (await second.owner()).ends()
        await owner.peer.say(CUSTOM)
        assert await peer.hear_raw() == CUSTOM
        await owner.close()


async def test_the_client_goes(connectd: ConnectdProcess, unwrapper: Websocketd) -> None:
    before = unwrapper.fds()
    async with web_peer(connectd) as peer:
        owner = await connectd.owner()
        await peer.say(CUSTOM)
    assert await owner.peer.hear_raw() == CUSTOM
    await owner.peer.hangs_up()
    await owner.ends()
    await until_fds(unwrapper, before)


async def test_a_slow_reader_holds_up_nobody_and_fills_nothing(
    connectd: ConnectdProcess, unwrapper: Websocketd
) -> None:
    """The owner's writes stop when the client does not read: what is kept between them is bounded."""
    reader, writer = await silent(connectd)
    writer.write(REQUEST)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    assert isinstance(writer.transport, asyncio.ReadTransport)
    writer.transport.pause_reading()
    async with web_peer(connectd) as peer:
        owner = await connectd.owner()
        before = unwrapper.memory()
        peer._reader._transport.pause_reading()  # type: ignore[attr-defined]
        os.set_blocking(owner.peer._writer.get_extra_info("socket").fileno(), False)
        sent = await flood(owner.peer)
        assert sent < MOST_BUFFERED
        assert unwrapper.memory() - before < 16 * MAX_UNSENT
        peer._reader._transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(sent // MESSAGE + 1):
            assert len(await peer.hear_raw()) == MESSAGE
        await owner.ends()
        await peer.hangs_up()
    writer.close()
    await connectd.lives()


async def flood(peer: ScriptedPeer) -> int:
    """Say more and more until nothing is taken for a while; how many bytes were said."""
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < MOST_BUFFERED:
            async with asyncio.timeout(0.5):
                await peer.say(CUSTOM + bytes(MESSAGE - 2))
                sent += MESSAGE
    return sent


async def test_a_client_that_wants_text(connectd: ConnectdProcess) -> None:
    async with connect(url(connectd)) as client:
        await client.send("hello")
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1003, "binary messages only")
    await connectd.lives()


async def test_a_message_of_100_megabytes(connectd: ConnectdProcess, unwrapper: Websocketd) -> None:
    before = unwrapper.memory()
    reader, writer = await silent(connectd)
    writer.write(REQUEST)
    await reader.readuntil(b"\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        writer.write(b"\x82\xff" + (100 << 20).to_bytes(8, "big") + bytes(4))
        for _ in range(100):
            writer.write(bytes(1 << 20))
            await writer.drain()
    answer = await hangs_up(reader)
    assert answer == b"" or answer[:1] + answer[2:4] == b"\x88\x03\xf1"
    writer.transport.abort()
    assert unwrapper.memory() - before < 4 << 20
    await connectd.lives()


async def test_wrong_upgrades(connectd: ConnectdProcess) -> None:
    for said in (b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", b"\0" + bytes(49), b"GET /" + b"x" * 20_000):
        reader, writer = await silent(connectd)
        writer.write(said)
        await hangs_up(reader)
        writer.close()
    with pytest.raises(InvalidStatus):
        await connect(url(connectd), additional_headers={"Sec-WebSocket-Version": "7"})
    await connectd.lives()


async def test_an_upgrade_that_is_never_finished_has_connectds_deadline(
    new_connectd: Callable[[], ConnectdProcess], unwrapper: Websocketd
) -> None:
    connectd = new_connectd()
    await connectd.start(bind=WEB, websocket_fd=unwrapper.fd_for_connectd(), timing=Timing(connection_timeout=0.3))
    before = unwrapper.fds()
    for said in (b"", REQUEST[:-1], REQUEST):
        reader, writer = await silent(connectd)
        writer.write(said)
        answer = await hangs_up(reader)
        assert answer.startswith(b"HTTP/1.1 101 ") == (said == REQUEST)
        writer.close()
    await until_fds(unwrapper, before)


async def test_resets_and_half_closes(connectd: ConnectdProcess, unwrapper: Websocketd) -> None:
    before = unwrapper.fds()
    for said in (b"", REQUEST[:30], REQUEST, REQUEST + b"\x82\xfe\xff\xff"):
        for abort in (True, False):
            reader, writer = await silent(connectd)
            writer.write(said)
            if said.endswith(b"\r\n\r\n"):
                await reader.readuntil(b"\r\n\r\n")
            if abort:
                writer.transport.abort()
            else:
                writer.write_eof()
                await hangs_up(reader)
                writer.close()
    await until_fds(unwrapper, before)
    await connectd.lives()


class Silent:
    """A link to a connectd that is told nothing."""

    def tell(self, message: WebsocketSource) -> None:
        pytest.fail(f"{message} was not asked for")


def order(
    tcp: socket.socket, stream: socket.socket, *, read_rate: int = 0, proxies: tuple[str, ...] = ()
) -> UnwrapWebsocket:
    """What connectd tells websocketd of these two."""
    return UnwrapWebsocket(7, "203.0.113.7:9735", read_rate, list(proxies), Fd(tcp.detach()), Fd(stream.detach()))


async def test_a_client_that_never_reads_has_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STUCK", 0.05)
    (ours, stream), (client, tcp) = socket.socketpair(), socket.socketpair()
    bridges = Bridges(room=2)
    bridges.unwrap(order(tcp, stream), Silent())
    with ours, client:
        client.send(REQUEST)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_recv(client, 1_000)
        _, writer = await asyncio.open_connection(sock=ours.dup())
        while len(bridges):
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(0.01):
                    writer.write(bytes(65_536))
                    await writer.drain()
        writer.close()
        bridges.close_sockets()


async def test_past_its_room_new_ones_are_closed(caplog: pytest.LogCaptureFixture) -> None:
    bridges = Bridges(room=2)
    with contextlib.ExitStack() as stack:
        ends = []
        for _ in range(3):
            (ours, stream), (client, tcp) = socket.socketpair(), socket.socketpair()
            ends += [stack.enter_context(ours), stack.enter_context(client)]
            bridges.unwrap(order(tcp, stream), Silent())
        assert [end.recv(1) for end in ends[2:]] == [b""] * 4
        assert len(bridges) == 1
        assert caplog.text.count("1 WebSockets are all that may be open here") == 1
    bridges.close_sockets()


async def test_an_owner_that_does_not_read_holds_up_the_client(
    connectd: ConnectdProcess, unwrapper: Websocketd
) -> None:
    async with web_peer(connectd) as peer:
        owner = await connectd.owner()
        before = unwrapper.memory()
        owner.peer._reader._transport.pause_reading()  # type: ignore[attr-defined]
        sent = await flood(peer)
        assert sent < MOST_BUFFERED
        assert unwrapper.memory() - before < 16 * MAX_UNSENT
        owner.peer._reader._transport.resume_reading()  # type: ignore[attr-defined]
        for _ in range(sent // MESSAGE + 1):
            assert len(await owner.peer.hear_raw()) == MESSAGE
        await owner.ends()
        await peer.hangs_up()


async def test_a_refused_stranger_costs_websocketd_nothing() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = ControlChannel(ours, "websocketd", lambda _: None, lambda _: None)
    access = Access()
    access.refuses_address = lambda address, now: "not you"  # type: ignore[method-assign]
    refusing = Connections(1, lambda _: None, Limits(), access)
    door = WebSocketDoor(refusing, channel, WebRules((), 0, 60.0))
    address = door.bind_and_start_listening(SocketAddress("tcp", "127.0.0.1", 0))
    door.start(SockManOptions())
    with theirs:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        assert await hangs_up(reader) == b""
        writer.close()
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        door.close_sockets()
        refusing.close_sockets()
        channel.close()


EMPTY = b"\x82\x80" + bytes(4)
"""A masked frame without payload: six bytes that no rate of what comes out would see."""
PING, PONG = b"\x89\x81" + bytes(4) + b"?", b"\x8a\x01?"


def test_empty_frames_have_a_rate() -> None:
    """Each counts as 106 bytes: 5,000 of them take five seconds where 100,000 bytes a second are read."""

    async def test() -> None:
        loop = asyncio.get_running_loop()
        (ours, stream), (client, tcp) = socket.socketpair(), socket.socketpair()
        bridges = Bridges(room=2)
        bridges.unwrap(order(tcp, stream, read_rate=100_000), Silent())
        with ours, client:
            client.setblocking(False)
            await loop.sock_sendall(client, REQUEST)
            assert (await loop.sock_recv(client, 1_000)).startswith(b"HTTP/1.1 101 ")
            begin = loop.time()
            await loop.sock_sendall(client, EMPTY * 5_000 + PING)
            assert await loop.sock_recv(client, 1_000) == PONG
            assert 4.0 < loop.time() - begin < 6.0
        bridges.close_sockets()

    with asyncio.Runner(loop_factory=InjectedTime) as runner:
        runner.run(test())


async def test_floods_of_empty_frames_hold_up_nobody(connectd: ConnectdProcess, unwrapper: Websocketd) -> None:
    """Strangers say more of them than they may in ten seconds; another client comes in and is served meanwhile."""
    host, _, port = connectd.bindings[1].removeprefix("ws:").rpartition(":")
    async with contextlib.AsyncExitStack() as stack:
        ends = []
        for number in range(20):
            reader, writer = await asyncio.open_connection(host, int(port), local_addr=(f"127.9.{number}.2", 0))
            stack.callback(writer.close)
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
            ends.append((reader, writer))
        pongs = []
        for reader, writer in ends:
            writer.write(EMPTY * 300_000 + PING)
            pongs.append(asyncio.create_task(reader.readexactly(len(PONG))))
            stack.callback(pongs[-1].cancel)
        async with web_peer(connectd) as peer:
            owner = await connectd.owner()
            for _ in range(5):
                await peer.say(CUSTOM)
                assert await owner.peer.hear_raw() == CUSTOM
            assert not any(pong.done() for pong in pongs), "they flood still"
            await owner.ends()
