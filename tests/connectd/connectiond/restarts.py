"""What a master, a service and a peer do while one connectiond takes the place of another."""

import asyncio
import socket

import pytest

from tests.connectd.connectiond.connectiond_process import (
    ConnectiondProcess,
    Peer,
    Service,
    channel_id,
)
from tests.gossipd.gossipd_process import PeerGone
from wire.bus.bus_wire import CREDIT, Hello, Restart, Welcome
from wire.control.control_message import Fd
from wire.control.control_wire import (
    MoveAll,
    MoveAllReply,
    TakePlace,
)

PATIENCE = 60.0
FIRST, SECOND = channel_id(1), channel_id(2)
REESTABLISH, UPDATE_FEE = 136, 134


def pair() -> tuple[socket.socket, Fd]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, Fd(theirs.detach())


async def answers(service: Service, ticket: bytes = b"") -> None:
    """What a service does at a restart, once."""
    await service.hear(Restart)
    await says_hello(service, ticket)


async def says_hello(service: Service, ticket: bytes = b"", *, resumes: bool = True) -> None:
    await service.say(Hello(service.name, ticket or service.name.encode().ljust(16, b"!"), CREDIT, resumes=resumes))


async def is_back(service: Service) -> None:
    """Says hello until it is welcome."""
    while True:
        await says_hello(service)
        try:
            async with asyncio.timeout(0.25):
                await service.hear(Welcome)
                return
        except TimeoutError:
            continue


def begins(old: ConnectiondProcess, new: ConnectiondProcess) -> "asyncio.Task[MoveAllReply]":
    """As the master does it."""
    ours, theirs = pair()
    new.master.send(TakePlace(theirs))
    return old.asks(MoveAll(Fd(ours.detach())), MoveAllReply)


async def ended_well(old: ConnectiondProcess) -> None:
    assert await asyncio.to_thread(old.process.wait, PATIENCE) == 0, old.log()
    assert "BROKEN" not in old.log() and "Traceback" not in old.log(), old.log()


async def hears(peer: Peer, *messages: bytes) -> None:
    """The peer gets these next."""
    for message in messages:
        assert await peer.next() == message


async def hangs_up(peer: Peer) -> None:
    """The node has closed the connection, without a word."""
    with pytest.raises(PeerGone):
        await peer.next()


async def hears_until(service: Service, kind: type) -> None:
    """Credit may come before it."""
    while True:
        try:
            await service.hear(kind)
            return
        except AssertionError:
            continue


async def is_back_with_news(service: Service) -> None:
    while True:
        await says_hello(service)
        try:
            async with asyncio.timeout(0.25):
                await hears_until(service, Welcome)
                return
        except TimeoutError:
            continue


async def with_a_peer(old: ConnectiondProcess, *others: ConnectiondProcess) -> tuple[Service, Peer]:
    """Service `one` and a connection that it has; all of these processes know of it, as the master tells them."""
    service = await old.service("one")
    for each in others:
        each.registers("one")
    peer = await old.give("one")
    await service.takes(peer)
    return service, peer


async def away(old: ConnectiondProcess, new: ConnectiondProcess) -> tuple[Service, Peer]:
    """The same, when the new one has all, and the service has said hello to the old one."""
    service, peer = await with_a_peer(old, new)
    moving = begins(old, new)
    await answers(service)
    await moving
    return service, peer
