"""An ESB bus over real ZMQ sockets: sessions, their ends, and those who misbehave."""

import asyncio
import math
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio

from wire.bus.bus_message import BusError, BusMessage
from wire.bus.bus_wire import CONNECTIOND, Credit, Error, Goodbye, Heartbeat, Hello, Message, Welcome
from wire.bus.large_messages import MOST_LARGE
from wire.bus.sessions import MAX_FAULTS, MAX_QUEUED, MAX_QUEUED_BYTES, Session, Sessions
from wire.bus.socket import MAX_FRAME, BusSocket, CurveKeys
from wire.control.binding import BindFailed

SOON = 60.0


@pytest.fixture
def context() -> Iterator["zmq.Context[Any]"]:
    """Terminated at the end: nothing of ours is left open."""
    with zmq.Context() as context:
        yield context


class Hub:
    """A hub that remembers what it hears, and greets every service but `nobody`."""

    def __init__(
        self, context: "zmq.Context[Any]", endpoint: str, heartbeat: float = 60.0, patience: float = math.inf
    ) -> None:
        self.heard: asyncio.Queue[tuple[str, BusMessage]] = asyncio.Queue()
        self.gone: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.here: asyncio.Queue[Session] = asyncio.Queue()
        self.socket = BusSocket(context)
        self.sessions = Sessions(
            "msg",
            CONNECTIOND,
            self.socket,
            admit=self._admit,
            on_message=self._on_message,
            on_gone=lambda session, reason: self.gone.put_nowait((session.service, reason)),
            heartbeat=heartbeat,
            patience=patience,
        )
        self.sessions.on_welcome = self.here.put_nowait
        self.endpoint = self.socket.bind(endpoint)

    @staticmethod
    def _admit(hello: Hello) -> Welcome:
        if hello.service == "nobody":
            raise BusError("nobody may not come in")
        return Welcome(hello.service, ticket=hello.ticket)

    def _on_message(self, session: Session, message: BusMessage) -> None:
        if isinstance(message, Credit):
            raise BusError("no credit is wanted here")
        self.heard.put_nowait((session.service, message))

    def close(self) -> None:
        self.sessions.close("the node ends")
        self.socket.close()


class Service:
    """The other end: a plain DEALER."""

    def __init__(self, context: "zmq.Context[Any]", endpoint: str) -> None:
        self.socket = zmq.asyncio.Context(context).socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(endpoint)

    async def say(self, message: BusMessage | bytes, address: bytes = CONNECTIOND) -> None:
        await self.socket.send_multipart([address, message if isinstance(message, bytes) else message.encode()])

    async def hear(self) -> Any:
        async with asyncio.timeout(SOON):
            sender, body = await self.socket.recv_multipart()
        return BusMessage.decode(body, "msg", "node") if sender == CONNECTIOND else (sender, body)

    async def ask(self, message: BusMessage | bytes) -> Any:
        await self.say(message)
        return await self.hear()


@pytest.fixture
async def hub(context: "zmq.Context[Any]", tmp_path: Path) -> AsyncIterator[Hub]:
    hub = Hub(context, f"ipc://{tmp_path}/msg")
    yield hub
    hub.close()


@pytest.fixture
async def join(context: "zmq.Context[Any]", hub: Hub) -> AsyncIterator[Callable[[], Service]]:
    made: list[Service] = []

    def connect() -> Service:
        made.append(Service(context, hub.endpoint))
        return made[-1]

    yield connect
    for service in made:
        service.socket.close()


async def soon(queue: "asyncio.Queue[Any]") -> Any:
    async with asyncio.timeout(SOON):
        return await queue.get()


async def test_a_session_begins_with_hello(hub: Hub, join: Callable[[], Service]) -> None:
    service = join()
    assert await service.ask(Hello("alice", ticket=b"t", id=1)) == Welcome("alice", ticket=b"t", id=1)
    await service.say(Message(7, 1, b"\0\x20"))
    assert await soon(hub.heard) == ("alice", Message(7, 1, b"\0\x20"))
    session = hub.sessions.named("alice")
    assert session is not None and hub.sessions.send(session, Message(7, 1, b"\0\x21"))
    assert await service.hear() == Message(7, 1, b"\0\x21")


async def test_only_the_owner_can_open_the_socket(hub: Hub, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "msg").stat().st_mode) == 0o600


async def test_a_service_may_come_back_before_its_end_was_noticed(
    context: "zmq.Context[Any]", hub: Hub, join: Callable[[], Service]
) -> None:
    first = join()
    await first.ask(Hello("alice"))
    second = join()
    await second.say(Hello("alice", id=2))
    await soon(hub.here)
    first.socket.close()
    assert await second.hear() == Welcome("alice", id=2)
    assert (await soon(hub.gone))[0] == "alice"
    for _ in range(10):
        second.socket.close()
        second = join()
        assert await second.ask(Hello("alice")) == Welcome("alice")


