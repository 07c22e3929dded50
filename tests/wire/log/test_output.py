"""A log whose reader stalls: the writer goes on, and what is lost is counted."""

import os
import socket
from collections.abc import Iterator

import pytest

from wire.log.line import lost_lines
from wire.log.output import LogOutput
from wire.log.style import LogStyle

LINE = b"x" * 99 + b"\n"


class Reader:
    """The other end: reads when the test wants it."""

    def __init__(self, reading: int, writing: int) -> None:
        self.reading, self.writing = reading, writing
        self.got = b""

    def read_until(self, wanted: bytes) -> bytes:
        """All that comes up to this."""
        while wanted not in self.got:
            data = os.read(self.reading, 65_536)
            assert data
            self.got += data
        return self.got

    def close(self) -> None:
        for fd in (self.reading, self.writing):
            os.close(fd)


@pytest.fixture(params=["pipe", "socket"])
def reader(request: pytest.FixtureRequest) -> Iterator[Reader]:
    ends = os.pipe() if request.param == "pipe" else [end.detach() for end in socket.socketpair()]
    made = Reader(*ends)
    yield made
    made.close()


def test_a_reader_that_reads(reader: Reader) -> None:
    output = LogOutput(reader.writing, lost_lines("test", LogStyle()))
    for number in range(100):
        output.write(b"%d\n" % number)
    assert reader.read_until(b"\n99\n") == b"".join(b"%d\n" % number for number in range(100))
    assert not output.stuck
    output.finish(10)


def test_what_waits_comes_later_and_what_is_too_much_is_counted(reader: Reader) -> None:
    """Nothing is lost between two lines that come, without a line that says so."""
    output = LogOutput(reader.writing, lost_lines("test", LogStyle()), most=20_000)
    count = 0
    while not output._lost:
        output.write(LINE)
        count += 1
    assert output.stuck
    for _ in range(9):
        output.write(LINE)
    got = reader.read_until(b"were lost")
    assert got.count(LINE) == count - 1
    assert b"UNUSUAL test: 10 lines of the log were lost: its reader did not take them" in got
    output.write(b"after\n")
    assert reader.read_until(b"after\n").endswith(b"did not take them\nafter\n")
    output.finish(10)


def test_others_who_write_there_are_not_made_to_hurry() -> None:
    """A service's program shares the pipe: for it a write blocks, as ever."""
    made = Reader(*os.pipe())
    output = LogOutput(made.writing, lost_lines("test", LogStyle()))
    assert os.get_blocking(made.writing)
    output.finish(0)
    made.close()


def test_the_end_waits_for_the_reader_but_not_for_ever(reader: Reader) -> None:
    output = LogOutput(reader.writing, lost_lines("test", LogStyle()))
    for _ in range(20_000):
        output.write(LINE)
    output.finish(0.01)
    output.write(LINE)
    assert b"lost" not in os.read(reader.reading, 65_536)


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    output = LogOutput(writing, lost_lines("test", LogStyle()))
    os.close(reading)
    output.write(LINE)
    assert not output.stuck
    output.finish(1)
    os.close(writing)
