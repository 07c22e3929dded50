"""The rules that a reader relies on, held by the source itself: imports, system access, sizes."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools import rooms

ROOT = Path(__file__).parent.parent
PACKAGES = ("wire", "connectd", "gossipd", "lightningd_py")
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.parent.name != "examples"
}
"""All but the examples: they are programs for users, and stand beside no `__init__.py`."""
_TOP_FILES = (".ci", ".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "pyproject.toml")
TOP_LEVEL = {*PACKAGES, *_TOP_FILES, "docs", "tests"}
LONGEST_FILE = 400
LONG_TABLES = {"wire/control/control_wire.py": "a hundred declarations, which are found better in one place"}

MAY_IMPORT = {
    "wire": {"wire"},
    "connectd": {"connectd", "wire"},
    "gossipd": {"gossipd", "wire"},
    "lightningd_py": {"lightningd_py", "wire"},
}
READ_ONLY_LIBRARY = {"gossipd.gossmap", "gossipd.store.writer", "gossipd.store.records"}
"""What lightningd_py may use of gossipd: the store and its index, so that a listing never makes gossipd wait."""

SYSTEM: dict[str, dict[str, str]] = {
    "asyncio": {
        "wire.bus.sessions": "heartbeats, and another try for those who do not read",
        "wire.bus.socket": "ZMQ's fd is on the loop",
        "wire.control.asked": "a request's future",
        "wire.control.control_channel": "requests are awaited, the socket is on the loop",
        "wire.control.daemon": "runs each daemon's loop",
        "wire.control.heartbeat": "asks by the loop's clock",
        "wire.net.sockman.farewell": "flushes what is unsent before the socket is closed",
        "wire.net.gossip_fd": "the owner's and gossipd's ends are on the loop",
        "wire.control.process": "the end of a child is awaited",
        "wire.net.sockman.listening": "listeners are on the loop",
        "wire.net.sockman.sockets": "dialling waits on the loop",
        "wire.net.sockman.sockman": "peers' sockets are on the loop",
        "wire.net.upkeep": "its one timer",
        "connectd.connectiond.daemon": "its clock and its timers are the loop's",
        "connectd.connectiond.lines.gossip_end": "the owner's end is on the loop",
        "connectd.arrivals": "one short task a handshake",
        "connectd.connectd": "gossipd has a deadline for its answers",
        "connectd.connection": "the inbox that a handshake waits on",
        "connectd.reach.dial": "addresses are tried in turn, each with its deadline",
        "connectd.connectiond.lines.elsewhere": "the loop of the other end is in a thread",
        "connectd.one_per_node": "a newer connection waits for the end of an older one",
        "connectd.reach.resolver": "one look-up has to end before others",
        "connectd.connectiond.lines.carrier": "waits for last words",
        "connectd.reach.seeds": "DNS queries are awaited, several at a time",
        "connectd.connectiond.alone.standalone": "begins and ends in order; signals",
        "connectd.tasks": "holds every task of the daemon",
        "connectd.doors.tor": "Tor is tried again after a pause",
        "connectd.doors.tor_control": "a conversation with Tor's control port, which is no peer",
        "connectd.websocketd.websocketd": "one task moves all to another websocketd",
        "connectd.websocketd.bridges": "a client that does not read has a deadline",
        "connectd.websocketd.moving": "another websocketd is waited for",
        "connectd.websocketd.turns": "what is parsed next is for the loop's next turn",
        "connectd.doors.websocket_door": "a request that comes through a proxy has a deadline",
        "gossipd.map.compaction": "copies in slices on the loop",
        "gossipd.map.keeper": "what is found lost is forgotten in the next turn",
        "gossipd.store.flush": "once a turn of the loop",
        "gossipd.gossipd": "timers, and the control channels",
        "gossipd.ticks": "what is done as time passes",
        "gossipd.control": "one task moves all to another gossipd",
        "gossipd.moving": "many connections are on their way at a time",
        "gossipd.chain": "asks while there is nothing else to be asked",
        "gossipd.peers.remote": "gossip fds are on the loop",
        "gossipd.peers.remotes": "a gossip fd is written in the next turn of the loop",
        "gossipd.own_node": "hsmd is asked for signatures",
        "gossipd.ingest.signatures": "batches go to worker processes",
        "gossipd.ingest.txout": "outputs are asked of the master",
        "lightningd_py.master": "runs the master's loop",
        "lightningd_py.service_manager": "signs of life to a watchdog, by the loop's clock",
        "lightningd_py.bus.api_bus": "a task for each request",
        "lightningd_py.chain.bitcoind": "one task follows the chain",
        "lightningd_py.news.network_events": "clients wait for events",
        "lightningd_py.chain.waiters": "clients wait for blocks, for so long",
        "lightningd_py.chain.block_notices": "waits for the next block",
        "lightningd_py.bus.buses": "buses finish side by side",
        "lightningd_py.peers.bootstrap": "tries several nodes at a time, and pauses",
        "lightningd_py.daemons.connectiond_control": "asks connectiond while everything else goes on",
        "lightningd_py.bus.ctl_bus": "a task for each request that takes a while",
        "lightningd_py.observatory.replay.again": "runs the loop of the peers that say it",
        "lightningd_py.observatory.replay.speakers": "many scripted peers at a time, each by the clock",
        "lightningd_py.observatory.replay.synthetic": "runs the loop of the peers that say the day",
        "lightningd_py.observatory.jetstream.archiver": "reads six tables' streams side by side",
        "lightningd_py.observatory.jetstream.connecting": "a server is waited for so long",
        "lightningd_py.observatory.jetstream.publisher": "sends six tables side by side, in a thread of its own",
        "lightningd_py.observatory.jetstream_commands": "runs the archive's loop",
        "lightningd_py.observatory.web.connections": "a browser's connection has deadlines",
        "lightningd_py.observatory.web.questions": "what takes long is asked in a thread",
        "lightningd_py.observatory.web.server": "browsers are answered side by side, each with its deadline",
        "lightningd_py.observatory.web.sources": "the layout is made beside all else",
        "lightningd_py.observatory.web_command": "runs the page's loop",
        "lightningd_py.recording.companion": "its process is watched and started again on the loop",
        "lightningd_py.probe.conversation": "its peer is on the loop",
        "lightningd_py.probe.probe": "talks with many nodes at a time",
        "lightningd_py.tools.demo": "two nodes and a scripted peer",
        "lightningd_py.daemons.opening": "opens when a service has come",
        "lightningd_py.owners.claims": "what waits for the other one's word waits for a while",
        "lightningd_py.daemons.gossip_control": "waits for gossipd to have the chain's news in its store",
        "lightningd_py.rpc.jsonrpc": "long lists are encoded in pieces, between which others have their turn",
        "lightningd_py.rpc.clients": "clients are accepted on the loop",
        "lightningd_py.rpc.connection": "a client's socket is on the loop, with deadlines",
        "lightningd_py.rpc.notifications": "what waits for a client is awaited",
        "lightningd_py.listingd.listingd": "clients' sockets, which are written to side by side",
        "lightningd_py.observatory.rgs.service": "makes steps by the clock while clients are served",
        "lightningd_py.observatory.rgs_command": "runs the loop of the server, until a signal",
        "lightningd_py.metrics.collector": "daemons are asked side by side, with a deadline",
        "lightningd_py.http.server": "clients' sockets, with deadlines",
        "lightningd_py.daemons.listing_control": "a listing waits for a listingd that is being restarted",
        "lightningd_py.owners.copy_programs": "the clock of restarts",
        "lightningd_py.database": "what must be on the disk is awaited",
        "lightningd_py.log": "the end of its writer is heard of on the loop",
        "lightningd_py.node": "signals and the end of the node",
        "lightningd_py.parts": "the type of what tells of the node's end",
        "lightningd_py.leaving": "waits until nothing is half done; who asked for a restart waits for what comes of it",
        "lightningd_py.core": "the type of what tells of the node's end",
        "lightningd_py.daemons.supervisor": "a daemon that was replaced has a deadline",
        "lightningd_py.daemons.hsm_control": "waits for a passphrase, or for the end",
        "lightningd_py.daemons.moving": "a new daemon takes the place of an old one",
        "lightningd_py.daemons.one_step": "a new daemon takes the place of an old one",
        "lightningd_py.daemons.settings": "one change of the options at a time; files are written in a thread",
        "lightningd_py.daemons.setup": "a daemon that dies while it is told things never answers",
        "lightningd_py.owners.service_process": "what a program prints is read on the loop",
        "lightningd_py.owners.programs": "deadlines for those who do not let go",
        "lightningd_py.rpc.methods.peer_requests": "a deadline for what an owner has to do",
        "lightningd_py.rpc.methods.map_commands": "waits for the map to be complete",
        "lightningd_py.rpc.methods.graceful_command": "waits for peers to go",
        "lightningd_py.rpc.methods.peer_listing": "owners are asked all at once, none for long",
        "connectd.moving": "another connectd is waited for",
        "wire.net.moving": "another process is waited for",
        "connectd.connectiond.moving": "services and another connectiond are waited for",
        "wire.bus.lasting_sessions": "services have a deadline to come back",
        "connectd.hand_over": "connections wait for the next gossipd",
        "lightningd_py.daemons.restart": "waits before a daemon is restarted",
        "lightningd_py.peers.staying_connected": "timers and dials of kept peers",
        "lightningd_py.owners.peers": "the arrival and the end of a connection are awaited",
        "lightningd_py.tools.scripted_peer": "a peer for scripts and tests",
        "lightningd_py.chain.txouts": "tasks that keep bitcoind busy",
    },
    "socket": {
        "connectd.connectiond.bus": "a listening socket comes from another connectiond",
        "wire.bus.listener": "the listening sockets of the buses",
        "lightningd_py.hsm.moving": "SEQPACKET, in blocking calls with a deadline",
        "connectd.doors.tor_control": "a conversation that another process has begun",
        "lightningd_py.daemons.listening": "whether what was left to us is a listening socket",
        "wire.net.sockman.listening": "accepts",
        "wire.net.sockman.stale_socket": "whether a process listens at the path of a Unix socket",
        "wire.control.control_channel": "SEQPACKET with fds",
        "wire.control.control_socket": "SEQPACKET with fds, in blocking calls",
        "wire.control.daemon": "sockets inherited by number",
        "wire.log.output": "standard error may be a socket",
        "wire.net.sockman.farewell": "flushes what is unsent before the socket is closed",
        "wire.net.gossip_fd": "SEQPACKET pairs",
        "gossipd.peers.remotes": "a gossip fd that another gossipd had",
        "wire.program": "a service's control socket, and hsmd's",
        "wire.net.blocking_owner": "a service's blocking side of a connection",
        "wire.net.master_line": "a program's control socket",
        "wire.net.sockman.sockets": "stream sockets are made here",
        "wire.net.sockman.sockman": "all I/O with peers",
        "wire.net.sockman.stamps": "reads with the kernel's time of arrival",
        "connectd.socket_address": "the family of an address, and the way that this host has to it",
        "connectd.connectiond.daemon": "the type of its control socket",
        "connectd.connectiond.lines.gossip_end": "SEQPACKET",
        "connectd.connectd": "the type of its control sockets",
        "connectd.connectiond.lines.elsewhere": "a control socket for each connection",
        "connectd.connectiond.alone.own_hsmd": "the sockets to hsmd",
        "connectd.connectiond.lines.carrier": "its inherited control socket",
        "connectd.websocketd.websocketd": "the type of its control sockets",
        "connectd.doors.websocket_door": "a stream socketpair for each WebSocket",
        "gossipd.control": "the inherited control sockets",
        "gossipd.peers.remote": "gossip fds",
        "gossipd.publish.subscribers": "disconnects a subscriber that wants too much",
        "gossipd.ingest.signatures": "the type of a worker's socket",
        "gossipd.ingest.workers": "SEQPACKET to worker processes",
        "lightningd_py.daemons.one_step": "SEQPACKET pairs",
        "lightningd_py.service_manager": "datagrams to systemd",
        "lightningd_py.daemons.hsm_control": "a service's socket to hsmd",
        "lightningd_py.hsm.hsmd": "blocking: one request after the other",
        "lightningd_py.hsm.passphrase": "watches whether the master has gone",
        "lightningd_py.tools.scripted_peer": "adopts the fd of a connection that was handed over",
        "lightningd_py.owners.service_process": "the control socket of a started program",
        "lightningd_py.daemons.supervisor": "socketpairs between the daemons",
        "lightningd_py.unix_socket": "the Unix socket lightning-rpc",
        "lightningd_py.client": "the type of a connection to a node",
        "lightningd_py.rpc.connection": "a client's stream socket",
        "lightningd_py.rpc.clients": "clients of the Unix socket: they may be lent",
        "lightningd_py.listingd.listingd": "its inherited control socket",
        "lightningd_py.http.server": "clients of --metrics-addr",
    },
    "zmq": {
        "connectd.connectiond.alone.buses": "the context of its buses",
        "connectd.connectiond.alone.ctl": "the type of its context",
        "connectd.connectiond.alone.standalone": "makes the context, or takes that of a program which embeds it",
        "connectd.connectiond.daemon": "the context of its bus",
        "connectd.connectiond.bus": "the type of its context",
        "wire.bus.socket": "the one place where the buses touch ZMQ",
        "wire.bus.listener": "the length of ZMQ's paths",
        "gossipd.publish.feed_socket": "publishes the feed",
        "wire.bus.curve": "certificates, and which clients are admitted by them",
        "lightningd_py.bus.buses": "the context of the master's buses",
        "lightningd_py.chain.block_notices": "bitcoind's notices of blocks",
        "lightningd_py.observatory.replay.publisher": "publishes a record as a feed",
        "lightningd_py.tools.feed_client": "takes the feed, for programs and for lightning-cli-py",
    },
}
"""Which modules touch the loop, sockets and the buses, and why; no other does I/O with them."""

FORBIDDEN_CALLS = {"eval", "exec", "__import__", "compile"}


def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(), filename=str(MODULES[module]))


def imports_of(module: str) -> Iterator[str]:
    """Dotted names of all that a module imports, wherever in it the import stands."""
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(package: str) -> set[str]:
    return {module for module in MODULES if any(name.split(".")[0] == package for name in imports_of(module))}


@pytest.mark.parametrize("module", MODULES)
def test_daemons_import_wire_and_never_each_other(module: str) -> None:
    package = module.split(".")[0]
    for name in imports_of(module):
        imported = name.split(".")[0]
        if package == "lightningd_py" and {name, name.rpartition(".")[0]} & READ_ONLY_LIBRARY:
            continue
        assert imported not in PACKAGES or imported in MAY_IMPORT[package], f"{module} imports {name}"


@pytest.mark.parametrize("package", SYSTEM)
def test_only_named_modules_touch_the_system(package: str) -> None:
    assert importers(package) - SYSTEM[package].keys() == set(), f"these import {package} and are not in the list"
    assert SYSTEM[package].keys() - importers(package) == set(), f"these are in the list and do not import {package}"


def test_only_secp256k1_imports_coincurve() -> None:
    assert importers("coincurve") <= {"wire.secp256k1"}


def test_nothing_unpickles_or_evaluates_or_runs_a_shell() -> None:
    assert importers("pickle") | importers("marshal") | importers("shelve") == set()
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            assert name not in FORBIDDEN_CALLS, f"{module}:{node.lineno} calls {name}"
            shells = [keyword.value for keyword in node.keywords if keyword.arg == "shell"]
            assert all(isinstance(shell, ast.Constant) and shell.value is False for shell in shells), module


def test_top_level_has_only_what_belongs_there() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {line.split("/")[0] for line in listed.stdout.splitlines()} <= TOP_LEVEL


def test_tests_are_no_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == [], "tests/wire/__init__.py would shadow wire"


@pytest.mark.parametrize("package", PACKAGES)
def test_tests_lie_as_the_rooms_do(package: str) -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests" / package).rglob("test_*.py")}
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").exists()] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_tests_are_named_after_what_they_test(package: str) -> None:
    """`test_<module>.py`, or `test_<module>_<topic>.py`; the module stands in the same room."""
    strays = []
    for path in sorted((ROOT / "tests" / package).rglob("test_*.py")):
        room = ROOT / path.parent.relative_to(ROOT / "tests")
        name = path.stem.removeprefix("test_")
        if not any(name == module.stem or name.startswith(module.stem + "_") for module in room.glob("*.py")):
            strays.append(str(path.relative_to(ROOT)))
    assert strays == []


def test_files_are_short() -> None:
    sources = [*MODULES.values(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "docs").rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in sources}
    assert {name for name, length in lengths.items() if length > LONGEST_FILE} <= LONG_TABLES.keys()


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()


@pytest.mark.parametrize("module", MODULES)
def test_modules_say_what_they_are_for(module: str) -> None:
    assert ast.get_docstring(tree_of(module)), f"{module} has no docstring"


# rooms

KNOWN_CIRCLES: set[frozenset[str]] = set()
"""Circles of files or of rooms that are still to be undone. Strike out what is gone, add nothing."""

MOST_FILES = 16


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_make_no_circles(package: str) -> None:
    known = {circle for circle in KNOWN_CIRCLES if next(iter(circle)).split(".")[0] == package}
    modules = rooms.modules(package)
    found = rooms.circles(rooms.imports(modules)) | rooms.circles(rooms.imports_of_rooms(modules))
    parts = {circle for circle in found if any(circle <= larger for larger in known)}
    assert found - parts == set(), "these are new"
    assert known - parts == set(), "these have become smaller or are gone: say so in KNOWN_CIRCLES"


@pytest.mark.parametrize("package", PACKAGES)
def test_rooms_import_towards_the_ground(package: str) -> None:
    edges = rooms.imports_of_rooms(rooms.modules(package))
    order = rooms.ORDER[package]
    for room in edges.keys() - {package}:
        assert room in order or (room.count(".") == 1 and "*" in order), f"{room} has no place in rooms.ORDER"
    assert set(order) - {"*"} <= edges.keys(), "these are in rooms.ORDER, and are no rooms"
    wrong = {
        (room, imported)
        for room, others in edges.items()
        for imported in others
        if rooms.place_of(imported) > rooms.place_of(room)
    }
    known = {pair for pair in wrong if any(circle.issuperset(pair) for circle in KNOWN_CIRCLES)}
    assert wrong - known == set(), "these import from a room that stands above theirs"


@pytest.mark.parametrize("package", PACKAGES)
def test_rooms_are_not_crowded(package: str) -> None:
    assert {room: count for room, count in rooms.sizes(rooms.modules(package)).items() if count > MOST_FILES} == {}


def test_rooms_say_in_two_sentences_what_lives_there_and_who_may_call_it() -> None:
    for module, path in MODULES.items():
        if path.name == "__init__.py" and path.parent.parent != ROOT:
            text = " ".join((ast.get_docstring(tree_of(module)) or "").split())
            assert len(re.findall(r"[.!?](?= [A-Z`]|$)", text)) >= 2, f"{module}: {text}"


def test_circles_are_found_wherever_the_import_stands(tmp_path: Path) -> None:
    """Under TYPE_CHECKING, within a function, from the package or from the module."""
    for name, text in {
        "p/__init__.py": "",
        "p/top.py": "from p import other\n",
        "p/other.py": "if TYPE_CHECKING:\n    from p.room.first import x\n",
        "p/room/__init__.py": "",
        "p/room/first.py": "def f():\n    import p.top\n",
        "p/room/second.py": "from p.room import first\nimport p.ground\n",
        "p/ground.py": "import os\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    modules = rooms.modules("p", tmp_path)
    assert rooms.circles(rooms.imports(modules)) == {frozenset({"p.top", "p.other", "p.room.first"})}
    assert rooms.circles(rooms.imports_of_rooms(modules)) == {frozenset({"p.top", "p.other", "p.room"})}
    assert rooms.imports(modules)["p.room.second"] == {"p.room.first", "p.ground"}


def test_rooms_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The status is 1 as long as there are circles."""
    found = rooms.main()
    printed = capsys.readouterr().out
    for package in PACKAGES:
        assert re.search(rf"^{package}: \d+ files, median \d+ lines a file$", printed, re.M)
    assert re.search(r"^    gossipd\.map +\d+ files$", printed, re.M)
    assert bool(found) == ("circle of" in printed) == bool(KNOWN_CIRCLES)
