"""A program that gets copies: what waits for it, what is lost, and what comes to the next one when it dies."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lightningd_py.config.values import Service, Wanted
from lightningd_py.owners import copy_programs as module
from lightningd_py.owners.copy_programs import MAX_BYTES, MAX_QUEUED, WINDOW, Listeners
from lightningd_py.owners.service_process import Program
from lightningd_py.registrations.registrations import Registrations
from tests.lightningd_py.ownership_among_fakes import Channel, FakeProcess, said
from wire.control.control_message import ControlMessage
from wire.control.control_wire import CopiesLost, CopyTaken, Listen, PeerMessage, SetMessageRoutes
from wire.control.timing import Timing

GREEDY, MODEST = bytes([2]) * 33, bytes([3]) * 33


class Ear:
    """Everything around the one listener; its programs are fakes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.programs: list[tuple[Program, Callable[[ControlMessage], None], Callable[[str], None]]] = []
        self.started: asyncio.Queue[Program] = asyncio.Queue()
        registrations = Registrations([Service("ear", ("x",))], copy=[Wanted("ear", (40_000,), ())])
        service = registrations.named("ear")
        assert service is not None
        self.service = service
        monkeypatch.setattr(module, "start_program", self._start)
        monkeypatch.setattr(module, "RESTART", 0.01)
        self.listeners = Listeners(registrations, Timing())

    def _start(
        self,
        service: Service,
        conn_id: int,
        on_message: Callable[[ControlMessage], None],
        on_closed: Callable[[str], None],
        on_exit: Callable[[int], None],
    ) -> Program:
        channel: Any = Channel()
        process: Any = FakeProcess(on_exit)
        program = Program(service, conn_id, channel, process)
        self.programs.append((program, on_message, on_closed))
        self.started.put_nowait(program)
        return program

    def copy(self, number: int, size: int = 2, node_id: bytes = GREEDY) -> None:
        message = number.to_bytes(2, "big") + bytes(size - 2)
        self.listeners.copy(self.service, PeerMessage(node_id, 1, message, 40_000, None))

    def take(self, count: int = 1) -> None:
        for _ in range(count):
            self.programs[-1][1](CopyTaken())

    async def dies(self) -> None:
        """And the next one is there."""
        self.programs[-1][2]("eof")
        await asyncio.wait_for(self.next(), 60)

    async def next(self) -> None:
        while self.started.qsize():
            self.started.get_nowait()
        await self.started.get()

    def hears(self) -> list[int | ControlMessage]:
        """What the last program has been told since the last time: copies by their number."""
        told = said(self.programs[-1][0].channel)
        return [int.from_bytes(one.message[:2], "big") if isinstance(one, PeerMessage) else one for one in told]


@pytest.fixture
def ear(monkeypatch: pytest.MonkeyPatch) -> Ear:
    return Ear(monkeypatch)


async def test_copies_come_as_they_are_taken(ear: Ear) -> None:
    ear.listeners.start()
    for number in range(WINDOW + 10):
        ear.copy(number)
    assert ear.hears() == [Listen("ear"), *range(WINDOW)]
    ear.take(3)
    assert ear.hears() == [WINDOW, WINDOW + 1, WINDOW + 2]
    await ear.listeners.close()


async def test_what_a_dead_program_has_not_taken_comes_to_the_next_one(ear: Ear) -> None:
    ear.listeners.start()
    count = 2 * WINDOW + 5
    for number in range(count):
        ear.copy(number)
    ear.take(7)
    await ear.dies()
    await ear.dies()
    assert ear.hears() == [Listen("ear"), *range(7, 7 + WINDOW)]
    ear.take(count)
    assert ear.hears() == list(range(7 + WINDOW, count))
    await ear.listeners.close()


async def test_what_is_lost_is_told(ear: Ear) -> None:
    """To the program that did not read, and to the next one."""
    ear.listeners.start()
    for number in range(WINDOW + MAX_QUEUED + 2):
        ear.copy(number)
    heard = ear.hears()
    assert heard == [Listen("ear"), *range(WINDOW), CopiesLost(1), CopiesLost(2)]
    await ear.dies()
    assert ear.hears()[:2] == [Listen("ear"), CopiesLost(2)]
    ear.take(WINDOW)
    assert ear.hears()[:1] == [WINDOW + 2]
    await ear.listeners.close()


async def test_a_peer_that_fills_the_queue_loses_its_own(ear: Ear) -> None:
    """By count, and by bytes."""
    ear.listeners.start()
    for number in range(WINDOW):
        ear.copy(number)
    ear.hears()
    ear.copy(5_000, node_id=MODEST)
    for number in range(MAX_QUEUED + 10):
        ear.copy(number)
    for number in range(2 * MAX_BYTES // 65_000):
        ear.copy(10_000 + number, 65_000)
    ear.hears()
    ear.take(WINDOW)
    assert ear.hears()[0] == 5_000
    await ear.listeners.close()


async def test_what_a_listener_may_not_say(ear: Ear) -> None:
    ear.listeners.start()
    ear.programs[-1][1](SetMessageRoutes([]))
    ear.take()
    ear.copy(1)
    assert ear.hears() == [Listen("ear"), 1]
    await ear.listeners.close()