async def test_of_two_who_wait_for_a_name_one_gets_it(hub: Hub, join: Callable[[], Service]) -> None:
    first, second, third = join(), join(), join()
    await first.ask(Hello("alice"))
    for other in (second, third):
        await other.say(Hello("alice", id=1))
        await other.say(Hello("alice", id=2))
        assert await other.hear() == Error("service alice is here already", id=2)
    first.socket.close()
    answers = {repr(await second.hear()), repr(await third.hear())}
    assert answers == {repr(Welcome("alice", id=1)), repr(Error("service alice is here already", id=1))}


async def test_what_is_wrong_gets_one_sentence(hub: Hub, join: Callable[[], Service]) -> None:
    service = join()
    assert await service.ask(Message(7, 1, b"\0\x20")) == Error("say hello first", conn_id=7)
    assert await service.ask(Hello("nobody", id="x")) == Error("nobody may not come in", id="x")
    named = await service.ask(Hello("No Name"))
    assert named.error.startswith("'No Name' is no name of a service")
    await service.ask(Hello("alice"))
    assert await service.ask(Hello("bob")) == Error("this session is alice's already")
    assert await service.ask(b"\xc1") == Error("that is no msgpack")
    assert await service.ask(Credit(3, 1)) == Error("no credit is wanted here", conn_id=3)
    await service.socket.send_multipart([b"one"])
    assert await service.hear() == Error("a message is two frames, the address and the body, not 1")
    await service.say(b"anything", address=b"bob")
    assert await service.hear() == Error("there is no service called bob on this bus")
    await service.say(Message(7, 1, b"\0\x20"))
    assert (await soon(hub.heard))[0] == "alice"


async def test_a_name_has_one_session(hub: Hub, join: Callable[[], Service]) -> None:
    first, second = join(), join()
    await first.ask(Hello("alice"))
    assert await second.ask(Hello("alice", id=2)) == Error("service alice is here already", id=2)
    await first.say(Goodbye("I go"))
    assert await soon(hub.gone) == ("alice", "I go")
    assert await second.ask(Hello("alice")) == Welcome("alice")
    await first.say(Message(7, 1, b""))
    while isinstance(answer := await first.hear(), Heartbeat):
        """Wait for the question whether it is still there."""
    assert answer == Error("say hello first", conn_id=7)


async def test_nonsense_without_end_is_cut_off(hub: Hub, join: Callable[[], Service]) -> None:
    service, other = join(), join()
    await service.ask(Hello("alice"))
    await other.ask(Hello("bob"))
    for _ in range(MAX_FAULTS):
        assert isinstance(await service.ask(b"\xc1"), Error)
    reason = f"{MAX_FAULTS} messages in a row were wrong"
    assert await service.hear() == Goodbye(reason)
    assert await soon(hub.gone) == ("alice", reason)
    await other.say(Message(1, 1, b"\0\x20"))
    assert (await soon(hub.heard))[0] == "bob"


async def test_one_who_has_gone_is_noticed_at_once(hub: Hub, join: Callable[[], Service]) -> None:
    """Long before the next heartbeat."""
    service, other = join(), join()
    await service.ask(Hello("alice"))
    await other.ask(Hello("bob"))
    service.socket.close()
    assert await soon(hub.gone) == ("alice", "it is gone")
    assert hub.sessions.named("bob") is not None
    assert await other.hear() == Heartbeat()


async def test_one_who_does_not_read_is_cut_off(hub: Hub, join: Callable[[], Service]) -> None:
    """What waits for it is bounded, and others are served."""
    service, other = join(), join()
    service.socket.rcvhwm = 1
    await service.ask(Hello("slow"))
    await other.ask(Hello("bob"))
    session = hub.sessions.named("slow")
    assert session is not None
    said = 0
    while hub.sessions.send(session, Message(1, 1, bytes(3_000))):
        said += 1
        assert len(session.queue) <= MAX_QUEUED
        assert session.queued == sum(map(len, session.queue))
        if not said % 100:
            await asyncio.sleep(0)
    assert said >= MAX_QUEUED
    assert await soon(hub.gone) == ("slow", "it does not read")
    await other.say(Message(1, 1, b"\0\x20"))
    assert (await soon(hub.heard))[0] == "bob"


async def test_large_messages_for_one_who_does_not_read_are_bounded_by_bytes(
    hub: Hub, join: Callable[[], Service]
) -> None:
    """Long before there are so many that their count is a bound; and one more that does not read gets its share."""
    names = ("slow", "slower")
    for name in names:
        service = join()
        service.socket.rcvhwm = 1
        await service.ask(Hello(name))
        session = hub.sessions.named(name)
        assert session is not None
        said = 0
        while not session.queue:
            said += 1
            assert hub.sessions.send(session, Message(1, 1, bytes(60_000)))
        share = MOST_LARGE // 2 if name == "slow" else MOST_LARGE // 4
        assert share - 200_000 < said * 60_000 < share + 2_000_000  # what ZMQ and the kernel have in their own buffers
        while hub.sessions.send(session, Message(1, 1, bytes(60_000))):
            assert session.queued <= MAX_QUEUED_BYTES
            assert len(session.queue) < MAX_QUEUED
        assert await soon(hub.gone) == (name, "it does not read")
    reader = join()
    await reader.ask(Hello("reader"))
    session = hub.sessions.named("reader")
    assert session is not None
    for _ in range(3):
        assert hub.sessions.send(session, Message(1, 1, bytes(60_000)))
        assert len((await reader.hear()).message) == 60_000


