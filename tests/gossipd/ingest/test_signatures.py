"""Signatures checked by worker processes: the right verdict for each message, whatever the order, and a clean end."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgpack
import pytest

from gossipd.ingest.signatures import BATCH_MESSAGES, GOOD, SignatureChecks, check, start_worker, stop_workers
from tests.gossipd.messages import KEYS, announcement, big_map, high_s, node_announcement, spoilt, update
from tests.harness import processes
from wire.control.daemon import EXIT_BROKEN, run

CHANNEL = announcement()
UPDATE, KEY = update(), KEYS[0][1]
NODE = node_announcement()


@pytest.mark.bolt("B7-57")
def test_announcement() -> None:
    assert check(CHANNEL, b"") == GOOD
    for number in range(4):
        assert check(spoilt(CHANNEL, 2 + 64 * number), b"") == number + 1
        assert check(high_s(CHANNEL, 2 + 64 * number), b"") == number + 1
    assert check(spoilt(CHANNEL, len(CHANNEL) - 1), b"") != GOOD
    assert check(CHANNEL + b"\0", b"") == 1


@pytest.mark.bolt("B7-67", "B7-68", "B7-86", "B7-88")
def test_update_and_node() -> None:
    assert check(UPDATE, KEY) == GOOD
    assert check(UPDATE, KEYS[1][1]) == 1
    assert check(UPDATE, bytes(33)) == 1
    assert check(NODE, b"") == GOOD
    for wrong, key in [(spoilt(UPDATE, 70), KEY), (high_s(UPDATE), KEY), (UPDATE + b"\0", KEY), (NODE + b"\0", b"")]:
        assert check(wrong, key) == 1
    no_point = NODE[:72] + b"\2" + bytes(32) + NODE[105:]
    assert check(no_point, b"") == 1


@pytest.mark.bolt("B7-57", "B7-68")
def test_features_shift_what_follows() -> None:
    assert check(announcement(features=b"\1" * 300), b"") == GOOD
    assert check(node_announcement(features=b"\1" * 300), b"") == GOOD


class Stage:
    """SignatureChecks with workers, and its verdicts."""

    def __init__(self, workers: int) -> None:
        self.workers = [start_worker() for _ in range(workers)]
        self.got: dict[int, int] = {}
        self.rooms = 0
        self.told = asyncio.Event()
        self.checks = SignatureChecks(self.workers, asyncio.get_running_loop(), self._room)

    def _room(self) -> None:
        self.rooms += 1
        self.told.set()

    def submit(self, number: int, message: bytes, key: bytes) -> None:
        """Have it checked under a number."""
        self.checks.submit(message, key, lambda result: self.got.__setitem__(number, result))

    async def all_checked(self) -> None:
        """Wait until nothing waits."""
        async with asyncio.timeout(20):
            while self.checks.waiting:
                await self.told.wait()
                self.told.clear()


def gone(pids: list[int]) -> bool:
    """These processes have ended and been reaped."""
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.fixture(params=[1, 3])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """With one worker and with several."""
    stage = Stage(request.param)
    yield stage
    stage.checks.close()
    assert gone([pid for pid, _ in stage.workers])


async def test_every_message_gets_its_own_verdict(stage: Stage) -> None:
    said = [(UPDATE, KEY), (spoilt(UPDATE, 5), KEY), (CHANNEL, b""), (spoilt(CHANNEL, 130), b""), (NODE, b"")]
    for number in range(500):
        stage.submit(number, *said[number * 7 % 5])
    assert stage.checks.waiting == 500
    await stage.all_checked()
    verdicts = [GOOD, 1, GOOD, 3, GOOD]
    assert stage.got == {number: verdicts[number * 7 % 5] for number in range(500)}


async def test_lone_message_does_not_wait_for_company(stage: Stage) -> None:
    stage.submit(0, UPDATE, KEY)
    await stage.all_checked()
    assert stage.got == {0: GOOD}


async def test_largest_messages(stage: Stage) -> None:
    """A batch of them is still one datagram."""
    large = announcement(features=bytes(65_535 - len(CHANNEL)))
    assert len(large) == 65_535
    for number in range(10):
        stage.submit(number, large, b"")
    await stage.all_checked()
    assert stage.got == dict.fromkeys(range(10), GOOD)


async def test_more_than_the_workers_may_have_at_a_time(stage: Stage) -> None:
    for number in range(BATCH_MESSAGES * 40):
        stage.submit(number, UPDATE, KEY)
    await stage.all_checked()
    assert set(stage.got.values()) == {GOOD}
    assert len(stage.got) == BATCH_MESSAGES * 40


async def test_verdict_that_submits(stage: Stage) -> None:
    """As when a waiting node_announcement follows its channel."""

    def then(result: int) -> None:
        stage.submit(1, NODE, b"")

    stage.checks.submit(CHANNEL, b"", then)
    await stage.all_checked()
    assert stage.got == {1: GOOD}


async def test_close_with_work_under_way(stage: Stage) -> None:
    for number in range(1_000):
        stage.submit(number, UPDATE, KEY)


def test_worker_that_dies_is_our_own_bug(caplog: pytest.LogCaptureFixture) -> None:
    workers = [start_worker()]

    def start(stop: Callable[[int], None]) -> Callable[[], None]:
        checks = SignatureChecks(workers, asyncio.get_running_loop(), lambda: None)
        os.kill(workers[0][0], signal.SIGKILL)
        return checks.close

    assert run("test", start) == EXIT_BROKEN
    assert f"signature worker {workers[0][0]} has died" in caplog.text


def test_workers_hold_nothing_of_each_other() -> None:
    """Or one would live on when its own socket is closed."""
    workers = [start_worker() for _ in range(3)]
    for _, sock in workers:
        sock.setblocking(True)
        sock.send(msgpack.packb([UPDATE, KEY]))
        assert sock.recv(10) == bytes([GOOD]), "it has begun"
    processes.look_into(workers[0][0])
    sockets = [set(processes.links(pid)) for pid, _ in workers]
    shared = sockets[0] & sockets[1] & sockets[2]
    assert [len([name for name in each - shared if name.startswith("socket:")]) for each in sockets] == [1, 1, 1]
    stop_workers(workers)


async def test_synthetic_map() -> None:
    stage = Stage(2)
    messages = [message for message in big_map(100, 30) if message[1] != 2]
    for number, message in enumerate(messages):
        stage.submit(number, message, b"")
    await stage.all_checked()
    stage.checks.close()
    assert list(stage.got.values()) == [GOOD] * len(messages)
