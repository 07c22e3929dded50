"""Hooks for all tests: a test that leaves a file descriptor or a child process behind fails."""

import contextlib
import gc
import os
import signal
import socket
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from zmq.utils.garbage import gc as zmq_garbage

from lightningd_py.tools.synthetic_map import SyntheticMap
from tests.harness import installed, node, processes
from tests.harness.connectionds import Connectionds
from tests.harness.node import Nodes
from tests.harness.small_map import make_small_map, write_small_map

settings.register_profile("derandomized", deadline=None, derandomize=True, database=None)
settings.register_profile("quick", deadline=None, derandomize=True, database=None, max_examples=20)
settings.register_profile("random", deadline=None, max_examples=500, database=None)
settings.load_profile("derandomized")  # `make torture` says --hypothesis-profile=random

for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        # A shell starts a background job with signals ignored, and children would inherit that over exec, in which a
        # handler becomes the default. Ours does what is wanted here: nothing.
        signal.signal(number, lambda *_: None)

os.environ.setdefault("TESTS_BEGAN", str(int(time.time())))  # before there are workers

PASSED = pytest.StashKey[bool]()

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

LONGEST_FIRST = ("tests/interop/test_lnprototest", "tests/interop", "tests/system")


DAEMONS = {"gossipds", "new_connectd", "new_bus", "unwrapper", "hsmd", "supervisor"}
PROCESSES = {*DAEMONS, "nodes", "connectionds", "shared_nodes"}
"""Fixtures that start our daemons: a test that has one of them has real time and real sockets, and is no unit test."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes begin first: a worker has a file at a time, and none is to be left alone with one."""
    for item in items:
        if not PROCESSES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("processes")

    def rank(item: pytest.Item) -> int:
        found = (place for place, begin in enumerate(LONGEST_FIRST) if item.nodeid.startswith(begin))
        return next(found, len(LONGEST_FIRST))

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call":
        item.stash[PASSED] = report.passed
    if report.failed:
        report.sections += node.logs()
    return report


def open_fds() -> dict[int, str]:
    """What each fd of this process is: a path, or kind and inode."""
    fds = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - read to its end at once: its own fd is closed by then
        with contextlib.suppress(OSError):
            fds[int(name)] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115 - twice for each of 8,000 tests
    return fds


def running() -> set[int]:
    """Our children."""
    return set(processes.children(os.getpid()))


def signal_handlers() -> dict[str, object]:
    """What this process does at the signals that end a command or a daemon of ours."""
    return {number.name: signal.getsignal(number) for number in HANDLED}


def left_behind(fds: dict[int, str], children: set[int]) -> list[str]:
    """What is there now and was not there before."""
    new_fds = [f"fd {fd}: {what}" for fd, what in open_fds().items() if fds.get(fd) != what]
    return new_fds + [f"process {pid}" for pid in running() - children]


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set up after the fixtures of wider scope, torn down after those of the test itself."""
    fds, children, handlers = open_fds(), running(), signal_handlers()
    yield
    assert signal_handlers() == handlers, "the test has left a handler of a signal, which a later one's children have"
    gc.unfreeze()  # a daemon that was run in this process has frozen it: the oldest hypothesis looks for referrers
    if request.node.stash.get(PASSED, False) and left_behind(fds, children):
        zmq_garbage.stop()  # what the first large message to a bus has started, once for the process
        for generation in range(3):  # all of it takes a third of a second
            if left_behind(fds, children):
                gc.collect(generation)
        assert left_behind(fds, children) == []


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    """Starts nodes: `nodes.start("--option=value")`. They end with the test, and must leave nothing behind."""
    with Nodes(tmp_path) as started:
        yield started


@pytest.fixture
def connectionds(tmp_path: Path) -> Iterator[Connectionds]:
    """Starts connectiond on its own: `connectionds.start("--listen", "127.0.0.1:0")`. The same holds for them."""
    with Connectionds(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def shared_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """The same for nodes that all tests of a module use."""
    with Nodes(tmp_path_factory.mktemp("shared")) as started:
        yield started


@pytest.fixture(scope="session")
def small_map() -> SyntheticMap:
    """A small, validly signed map."""
    return make_small_map()


@pytest.fixture(scope="session")
def small_map_store(small_map: SyntheticMap, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small map as a gossip_store, to be copied into a node's directory."""
    return write_small_map(small_map, tmp_path_factory.mktemp("small-map") / "gossip_store")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return installed.build_wheel(tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with nothing but the wheel and what it depends on."""
    home = tmp_path_factory.mktemp("environment")
    installed.install(wheel, home)
    return home


@pytest.fixture
def unused_ports() -> Iterator[list[int]]:
    """Two ports on which sockets are bound that do not listen: connections are refused."""
    with socket.socket() as one, socket.socket() as other:
        for sock in (one, other):
            sock.bind(("127.0.0.1", 0))
        yield [sock.getsockname()[1] for sock in (one, other)]
