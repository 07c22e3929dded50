"""Fixtures: the master's table of connections, with everybody around it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from lightningd_py import programs as module
from tests.lightningd_py.bus_house import BusHouse
from tests.lightningd_py.master import House
from tests.lightningd_py.table import Open, Table


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
