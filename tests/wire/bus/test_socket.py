"""What other ends say while it is not read: bounded by bytes, each by itself."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from wire.bus.bus_message import MAX_BODY
from wire.bus.bus_wire import CONNECTIOND
from wire.bus.socket import MAX_FRAME, MOST_UNREAD, BusSocket

SOON = 10.0


@pytest.fixture
def context() -> Iterator["zmq.Context[Any]"]:
    """Terminated at the end: nothing of ours is left open."""
    with zmq.Context() as context:
        yield context


def _taken(client: "zmq.Socket[bytes]", size: int) -> int:
    """How many messages of this size are taken off a client, until none is for a while."""
    count = 0
    while client.poll(300, zmq.POLLOUT):
        client.send_multipart([CONNECTIOND, bytes(size)], zmq.NOBLOCK)
        count += 1
    return count


async def test_what_services_say_is_bounded_by_bytes_with_a_share_for_each(
    context: "zmq.Context[Any]", tmp_path: Path
) -> None:
    """While they are not read: the second has as much room as the first, which cannot fill it."""
    bus_socket = BusSocket(context)
    endpoint = bus_socket.bind(f"ipc://{tmp_path}/x")
    bus_socket.pause()
    with zmq.Context() as others, others.socket(zmq.DEALER) as one, others.socket(zmq.DEALER) as two:
        for client in (one, two):
            client.linger, client.sndhwm = 0, 1
            client.connect(endpoint)
            taken = await asyncio.to_thread(_taken, client, MAX_BODY)
            assert MOST_UNREAD // 2 <= taken * MAX_BODY <= MOST_UNREAD + 4 * MAX_FRAME
    bus_socket.close()


async def test_a_longer_frame_ends_the_connection(context: "zmq.Context[Any]", tmp_path: Path) -> None:
    gone = asyncio.Event()
    heard: list[list[bytes]] = []
    bus_socket = BusSocket(context, heard.append, longest=1_000)
    bus_socket.on_disconnect = gone.set
    with zmq.Context() as others, others.socket(zmq.DEALER) as client:
        client.linger = 0
        client.connect(bus_socket.bind(f"ipc://{tmp_path}/x"))
        client.send_multipart([CONNECTIOND, bytes(1_001)])
        async with asyncio.timeout(SOON):
            await gone.wait()
    assert heard == []
    bus_socket.close()
