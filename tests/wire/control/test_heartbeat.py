"""The heartbeat, in time that is the test's."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.harness.injected_time import InjectedTime
from tests.wire.control.control_ends import End, Pair, fill, hint
from wire.control.heartbeat import Heartbeat

INTERVAL, LIMIT = 5.0, 30.0


class Watched:
    """The master's end with its heartbeat, and the socket of the daemon, which a test reads or does not."""

    def __init__(self, ends: Pair, interval: float = INTERVAL, limit: float = LIMIT, first: float = 0.0) -> None:
        self.ends = ends
        self.loop = asyncio.get_running_loop()
        self.master = End(ends[0], "gossipd")
        self.silent_at: list[float] = []
        self.begun = self.loop.time()
        self.heartbeat = Heartbeat(
            self.master.channel, interval, limit, lambda: self.silent_at.append(self.loop.time() - self.begun), first
        )


def in_injected_time(test: Coroutine[Any, Any, None]) -> InjectedTime:
    """Run it to its end."""
    loop = InjectedTime()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(test)
    return loop


def test_a_daemon_that_reads_is_never_silent(ends: Pair) -> None:
    async def hours() -> None:
        watched = Watched(ends)
        daemon = End(ends[1], "master")
        await asyncio.sleep(7_200)
        assert (watched.silent_at, daemon.got, watched.master.got) == ([], [], [])
        watched.heartbeat.close()
        watched.master.channel.close()
        daemon.channel.close()

    in_injected_time(hours())


@pytest.mark.parametrize("is_full", [False, True])
def test_a_daemon_that_does_not_read_is_silent_once(ends: Pair, is_full: bool) -> None:
    """Also where the question finds no room in the socket."""
    filled = fill(ends[0]) if is_full else 0

    async def hours() -> None:
        watched = Watched(ends)
        await asyncio.sleep(7_200)
        assert watched.silent_at == [INTERVAL + LIMIT]
        assert bool(watched.master.channel.queued) is bool(filled)
        watched.master.channel.close()

    in_injected_time(hours())


def test_the_first_answer_may_take_longer(ends: Pair) -> None:
    """A process that is still being loaded reads nothing yet; after that it is as any other."""
    first = 2 * LIMIT

    async def minutes() -> None:
        watched = Watched(ends, first=first)
        await asyncio.sleep(first)
        daemon = End(ends[1].dup(), "master")
        await asyncio.sleep(INTERVAL)
        daemon.channel.close()
        assert watched.silent_at == []
        await asyncio.sleep(INTERVAL + LIMIT + INTERVAL)
        assert len(watched.silent_at) == 1
        watched.master.channel.close()

    in_injected_time(minutes())


def test_one_that_is_never_loaded_is_silent_then(ends: Pair) -> None:
    async def minutes() -> None:
        watched = Watched(ends, first=2 * LIMIT)
        await asyncio.sleep(7_200)
        assert watched.silent_at == [INTERVAL + 2 * LIMIT]
        watched.master.channel.close()

    in_injected_time(minutes())


def test_an_answer_that_comes_late_counts(ends: Pair) -> None:
    async def minutes() -> None:
        watched = Watched(ends)
        for _ in range(10):
            await asyncio.sleep(LIMIT - 1)
            daemon = End(ends[1].dup(), "master")
            await asyncio.sleep(0.001)
            daemon.channel.close()
        assert watched.silent_at == []
        watched.heartbeat.close()
        watched.master.channel.close()

    in_injected_time(minutes())


def test_time_in_which_this_process_did_not_run_does_not_count(ends: Pair) -> None:
    """The machine was suspended, or the loop was held up, for an hour: nobody is killed for that."""

    async def suspended() -> None:
        watched = Watched(ends)
        await asyncio.sleep(INTERVAL + 1)
        for _ in range(3):
            loop = watched.loop
            assert isinstance(loop, InjectedTime)
            loop.jump(3_600)
            await asyncio.sleep(0.001)
        assert watched.silent_at == []
        daemon = End(ends[1], "master")
        await asyncio.sleep(3_600)
        assert watched.silent_at == []
        watched.heartbeat.close()
        watched.master.channel.close()
        daemon.channel.close()

    in_injected_time(suspended())


def test_an_answer_stands_behind_what_was_said_before(ends: Pair) -> None:
    """A daemon that is busy with a long list is told of by what it says, and the heartbeat by what comes last."""

    async def busy() -> None:
        watched = Watched(ends)
        for number in range(20):
            watched.master.channel.send(hint(number))
        await asyncio.sleep(INTERVAL + 1)
        daemon = End(ends[1], "master")
        await asyncio.sleep(1)
        assert len(daemon.got) == 20
        assert watched.silent_at == []
        watched.heartbeat.close()
        watched.master.channel.close()
        daemon.channel.close()

    in_injected_time(busy())


def test_nothing_is_asked_of_a_closed_channel(ends: Pair) -> None:
    async def closed() -> None:
        watched = Watched(ends)
        watched.master.channel.close()
        await asyncio.sleep(7_200)
        assert watched.silent_at == []

    in_injected_time(closed())
