"""What one program of the master's process leaves to the next: the node, but for what is in other processes.

It goes through exec as a memfd, whose number is in the environment, with the fds that it names. The same process goes
on, with its pid, its children and its locks; only the program is another one: `master.py`. `wire/net/states.py` says
how versions read each other's.
"""

import os
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from lightningd_py.config.options import Options
from lightningd_py.daemons.daemon import DaemonsLeft
from lightningd_py.daemons.gossip_control import TxoutLeft
from lightningd_py.daemons.restart import DeathsLeft
from lightningd_py.database import MIGRATIONS
from lightningd_py.log import LogLeft
from lightningd_py.news.network_events import EventsLeft
from lightningd_py.owners.copy_programs import ListenerLeft
from lightningd_py.owners.programs import ProgramsLeft
from lightningd_py.owners.table_left import TableLeft
from lightningd_py.peers.reconnect import KeptLeft
from lightningd_py.registrations.registered import SessionLeft
from lightningd_py.rpc.clients import ClientsLeft
from lightningd_py.storage.for_peers import StorageLeft
from wire.control.control_message import Fd, declarations
from wire.control.control_wire import ListeningSocket
from wire.net.states import StateError, dump, load
from wire.start.late_dataclass import dataclass
from wire.start.version import version

VERSION = 1
"""Of NodeLeft. A field more needs no new one: it has a default."""
STATE, CHECK = "LIGHTNINGD_PY_STATE", "LIGHTNINGD_PY_CHECK"
"""In the environment: the number of the memfd, to go on with it, or just to say whether that could be done."""
LARGEST = 1 << 30
"""Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLeft:
    """The node. `what` was asked to be restarted, at `began` on the monotonic clock."""

    network_dir: str
    node_id: bytes
    what: str
    began: float
    version: str = ""
    database: int = 0
    """Migrations that its file has seen."""
    control: list[tuple[int, str]] = field(default_factory=list)
    """The control messages that the daemons of now understand."""
    table: TableLeft = field(default_factory=TableLeft)
    sessions: list[SessionLeft] = field(default_factory=list)
    kept: list[KeptLeft] = field(default_factory=list)
    deaths: DeathsLeft = field(default_factory=DeathsLeft)
    txouts: list[TxoutLeft] = field(default_factory=list)
    bindings: list[str] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)
    is_open: bool = False
    has_map: bool = False
    msg_endpoint: str = ""
    passphrase_begins: int = 0
    """Where the passphrase of hsm_secret begins, if standard input is a file."""
    daemons: DaemonsLeft = field(default_factory=DaemonsLeft)
    """From here on what has fds; empty in a state that is only looked at."""
    programs: ProgramsLeft = field(default_factory=ProgramsLeft)
    listeners: list[ListenerLeft] = field(default_factory=list)
    listening_sockets: list[ListeningSocket] = field(default_factory=list)
    clients: ClientsLeft | None = None
    log: LogLeft | None = None
    lock_fd: Fd | None = None
    events: EventsLeft = field(default_factory=EventsLeft)
    storage: StorageLeft = field(default_factory=StorageLeft)
    transient: list[tuple[str, str]] = field(default_factory=list)
    """Options that were set for this life of the node only."""
    topics: list[str] = field(default_factory=list)
    """Which clients of the JSON-RPC have taken."""
    refuses_all: str = ""
    """Why no connection is made or taken any more (`graceful`); empty if they are."""
    onion_secret: bytes = field(default=b"", repr=False)
    """Of the paths that oniond has made."""
    failed: str = ""
    """Why the next program could not be executed: then the old one goes on with this."""


def of_this_version(network_dir: Path, node_id: bytes, what: str, began: float) -> NodeLeft:
    """The beginning of one."""
    return NodeLeft(
        network_dir=str(network_dir),
        node_id=node_id,
        what=what,
        began=began,
        version=version(),
        database=len(MIGRATIONS),
        control=declarations(),
    )


def write_state(left: NodeLeft) -> int:
    """A memfd that has it. Raises OSError."""
    memfd = os.memfd_create("lightningd", os.MFD_CLOEXEC)
    try:
        with open(memfd, "wb", closefd=False) as file:
            file.write(dump(left, VERSION))
    except OSError:
        os.close(memfd)
        raise
    return memfd


def read_state(fd: int) -> NodeLeft:
    """The state in this memfd, which is closed. Raises StateError."""
    try:
        size = os.fstat(fd).st_size
        if size > LARGEST:
            raise StateError(f"a state of {size} bytes is too large")
        return load(NodeLeft, os.pread(fd, size, 0), VERSION)
    except OSError as error:
        raise StateError(f"no state can be read: {error.strerror}") from error
    finally:
        os.close(fd)


def inherited(name: str, environment: Mapping[str, str]) -> int | None:
    """The number of the memfd in `name`; None if there is none. Raises StateError."""
    text = environment.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise StateError(f"{name} is no number of a file descriptor")
    return int(text)


def flaw_of(left: NodeLeft, options: Options) -> str | None:
    """Why the program that we are cannot go on with it, as a sentence; None if it can."""
    if left.network_dir != str(options.network_dir):
        return f"the options name another directory than {left.network_dir}"
    if left.database > len(MIGRATIONS):
        return f"the database is of version {left.database}, and this version knows up to {len(MIGRATIONS)}"
    ours = dict(declarations())
    changed = [said for number, said in left.control if ours.get(number) != said]
    if changed:
        name = changed[0].partition("(")[0]
        return f"the processes of this version say {name} in another way: stop the node, and start it again"
    return None
