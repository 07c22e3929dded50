"""Fixtures: the master's table of connections, with everybody around it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.asyncio

from lightningd_py.bus.ctl_bus import CtlBus
from lightningd_py.owners import programs as module
from tests.lightningd_py.bus_house import BusHouse
from tests.lightningd_py.ctl_house import Master, Service, Services
from tests.lightningd_py.master import House
from tests.lightningd_py.table import Open, Table
from wire.bus.socket import BusSocket


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Programs are started by nobody, and said to have ended at the end."""
    house = House()
    monkeypatch.setattr(module, "start_program", house.start)
    yield house
    for program, _, _ in house.programs:
        fake: Any = program.process
        fake.running = False


@pytest.fixture
def open_table(tmp_path: Path) -> Iterator[Open]:
    """The same file each time; only the last one is open."""
    opened: list[Table] = []

    def again() -> Table:
        if opened:
            opened[-1].database.close()
        opened.append(Table(tmp_path / "db"))
        return opened[-1]

    yield again
    opened[-1].database.close()


@pytest.fixture
def table(open_table: Open) -> Table:
    return open_table()


@pytest.fixture
async def bus(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BusHouse]:
    """With connectiond as a puppet; programs as above."""
    house = BusHouse()
    monkeypatch.setattr(module, "start_program", house.start)
    yield house
    for program, _, _ in house.programs:
        fake: Any = program.process
        fake.running = False


@pytest.fixture
async def master(tmp_path: Path) -> AsyncIterator[Master]:
    master = Master(tmp_path)
    yield master
    master.close()


@pytest.fixture
def room() -> int:
    return 1_000


@pytest.fixture
async def ctl(master: Master, room: int, tmp_path: Path) -> AsyncIterator[CtlBus]:
    with zmq.Context() as context:
        bus_socket = BusSocket(context, room=room)
        bus = CtlBus(bus_socket, master.around, master.renamed.put_nowait)
        master.ownership.on_copy = lambda service, copy: master.registrations.copy_to(service.name, copy)
        bus_socket.bind(f"ipc://{tmp_path}/ctl")
        yield bus
        await bus.close()
        bus_socket.close()


@pytest.fixture
def services(ctl: CtlBus, tmp_path: Path) -> Iterator[Services]:
    with zmq.asyncio.Context() as context:
        services = Services(context, f"ipc://{tmp_path}/ctl")
        yield services
        for service in services.made:
            service.socket.close()


@pytest.fixture
async def alice(services: Services) -> Service:
    return await services.join("alice")
