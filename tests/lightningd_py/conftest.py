"""Fixtures: the master's table of connections, with everybody around it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lightningd_py.owners import programs as module
from tests.lightningd_py.bus_services import BusServices
from tests.lightningd_py.ownership_among_fakes import OwnershipAmongFakes
from tests.lightningd_py.table import Open, Table


@pytest.fixture
def around(monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnershipAmongFakes]:
    """Programs are not started, and said to have ended at the end."""
    around = OwnershipAmongFakes()
    monkeypatch.setattr(module, "start_program", around.start)
    yield around
    around.end_programs()


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
async def bus(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[BusServices]:
    """With connectiond as a puppet; programs as above."""
    around = BusServices()
    monkeypatch.setattr(module, "start_program", around.start)
    yield around
    around.end_programs()
