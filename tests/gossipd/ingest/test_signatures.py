"""Signatures checked by worker processes: the right verdict for each message, whatever the order, and a clean end."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgpack
import pytest

from gossipd.ingest.signatures import BATCH_MESSAGES, CHECK_TIME, DEADLY, SignatureChecks
from gossipd.ingest.workers import GOOD, LARGEST_BATCH, Workers, check
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

    def __init__(self, workers: int, patience: float = CHECK_TIME) -> None:
        self.workers = Workers(workers)
        self.got: dict[int, int] = {}
        self.rooms = 0
        self.told = asyncio.Event()
        self.checks = SignatureChecks(self.workers, asyncio.get_running_loop(), self._room, patience)

    def _room(self) -> None:
        self.rooms += 1
        self.told.set()

    def submit(self, number: int, message: bytes, key: bytes) -> None:
        """Have it checked under a number."""
        self.checks.submit(message, key, lambda result: self.got.__setitem__(number, result))

    async def all_checked(self) -> None:
        """Wait until nothing waits."""
        async with asyncio.timeout(60):
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
    pids = [stage.workers.nursery, *stage.checks.pids]
    stage.checks.close()
    assert gone(pids)


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


async def test_a_worker_that_dies_is_replaced(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Its batches are sent again: every message gets its verdict, and no message is blamed."""
    before = stage.checks.pids
    for number in range(1_000):
        stage.submit(number, *((UPDATE, KEY) if number % 7 else (spoilt(UPDATE, 5), KEY)))
    os.kill(before[0], signal.SIGKILL)
    await stage.all_checked()
    assert stage.got == {number: GOOD if number % 7 else 1 for number in range(1_000)}
    assert len(stage.checks.pids) == len(before)
    assert before[0] not in stage.checks.pids
    assert gone(before[:1])
    assert f"signature worker {before[0]} has died: it is replaced" in caplog.text


async def test_all_workers_die_one_after_the_other(stage: Stage) -> None:
    for round in range(10):
        for number in range(200):
            stage.submit(number, UPDATE, KEY)
        for pid in stage.checks.pids:
            os.kill(pid, signal.SIGKILL)
        await stage.all_checked()
        assert set(stage.got.values()) == {GOOD}, round
        stage.got.clear()


async def test_a_worker_that_does_not_answer_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(2, patience=0.3)
    before = stage.checks.pids
    os.kill(before[0], signal.SIGSTOP)
    for number in range(500):
        stage.submit(number, UPDATE, KEY)
    await stage.all_checked()
    assert stage.got == dict.fromkeys(range(500), GOOD)
    assert gone(before[:1])
    assert f"signature worker {before[0]} has not answered" in caplog.text
    stage.checks.close()


async def test_a_message_that_kills_workers_is_given_up_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The others of its batch get their verdicts; it is logged once."""
    deadly = spoilt(UPDATE, 70)

    def deadly_check(message: bytes, key: bytes) -> int:
        if message == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return check(message, key)

    monkeypatch.setattr("gossipd.ingest.workers.check", deadly_check)
    stage = Stage(2)
    for number in range(200):
        stage.submit(number, deadly if number == 77 else UPDATE, KEY)
    await stage.all_checked()
    assert stage.got == {number: DEADLY if number == 77 else GOOD for number in range(200)}
    assert caplog.text.count(deadly.hex()) == 1
    assert len(stage.checks.pids) == 2
    stage.checks.close()


def test_workers_that_cannot_work_are_our_own_bug(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever they are asked: then no message is to blame."""
    monkeypatch.setattr("gossipd.ingest.workers.check", lambda message, key: os.kill(os.getpid(), signal.SIGKILL))
    workers, got = Workers(1), list[int]()

    def start(stop: Callable[[int], None]) -> Callable[[], None]:
        checks = SignatureChecks(workers, asyncio.get_running_loop(), lambda: None)
        for _ in range(BATCH_MESSAGES):
            checks.submit(UPDATE, KEY, got.append)
        return checks.close

    assert run("test", start) == EXIT_BROKEN
    assert "signature workers have died, one after the other" in caplog.text
    assert len(got) < BATCH_MESSAGES


async def test_without_the_nursery_the_workers_work_on(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(2)
    os.kill(stage.workers.nursery, signal.SIGKILL)
    lost = stage.checks.pids[0]
    os.kill(lost, signal.SIGKILL)
    for number in range(500):
        stage.submit(number, UPDATE, KEY)
    await stage.all_checked()
    assert stage.got == dict.fromkeys(range(500), GOOD)
    assert len(stage.checks.pids) == 1
    stage.checks.close()


def test_without_nursery_and_workers_it_is_the_end_but_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    """As when the nursery is killed before the first worker was started: the master starts another gossipd."""
    workers = Workers(1)
    os.kill(workers.nursery, signal.SIGKILL)

    def start(stop: Callable[[int], None]) -> Callable[[], None]:
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: SignatureChecks(workers, loop, lambda: None))
        return workers.close

    assert run("test", start) == EXIT_BROKEN
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "no signature can be checked: no worker can be started")
    ]


async def test_no_batch_is_larger_than_a_datagram_may_be(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch just below its bound, and then the largest message there is."""
    sizes: list[int] = []
    packb = msgpack.packb

    def pack(parts: list[bytes]) -> bytes:
        packed = packb(parts)
        assert isinstance(packed, bytes)
        sizes.append(len(packed))
        return packed

    monkeypatch.setattr("gossipd.ingest.signatures.msgpack.packb", pack)
    large = announcement(features=bytes(65_535 - len(CHANNEL)))
    for number, message in enumerate([large, CHANNEL, large, large, *[announcement(features=bytes(2_000))] * 70]):
        stage.submit(number, message, b"")
    await stage.all_checked()
    assert stage.got == dict.fromkeys(range(74), GOOD)
    assert LARGEST_BATCH / 2 < max(sizes) <= LARGEST_BATCH
    for worker in stage.checks._workers:
        assert worker.sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= 2 * LARGEST_BATCH


def test_workers_hold_nothing_of_each_other() -> None:
    """Or one would live on when its own socket is closed."""
    source = Workers(3)
    workers = [source.start() for _ in range(3)]
    for _, sock in workers:
        sock.setblocking(True)
        sock.send(msgpack.packb([UPDATE, KEY]))
        assert sock.recv(10) == bytes([GOOD]), "it has begun"
    processes.look_into(workers[0][0])
    sockets = [set(processes.links(pid)) for pid, _ in workers]
    shared = sockets[0] & sockets[1] & sockets[2]
    assert [len([name for name in each - shared if name.startswith("socket:")]) for each in sockets] == [1, 1, 1]
    for _, sock in workers:
        sock.close()
    source.close()


async def test_synthetic_map() -> None:
    stage = Stage(2)
    messages = [message for message in big_map(100, 30) if message[1] != 2]
    for number, message in enumerate(messages):
        stage.submit(number, message, b"")
    await stage.all_checked()
    stage.checks.close()
    assert list(stage.got.values()) == [GOOD] * len(messages)
