"""--require-service: when the node opens to the world."""

import asyncio

import pytest

from lightningd_py.daemons.opening import Opening
from tests.lightningd_py.bus_services import BusServices, turn


class Opened:
    """An Opening, and how often the node was opened."""

    def __init__(self, bus: BusServices, *required: str) -> None:
        self.times = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.opening = Opening(required, bus.registrations)

    async def begin(self) -> None:
        await self.opening.begin(self._open)

    async def _open(self) -> None:
        await self.may_end.wait()
        self.times += 1


@pytest.mark.parametrize("required", [(), ("s",)])
async def test_no_service_is_missing(bus: BusServices, required: tuple[str, ...]) -> None:
    opened = Opened(bus, *required)
    await opened.begin()
    assert (opened.times, opened.opening.waits_for) == (1, [])
    opened.opening.registrations_changed()
    await turn()
    assert opened.times == 1


async def test_the_node_waits_for_all(bus: BusServices) -> None:
    """Opened once, and it stays open."""
    opened = Opened(bus, "first", "s", "second", "first")
    opening = opened.opening
    await opened.begin()
    assert opening.waits_for == ["first", "second"]
    await bus.service("first", take=[33])
    opening.registrations_changed()
    await bus.service("second", take=[34], present=False)
    opening.registrations_changed()
    await turn()
    assert (opened.times, opening.waits_for) == (0, ["second"])
    bus.presence("second", here=True)
    opening.registrations_changed()
    opening.registrations_changed()
    await turn()
    assert opened.times == 1
    bus.registrations.leave("first", "")
    opening.registrations_changed()
    await turn()
    assert (opened.times, opening.waits_for) == (1, [])


async def test_a_service_that_comes_while_the_node_still_starts_does_not_open_it(bus: BusServices) -> None:
    """The start does that, and not twice."""
    opened = Opened(bus, "bus")
    await bus.service(take=[33])
    opened.opening.registrations_changed()
    await turn()
    assert opened.times == 0
    opened.may_end.clear()
    beginning = asyncio.create_task(opened.begin())
    await turn()
    opened.opening.registrations_changed()
    opened.may_end.set()
    await beginning
    await turn()
    assert opened.times == 1


async def test_the_node_ends_before_it_is_open(bus: BusServices) -> None:
    opened = Opened(bus, "bus")
    await opened.begin()
    await bus.service(take=[33])
    opened.opening.registrations_changed()
    opened.opening.close()
    await turn()
    assert opened.times == 0
