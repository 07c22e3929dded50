"""The CHNL bus over real ZMQ sockets: what extensions and services say to each other."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio

from lightningd_py.bus.chnl_bus import ROOM, ChnlBus
from tests.harness.bus_client import Bus
from wire.bus.bus_message import BusError
from wire.bus.sessions import MAX_FAULTS
from wire.bus.socket import BusSocket, NoRoom, Unreachable

TICKET = b"ticket of the service"


class Tickets(dict[str, bytes]):
    """As CTL has them."""

    def of(self, service: str) -> bytes | None:
        if service == "program":
            raise BusError("program is a program's name")
        return self.get(service)


@pytest.fixture
def tickets() -> Tickets:
    return Tickets(service=TICKET)


@pytest.fixture
def room() -> int:
    return ROOM


@pytest.fixture
async def chnl(tickets: Tickets, room: int, tmp_path: Path) -> AsyncIterator[ChnlBus]:
    with zmq.Context() as context:
        bus_socket = BusSocket(context, room=room)
        bus = ChnlBus(bus_socket, tickets.of, 60.0)
        bus_socket.bind(f"ipc://{tmp_path}/chnl")
        yield bus
        bus.close()
        bus_socket.close()


class Clients:
    """Ends of the bus, each a plain DEALER."""

    def __init__(self, context: zmq.asyncio.Context, endpoint: str) -> None:
        self._context = context
        self._endpoint = endpoint
        self.made: list[Bus] = []

    def connect(self, room: int = 1_000) -> Bus:
        self._context.rcvhwm = room
        self.made.append(Bus(self._context, self._endpoint, b"lightningd"))
        return self.made[-1]

    async def join(self, name: str, room: int = 1_000, **fields: Any) -> Bus:
        bus = self.connect(room)
        await bus.say("hello", service=name, **fields)
        assert (await bus.hear())["type"] == "welcome"
        return bus


@pytest.fixture
def clients(chnl: ChnlBus, tmp_path: Path) -> Iterator[Clients]:
    with zmq.asyncio.Context() as context:
        clients = Clients(context, f"ipc://{tmp_path}/chnl")
        yield clients
        for bus in clients.made:
            bus.socket.close()


async def refused(bus: Bus) -> str:
    return str((await bus.hear("error"))["error"])


async def test_bytes_go_from_one_to_the_other_as_they_are(clients: Clients) -> None:
    alice, bob = await clients.join("alice"), await clients.join("bob")
    for body in (b"", b"\xc1 no msgpack", bytes(100_000)):
        await alice.socket.send_multipart([b"bob", body])
        assert await bob.hear_forwarded() == (b"alice", body)
    await bob.socket.send_multipart([b"alice", b"back"])
    assert await alice.hear_forwarded() == (b"bob", b"back")
    await alice.socket.send_multipart([b"alice", b"to myself"])
    assert await alice.hear_forwarded() == (b"alice", b"to myself")


async def test_their_order_is_kept(clients: Clients) -> None:
    alice, bob = await clients.join("alice"), await clients.join("bob")
    for first in range(0, 500, ROOM):
        numbers = range(first, first + ROOM)
        for number in numbers:
            await alice.socket.send_multipart([b"bob", b"%d" % number])
        assert [await bob.hear_forwarded() for _ in numbers] == [(b"alice", b"%d" % number) for number in numbers]


async def test_nobody_there_is_told_however_often(clients: Clients) -> None:
    alice = await clients.join("alice")
    for _ in range(MAX_FAULTS + 1):
        await alice.socket.send_multipart([b"bob\xff", b"x"])
        assert await refused(alice) == "there is no service called bob\\xff on this bus"
    bob = await clients.join("bob")
    await alice.socket.send_multipart([b"bob", b"x"])
    assert await bob.hear_forwarded() == (b"alice", b"x")


async def test_hello_comes_first(clients: Clients) -> None:
    bob = await clients.join("bob")
    stranger = clients.connect()
    await stranger.socket.send_multipart([b"bob", b"x"])
    assert await refused(stranger) == "say hello first"
    alice = await clients.join("alice")
    await alice.socket.send_multipart([b"bob", b"y"])
    assert await bob.hear_forwarded() == (b"alice", b"y")


async def test_a_name_is_given_once(clients: Clients) -> None:
    alice, bob = await clients.join("alice"), await clients.join("bob")
    other = clients.connect()
    await other.say("hello", service="alice", id=3)
    assert await other.hear() == {
        "v": 1,
        "type": "error",
        "error": "service alice is here already",
        "id": 3,
        "conn_id": None,
    }
    await bob.socket.send_multipart([b"alice", b"x"])
    assert await alice.hear_forwarded() == (b"bob", b"x")


async def test_so_many_can_be_here(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wire.bus.sessions.MAX_SESSIONS", 2)
    alice, bob = await clients.join("alice"), await clients.join("bob")
    carol = clients.connect()
    await carol.say("hello", service="carol")
    assert await refused(carol) == "there are 2 services here, and no more can be"
    await alice.say("goodbye")
    await alice.say("hello", service="alice again")
    assert (await refused(alice)).startswith("'alice again' is no name of a service")
    await alice.say("hello", service="dave")
    assert (await alice.hear())["service"] == "dave"
    await bob.socket.send_multipart([b"bob", b"still here"])
    assert await bob.hear_forwarded() == (b"bob", b"still here")


async def test_a_services_name_needs_its_ticket(clients: Clients) -> None:
    stranger = clients.connect()
    for ticket in (b"", b"guessed"):
        await stranger.say("hello", service="service", ticket=ticket)
        assert await refused(stranger) == "service is a service's name: say the ticket of its welcome on CTL"
    await stranger.say("hello", service="program")
    assert await refused(stranger) == "program is a program's name"
    service = await clients.join("service", ticket=TICKET)
    assert service.heard == []


async def test_a_name_that_becomes_a_services_is_taken_from_whoever_has_it(
    clients: Clients, chnl: ChnlBus, tickets: Tickets
) -> None:
    squatter = await clients.join("later")
    tickets["later"] = b"new"
    chnl.renamed("later")
    chnl.renamed("nobody")
    assert (await squatter.hear("goodbye"))["reason"] == "later has come or gone on CTL: the ticket is another one now"
    await clients.join("later", ticket=b"new")


async def test_other_messages_and_versions_are_refused(clients: Clients) -> None:
    alice = await clients.join("alice")
    await alice.say("register", id=1)
    assert await refused(alice) == "there is no message of type 'register' from a service on chnl"
    await alice.say_raw(b"\x82\xa1v\x02\xa4type\xa5hello")
    assert await refused(alice) == "version 2 is not spoken here, 1 is"
    for _ in range(MAX_FAULTS - 2):
        await alice.say_raw(b"\xc1")
    assert (await alice.hear("goodbye"))["reason"] == "10 messages in a row were wrong"


@pytest.mark.parametrize("room", [2])
async def test_who_does_not_read_is_told_of_and_others_go_on(clients: Clients) -> None:
    """What found room comes; for each of the others there is one error, so that the sum is right."""
    alice, bob, carol = await clients.join("alice"), await clients.join("bob", room=1), await clients.join("carol")
    refusals, sent, body = 0, 0, bytes(200_000)
    while refusals < 3:
        await alice.socket.send_multipart([b"bob", b"%d" % sent + body])
        await alice.socket.send_multipart([b"carol", b"x"])
        assert await carol.hear_forwarded() == (b"alice", b"x")
        sent += 1
        while await alice.socket.poll(0):
            assert await refused(alice) == "bob does not read"
            refusals += 1
    await alice.socket.send_multipart([b"nobody", b"x"])
    while "nobody" not in await refused(alice):
        refusals += 1
    heard = [(await bob.hear_forwarded())[1] for _ in range(sent - refusals)]
    assert heard == [b"%d" % number + body for number in range(sent - refusals)]
    assert await bob.socket.poll(0) == 0


async def test_what_has_not_left_when_its_receiver_goes_is_told(
    clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, _ = await clients.join("alice"), await clients.join("bob")
    send, gone = BusSocket.send, False

    def send_unless_for_bob(socket: BusSocket, frames: list[bytes]) -> None:
        if frames[-1] == b"for bob":
            raise Unreachable if gone else NoRoom
        send(socket, frames)

    monkeypatch.setattr(BusSocket, "send", send_unless_for_bob)
    await alice.socket.send_multipart([b"bob", b"for bob"])
    await alice.socket.send_multipart([b"nobody", b"the other one is with the hub"])
    assert "nobody" in await refused(alice)
    gone = True
    assert await refused(alice) == "bob is gone: 1 messages to it are lost"
