"""Examples of the states that one version leaves to the next: `python -m tests.states.examples` writes those of today.

From now on one file for each release: what was written once must be read for ever, or be refused in one sentence.
"""

from pathlib import Path

from lightningd_py.daemons.daemon import DaemonLeft, DaemonsLeft
from lightningd_py.daemons.gossip_control import TxoutLeft
from lightningd_py.daemons.restart import DeathsLeft
from lightningd_py.log import LogLeft
from lightningd_py.node_left import VERSION, NodeLeft
from lightningd_py.owners.claims import ClaimsLeft
from lightningd_py.owners.copy_programs import ListenerLeft
from lightningd_py.owners.peers import Move, PeerLeft, State
from lightningd_py.owners.programs import ProgramsLeft
from lightningd_py.owners.service_process import ProgramLeft
from lightningd_py.owners.table_left import TableLeft
from lightningd_py.peers.reconnect import KeptLeft
from lightningd_py.registrations.registered import SessionLeft
from lightningd_py.rpc.clients import ClientsLeft
from lightningd_py.rpc.connection import ClientLeft
from wire.control.control_channel import ChannelLeft
from wire.control.control_message import Fd
from wire.control.control_wire import PeerInfo, PeerMessage
from wire.net.states import dump

RELEASE = "0.1.0"
NODE_ID = bytes([2]) * 33
INFO = PeerInfo(NODE_ID, 7, "127.0.0.1:9735", True, None, b"\x02", [bytes(32)])
COPY = PeerMessage(NODE_ID, 7, b"\x80\x01", 32769, None)
PROGRAM = ProgramLeft(
    "puppet", ["python3", "x"], 7, 103, ChannelLeft(Fd(10), 3), Fd(11), b"half", Fd(12), "127/8", NODE_ID, "a", [(1, 2)]
)
NODE = NodeLeft(
    network_dir="/node/regtest",
    node_id=NODE_ID,
    what="all",
    began=1.5,
    version=RELEASE,
    database=5,
    control=[(1000, "heartbeat()")],
    table=TableLeft(
        [PeerLeft(INFO, State.PROGRAM.value, "puppet", 2.0, None, [Move(2.0, "puppet", "take_peer")], "oh", "puppet")],
        [8],
        [(7, "puppet")],
        1_000_001,
        ClaimsLeft([INFO], [(9, "again")], [1, 2]),
    ),
    sessions=[SessionLeft("bus", bytes(16), True, [32], [513], ["option_x/odd"], ["a"], ["b"])],
    kept=[KeptLeft(NODE_ID, 1.0, None, 3.0, 1, "refused")],
    deaths=DeathsLeft([1.0], [NODE_ID]),
    txouts=[TxoutLeft(4, 1 << 40, b"script")],
    bindings=["127.0.0.1:9735"],
    announced=["192.0.2.1:9735"],
    is_open=True,
    has_map=True,
    msg_endpoint="ipc:///node/regtest/msg",
    daemons=DaemonsLeft([DaemonLeft("hsmd", 101, ChannelLeft(Fd(13), 5))]),
    programs=ProgramsLeft([PROGRAM], []),
    listeners=[ListenerLeft("ear", PROGRAM, [], [COPY], [COPY], 9.0, 1)],
    clients=ClientsLeft(Fd(15), [ClientLeft(Fd(16), b"{}", b"{")]),
    log=LogLeft(["/log"], Fd(17), Fd(18), 102),
    lock_fd=Fd(19),
)
FDS = {10, 11, 12, 13, 15, 16, 17, 18, 19}


def path(release: str) -> Path:
    """Where the master's state of a release is."""
    return Path(__file__).parent / f"node-{release}.msgpack"


if __name__ == "__main__":
    path(RELEASE).write_bytes(dump(NODE, VERSION))
