"""Child processes: the fds that they get and no others, their ends, and that none is left as a zombie."""

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wire.control.process import Process

WRITE = "import os, sys\nfor fd in sys.argv[1:]: os.write(int(fd), b'fd ' + fd.encode())"
LIST = "import os, sys\nos.write(3, ' '.join(sorted(os.listdir('/proc/self/fd'), key=int)).encode())"


class Exits(list[int]):
    """Collects exit statuses; `first` waits for one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = asyncio.Event()

    def __call__(self, exit_status: int) -> None:
        self.append(exit_status)
        self.first.set()


@pytest.fixture
def pipes() -> Iterator[list[tuple[int, int]]]:
    """Four pipes (reading, writing), whose writing ends have numbers from 20 on."""
    made = []
    for _ in range(4):
        reading, low = os.pipe()
        made.append((reading, fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 20)))
        os.close(low)
    yield made
    for pipe in made:
        for fd in pipe:
            os.close(fd)


def python(script: str, *arguments: object) -> list[str]:
    return [sys.executable, "-I", "-c", script, *map(str, arguments)]


@pytest.mark.parametrize(
    "numbers",
    [[3, 4, 5, 6], [0, 1, 2, 3], [1, 0, 3, 2], [3, 2, 1, 0]],
    ids=["low numbers", "their own", "swapped", "reversed"],
)
async def test_each_fd_gets_its_number(pipes: list[tuple[int, int]], numbers: list[int]) -> None:
    """Numbers that others of them have now do no harm: below 3 stands for the place of a pipe."""
    ours = [writing for _, writing in pipes]
    theirs = numbers if 6 in numbers else [ours[number] for number in numbers]
    exits = Exits()
    process = Process(python(WRITE, *theirs), dict(zip(theirs, ours, strict=True)), exits)
    assert await process.wait(60)
    assert [os.read(reading, 100) for reading, _ in pipes] == [b"fd %d" % number for number in theirs]
    for writing in ours:
        os.fstat(writing)


async def test_no_other_fd_is_inherited(pipes: list[tuple[int, int]]) -> None:
    """Whatever this process was itself started with does not count: lightningd-py marks that at its start."""
    reading, writing = pipes[0]
    process = Process(python(LIST), {3: writing}, Exits())
    assert await process.wait(60)
    found = {int(number) for number in os.read(reading, 1000).split()}
    assert found - inherited() == {0, 1, 2, 3, 4} - inherited(), "the last one lists them"


def inherited() -> set[int]:
    """What pytest was started with and hands on to everybody."""
    fds = (int(entry.name) for entry in Path("/proc/self/fd").iterdir())
    return {fd for fd in fds if fd > 4 and Path(f"/proc/self/fd/{fd}").exists() and os.get_inheritable(fd)}


async def test_standard_files(pipes: list[tuple[int, int]]) -> None:
    """Input is empty; output goes where our standard error goes."""
    reading, writing = pipes[0]
    script = "import os; os.write(3, f'{os.read(0, 9)} {os.readlink(\"/proc/self/fd/1\")}'.encode())"
    assert await Process(python(script), {3: writing}, Exits()).wait(60)
    assert os.read(reading, 1000).decode() == f"b'' {os.readlink('/proc/self/fd/2')}"  # noqa: PTH115


@pytest.mark.parametrize(
    ("command", "exit_status"),
    [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", -signal.SIGKILL), ("kill -PIPE $$", -signal.SIGPIPE)],
)
async def test_exit_status(command: str, exit_status: int) -> None:
    """SIGPIPE is not ignored in a child, though Python ignores it."""
    exits = Exits()
    process = Process(["sh", "-c", command], {}, exits)
    assert process.running
    assert await process.wait(60) is (exit_status == 0)
    assert (process.exit_status, process.running, exits) == (exit_status, False, [exit_status])
    process.kill()
    assert await process.wait(60) is (exit_status == 0)


async def test_kill() -> None:
    exits = Exits()
    process = Process(["sleep", "1000"], {}, exits)
    process.kill()
    process.kill()
    await exits.first.wait()
    assert exits == [-signal.SIGKILL]


async def test_patience_ends() -> None:
    process = Process(["sleep", "1000"], {}, Exits())
    assert not await process.wait(0.01)
    assert process.exit_status == -signal.SIGKILL


async def test_many_at_once() -> None:
    exits = Exits()
    processes = [Process(["sh", "-c", f"exit {number}"], {}, exits) for number in range(20)]
    await asyncio.gather(*(process.wait(60) for process in processes))
    assert [process.exit_status for process in processes] == list(range(20))
    assert sorted(exits) == list(range(20))


@pytest.mark.parametrize("program", ["/no/such/program", "no-such-program", "/", __file__])
async def test_what_cannot_be_started(program: str) -> None:
    """Nothing is left behind, and nothing is ever said of it."""
    exits = Exits()
    with pytest.raises(OSError):
        Process([program], {}, exits)
    assert exits == []


HANGS = """
import os
from wire.control.status import set_up_logging
def where_it_hangs():
    os.write(3, b"x")
    while True: pass
set_up_logging()
where_it_hangs()
"""


async def test_one_that_hangs_shows_its_stack_and_is_killed(
    pipes: list[tuple[int, int]], capfd: pytest.CaptureFixture[str]
) -> None:
    (reading, ours), exits = pipes[0], Exits()
    process = Process([sys.executable, "-P", "-c", HANGS], {3: ours}, exits)
    await asyncio.to_thread(os.read, reading, 1)
    process.kill_with_stack()
    await asyncio.wait_for(exits.first.wait(), 60)
    assert exits == [-signal.SIGKILL]
    assert "in where_it_hangs" in capfd.readouterr().err
    process.kill_with_stack()
    await asyncio.sleep(0)
    assert exits == [-signal.SIGKILL]
