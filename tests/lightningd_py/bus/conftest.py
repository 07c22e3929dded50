"""Fixtures: the CTL bus of a master, and services that come to it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import zmq
import zmq.asyncio

from lightningd_py.bus.ctl_bus import CtlBus
from tests.lightningd_py.bus.ctl_master import CtlMaster, Service, Services
from wire.bus.socket import BusSocket


@pytest.fixture
async def master(tmp_path: Path) -> AsyncIterator[CtlMaster]:
    master = CtlMaster(tmp_path)
    yield master
    master.close()


@pytest.fixture
def room() -> int:
    """Messages that ZMQ keeps at either end, for each service."""
    return 1_000


@pytest.fixture
async def ctl(master: CtlMaster, room: int, tmp_path: Path) -> AsyncIterator[CtlBus]:
    with zmq.Context() as context:
        bus_socket = BusSocket(context, room=room)
        bus = CtlBus(bus_socket, master.around, master.renamed.put_nowait)
        master.ownership.on_copy = lambda service, copy: master.registrations.copy_to(service.name, copy)
        bus_socket.bind(f"ipc://{tmp_path}/ctl")
        yield bus
        await bus.close()
        bus_socket.close()


@pytest.fixture
def services(ctl: CtlBus, room: int, tmp_path: Path) -> Iterator[Services]:
    with zmq.asyncio.Context() as context:
        context.rcvhwm = room
        services = Services(context, f"ipc://{tmp_path}/ctl")
        yield services
        for service in services.made:
            service.socket.close()


@pytest.fixture
async def alice(services: Services) -> Service:
    return await services.join("alice")
