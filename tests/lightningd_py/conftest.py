"""Fixtures: the master's table of connections, with everybody around it."""

from collections.abc import Iterator
from typing import Any

import pytest

from lightningd_py import ownership as module
from tests.lightningd_py.master import SERVICES, House


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Programs are started by nobody, and said to have ended at the end."""
    house = House(SERVICES)
    monkeypatch.setattr(module, "start_program", house.start)
    yield house
    for program, _, _ in house.programs:
        fake: Any = program.process
        fake.running = False
