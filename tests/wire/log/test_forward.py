"""Lines that go to the master, too: so many a second, and what is too much is counted."""

import logging
import threading
from collections.abc import Callable

from wire.log.forward import BURST, RATE, Forward, Line


class Master:
    """Takes lines as long as it has room."""

    def __init__(self) -> None:
        self.now, self.has_room = 0.0, True
        self.heard: list[Line] = []
        self.meanwhile: Callable[[], None] = lambda: None
        self.forward = Forward(self._hear, lambda: self.now)
        self.log = logging.Logger("gossipd")
        self.log.addHandler(self.forward)

    def _hear(self, line: Line) -> bool:
        if self.has_room:
            self.heard.append(line)
        self.meanwhile()
        return self.has_room


def test_a_flood_costs_so_much_and_is_counted() -> None:
    master = Master()
    for _ in range(10_000):
        master.log.info("x")
    assert len(master.heard) == BURST
    master.now = 1.0
    for _ in range(100):
        master.log.info("y")
    assert len(master.heard) == BURST + RATE
    assert master.heard[int(BURST)].left_out == 10_000 - BURST
    assert master.heard[-1].left_out == 0


def test_a_master_that_takes_nothing() -> None:
    master = Master()
    master.has_room = False
    for _ in range(3):
        master.log.info("x")
    master.has_room = True
    master.log.warning("y", extra={"node_id": "02ab"})
    (line,) = master.heard
    assert (line.level, line.source, line.node_id, line.text) == (logging.WARNING, "gossipd", "02ab", "y")
    assert line.left_out == 3


def test_what_the_way_itself_logs_does_not_take_it() -> None:
    master = Master()
    master.meanwhile = lambda: master.log.info("again")
    master.log.info("x")
    assert [line.text for line in master.heard] == ["x"]


def test_another_thread_s_lines_are_not_told() -> None:
    master = Master()
    thread = threading.Thread(target=lambda: master.log.info("x"))
    thread.start()
    thread.join()
    assert master.heard == []


def test_a_traceback_is_named() -> None:
    master = Master()
    try:
        raise KeyError("x")
    except KeyError:
        master.log.exception("it broke")
    assert master.heard[0].text == "it broke (KeyError: the log has the traceback)"
