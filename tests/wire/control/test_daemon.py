"""How a daemon ends: when its master closes, and when it is broken."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from wire.control import status
from wire.control.daemon import EXIT_BROKEN, EXIT_OK, inherited_socket, prepare, run

Stop = Callable[[int], None]


class Daemon:
    """Does one thing in its loop, and notes its end."""

    def __init__(self, thing: Callable[[Stop], None]) -> None:
        self._thing = thing
        self.closed = 0

    def __call__(self, stop: Stop) -> Callable[[], None]:
        asyncio.get_running_loop().call_soon(self._thing, stop)
        return self._close

    def _close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("status", [EXIT_OK, EXIT_BROKEN, 7])
def test_stop(status: int) -> None:
    daemon = Daemon(lambda stop: stop(status))
    assert run("test", daemon) == status
    assert daemon.closed == 1


def test_first_stop_counts() -> None:
    def twice(stop: Stop) -> None:
        stop(3)
        stop(4)

    assert run("test", Daemon(twice)) == 3


def _fail(stop: Stop) -> None:
    raise RuntimeError("that is impossible")


def test_exception_in_a_callback_is_broken(caplog: pytest.LogCaptureFixture) -> None:
    daemon = Daemon(_fail)
    assert run("test", daemon) == EXIT_BROKEN
    assert daemon.closed == 1
    assert "that is impossible" in caplog.text


def test_exception_in_a_task_is_broken(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        _fail(lambda status: None)

    def begin(stop: Stop) -> None:
        asyncio.get_running_loop().create_task(fail())

    assert run("test", Daemon(begin)) == EXIT_BROKEN
    assert "that is impossible" in caplog.text


def test_start_that_fails() -> None:
    with pytest.raises(OSError, match="no such thing"):
        run("test", _start_fails)


def _start_fails(stop: Stop) -> Callable[[], None]:
    raise OSError("no such thing")


@pytest.fixture
def logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a daemon does to the log of this process."""
    known = [each for each in logging.getLogger().manager.loggerDict.values() if isinstance(each, logging.Logger)]
    loggers = [logging.getLogger(), *known]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    monkeypatch.setattr(status, "_output", None)
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers


def test_inherited_socket() -> None:
    ours, theirs = socket.socketpair()
    theirs.set_inheritable(True)
    with ours, inherited_socket(str(theirs.detach())) as sock:
        assert not sock.get_inheritable()
        sock.send(b"x")
        assert ours.recv(1) == b"x"


@pytest.mark.usefixtures("logging_as_before")
def test_signals_are_the_master_s_business() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    try:
        prepare("broken")
        assert [signal.getsignal(number) for number in numbers] == [signal.SIG_IGN] * 3
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@pytest.mark.usefixtures("logging_as_before")
def test_log_level_that_is_none() -> None:
    with pytest.raises(ValueError, match="'loud' is not one of io"):
        prepare("loud")