async def test_one_who_reads_nothing_for_long_is_cut_off(context: "zmq.Context[Any]", tmp_path: Path) -> None:
    """Long before it would have too much in its queue; one that reads something now and then is not."""
    hub = Hub(context, f"ipc://{tmp_path}/msg", patience=1.0)
    services = {name: Service(context, hub.endpoint) for name in ("asleep", "slow")}
    for name, service in services.items():
        service.socket.rcvhwm = 1
        await service.ask(Hello(name))
        session = hub.sessions.named(name)
        assert session is not None
        while len(session.queue) < 50:
            assert hub.sessions.send(session, Message(1, 1, bytes(60_000)))

    async def read() -> None:
        while True:
            await services["slow"].hear()

    reading = asyncio.create_task(read())
    assert await soon(hub.gone) == ("asleep", "it has taken nothing for 1 seconds")
    assert hub.sessions.named("slow") is not None
    reading.cancel()
    for service in services.values():
        service.socket.close()
    hub.close()


async def test_what_waited_comes_in_order(hub: Hub, join: Callable[[], Service]) -> None:
    service = join()
    service.socket.rcvhwm = 1
    await service.ask(Hello("slow"))
    session = hub.sessions.named("slow")
    assert session is not None
    said = 0
    while len(session.queue) < 50:
        said += 1
        assert hub.sessions.send(session, Message(1, said, bytes(60_000)))
    seen: list[int] = []
    while len(seen) < said:
        message = await service.hear()
        if isinstance(message, Message):
            seen.append(message.seq)
    assert seen == list(range(1, said + 1))


async def test_too_long_a_frame_ends_that_connection_only(hub: Hub, join: Callable[[], Service]) -> None:
    service, other = join(), join()
    await service.ask(Hello("alice"))
    await other.ask(Hello("bob"))
    await service.say(bytes(MAX_FRAME + 1))
    assert await soon(hub.gone) == ("alice", "it is gone")
    await other.say(Message(1, 1, b"\0\x20"))
    assert (await soon(hub.heard))[0] == "bob"


async def test_the_end_is_said(context: "zmq.Context[Any]", tmp_path: Path) -> None:
    hub = Hub(context, f"ipc://{tmp_path}/msg", heartbeat=0.01)
    service = Service(context, hub.endpoint)
    await service.ask(Hello("alice"))
    assert await service.hear() == Heartbeat()
    hub.close()
    while (last := await service.hear()) == Heartbeat():
        pass
    assert last == Goodbye("the node ends")
    service.socket.close()


async def test_a_dead_socket_is_replaced_and_nothing_else_is(
    context: "zmq.Context[Any]", hub: Hub, tmp_path: Path
) -> None:
    other = BusSocket(context)
    with pytest.raises(BindFailed, match="another process listens there"):
        other.bind(hub.endpoint)
    (tmp_path / "precious").write_text("keep me")
    with pytest.raises(BindFailed, match="no socket"):
        other.bind(f"ipc://{tmp_path}/precious")
    assert (tmp_path / "precious").read_text() == "keep me"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(f"{tmp_path}/stale")
    other.bind(f"ipc://{tmp_path}/stale")
    with pytest.raises(BindFailed, match="107 may be"):
        other.bind(f"ipc://{tmp_path}/{'x' * 200}")
    with pytest.raises(BindFailed, match="tcp needs CURVE keys"):
        other.bind("tcp://127.0.0.1:0")
    with pytest.raises(BindFailed, match="is no endpoint"):
        other.bind("udp://127.0.0.1:1")
    other.close()


async def test_tcp_names_its_address(context: "zmq.Context[Any]") -> None:
    public, secret = zmq.curve_keypair()
    keyed = BusSocket(context, curve=CurveKeys(public, secret))
    with pytest.raises(BindFailed, match="has to name its address"):
        keyed.bind("tcp://*:1")
    keyed.close()
    assert secret.decode() not in repr(CurveKeys(public, secret))


async def test_a_paused_socket_reads_nothing_and_then_all(hub: Hub, join: Callable[[], Service]) -> None:
    service = join()
    await service.ask(Hello("alice"))
    hub.socket.pause()
    for number in range(1, 301):
        await service.say(Message(1, number, b"\0\x20"))
    assert hub.heard.empty()
    hub.socket.resume()
    assert [(await soon(hub.heard))[1].seq for _ in range(300)] == list(range(1, 301))
