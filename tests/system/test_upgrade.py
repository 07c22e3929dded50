"""An upgrade from wheel to wheel, with `pip install` while the node runs: no peer is lost, each process is replaced."""

import asyncio
import contextlib
import functools
import importlib.util
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness import installed, processes
from tests.harness.moves import about_channel, opening
from tests.harness.node import Node, Nodes, RpcError
from tests.harness.pinger import Pinger
from tests.harness.waiting import until

pytestmark = pytest.mark.timeout(400)
OLD = "0.0.9"
PEERS = 10
PROGRAM = Path(__file__).parent.parent / "harness/echo_service.py"
ECHO, ECHO_FILE = f"echo={sys.executable} -P {PROGRAM}", PROGRAM.name.rpartition(".")[2]
REFUSED = "the version that is installed now cannot go on with this node: "

Wheels = Callable[[str], Path]


@dataclass(frozen=True)
class Installed:
    """An environment in which a wheel is installed."""

    home: Path

    @property
    def program(self) -> list[Path]:
        return [self.home / "bin/lightningd-py"]

    async def upgrade(self, wheel: Path) -> None:
        """`pip install`."""
        await asyncio.to_thread(installed.upgrade, wheel, self.home)

    @contextlib.contextmanager
    def edited(self, file: str, old: str, new: str) -> Iterator[None]:
        """What is installed has a flaw."""
        path = installed.site_packages(self.home) / file
        text = path.read_text()
        assert old in text
        _write(path, text.replace(old, new, 1))
        yield
        _write(path, text)


def _write(path: Path, text: str) -> None:
    """A module's text. What was compiled of the last one would be taken for this one's: within a second, if both are as
    long.
    """
    path.write_text(text)
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


@pytest.fixture(scope="module")
def old_wheels(tmp_path_factory: pytest.TempPathFactory) -> Wheels:
    """`old_wheels("copy")`: of our sources, but for its version; "commit": of an earlier commit, if there is one."""

    @functools.cache
    def make(of: str) -> Path:
        source, target = (tmp_path_factory.mktemp(f"{name}-of-{of}") for name in ("source", "wheel"))
        commit = installed.last_compatible_commit() if of == "commit" else None
        if commit is None:
            installed.copy_sources(source)
        else:
            installed.copy_commit(commit, source)
        installed.set_version(source, OLD)
        return installed.make_wheel(source, target)

    return make


def install(wheel: Path, home: Path) -> Installed:
    home.mkdir()
    installed.install(wheel, home)
    return Installed(home)


@contextlib.asynccontextmanager
async def pinging(node: Node) -> AsyncIterator[list[Pinger]]:
    """Peers that all go on to the end."""
    pingers = [Pinger(await ScriptedPeer.connect(node.target)) for _ in range(PEERS)]
    try:
        yield pingers
        for pinger in pingers:
            await pinger.goes_on()
    finally:
        for pinger in pingers:
            await pinger.end()


def started_before(node: Node, moment: float) -> Iterator[str]:
    """Its processes that were started before this moment of the monotonic clock, the master apart."""
    for name, pid in node.pids().items():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if pid != node.process.pid and processes.started(pid) < moment:
                yield name


@pytest.mark.long
@pytest.mark.parametrize("old", ["copy", "commit"])
async def test_no_peer_notices(nodes: Nodes, tmp_path: Path, old_wheels: Wheels, wheel: Path, old: str) -> None:
    """Pinging peers and one of a program's: 0 lost, and the same pid of the master's, which says the new version."""
    place = install(old_wheels(old), tmp_path / "home")
    node = nodes.start(f"--service={ECHO}", "--take=echo=open_channel", program=place.program)
    assert (await node.rpc("getinfo"))["version"] == OLD
    async with await ScriptedPeer.connect(node.target) as programs, pinging(node):
        await programs.say(opening())
        assert (await programs.hear(0x8001)).encode() == b"\x80\x01" + opening()
        programs_pid = node.pids()[ECHO_FILE]
        conn_ids = {id_: peer["conn_id"] for id_, peer in (await node.peers()).items()}
        await place.upgrade(wheel)
        upgraded = time.monotonic()
        done = await node.rpc("restart", what="all")
        assert (done["moved"], done["lost"]) == (PEERS + 1, 0)
        assert [each for each in done["processes"] if "error" in each] == []
        assert {id_: peer["conn_id"] for id_, peer in (await node.peers()).items()} == conn_ids
        assert (await node.rpc("getinfo"))["version"] != OLD

        async def all_new() -> bool:
            return list(started_before(node, upgraded)) == [ECHO_FILE]

        await until(all_new, "a process is old")
        assert node.pids()[ECHO_FILE] == programs_pid
        await programs.say(about_channel(134))
        assert (await programs.hear(0x8001)).encode() == b"\x80\x01" + about_channel(134)


BROKEN_VERSIONS = [
    (
        "lightningd_py/node_left.py",
        "\nVERSION = 1\n",
        "\nVERSION = 0\n",
        "NodeLeft is of version 1, and 0 is the newest that is known here",
    ),
    ("lightningd_py/master.py", "import asyncio\n", "import nothing\n", "ModuleNotFoundError: .*nothing"),
    (
        "wire/control/control_wire.py",
        "    successor_fd: Fd\n",
        "    successor_fd: Fd\n    more: int\n",
        "the processes of this version say move_all in another way: stop the node, and start it again",
    ),
]


@pytest.mark.long
async def test_versions_that_cannot_go_on(nodes: Nodes, tmp_path: Path, old_wheels: Wheels, wheel: Path) -> None:
    """One sentence, and the old one goes on. If a daemon of it does not start, the new master goes on with the old one.
    When a better version is installed that is taken.
    """
    place = install(old_wheels("copy"), tmp_path / "home")
    node = nodes.start(program=place.program)
    before = node.pids()
    async with pinging(node):
        await place.upgrade(wheel)
        for *edit, reason in BROKEN_VERSIONS:
            with place.edited(*edit), pytest.raises(RpcError, match=f"{REFUSED}.*{reason}") as refused:
                await node.rpc("restart", what="all")
            assert "\n" not in refused.value.message
            assert node.pids() == before
            assert (await node.rpc("getinfo"))["version"] == OLD, "it is installed, and does not run"
        with (
            place.edited("gossipd/__main__.py", "\nimport os\n", "\nimport nothing\n"),
            place.edited("connectd/__main__.py", "\nimport sys\n", "\nimport nothing\n"),
        ):
            done = await node.rpc("restart", what="all")
        wrong = {each["restarted"]: each["error"] for each in done["processes"] if "error" in each}
        assert wrong.keys() == {"gossipd", "connectd"}
        assert all("goes on as it was" in reason for reason in wrong.values()), wrong
        assert [node.pids()[name] for name in wrong] == [before[name] for name in wrong]
        assert (await node.rpc("getinfo"))["version"] != OLD
        assert [each for each in (await node.rpc("restart", what="all"))["processes"] if "error" in each] == []
