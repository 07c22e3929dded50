"""Fixtures: a connectd process, and peers that connect to it."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.bus_house import BusHouse
from tests.connectd.house import House, Owner


@pytest.fixture
async def new_house(tmp_path: Path) -> AsyncIterator[Callable[[], House]]:
    """Makes connectd processes that have been told nothing; at the end each must go quietly."""
    houses: list[House] = []

    def make() -> House:
        houses.append(House(tmp_path / f"log-{len(houses)}"))
        return houses[-1]

    try:
        yield make
        for house in houses:
            if not house.master.closed:
                assert house.ended() == 0, house.log()
                assert "BROKEN" not in house.log(), house.log()
    finally:
        for house in houses:
            house.clean_up()


@pytest.fixture
async def house(new_house: Callable[[], House]) -> House:
    """A connectd that listens on 127.0.0.1 and gives every peer to the master."""
    house = new_house()
    await house.start()
    return house


Dial = Callable[..., Awaitable[tuple[ScriptedPeer, Owner]]]


@pytest.fixture
async def dial(house: House) -> AsyncIterator[Dial]:
    """Connects a scripted peer to the house; both ends are closed at the end."""
    async with contextlib.AsyncExitStack() as stack:

        async def connect(**how: Any) -> tuple[ScriptedPeer, Owner]:
            peer = await stack.enter_async_context(await ScriptedPeer.connect(house.target(), **how))
            owner = await house.owner()
            stack.push_async_callback(owner.close)
            return peer, owner

        yield connect


@pytest.fixture
async def new_bus(tmp_path: Path) -> AsyncIterator[BusHouse]:
    """A connectiond that was told nothing; at the end it must go quietly."""
    house = BusHouse(tmp_path)
    try:
        yield house
        house.ends_well()
    finally:
        house.clean_up()


@pytest.fixture
async def bus(new_bus: BusHouse) -> BusHouse:
    """A connectiond with a MSG bus."""
    return await new_bus.start()
