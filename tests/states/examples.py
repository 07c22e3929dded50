"""Examples of the states that one version leaves to the next: `python -m tests.states.examples` writes those of today
that are not written yet.

From now on one file for each release: what was written once must be read for ever, or be refused in one sentence.
"""

from pathlib import Path
from typing import Any, NamedTuple

from connectd import moving as connectd_moving
from connectd.connectiond import moved as connectiond_moved
from connectd.connectiond.moved import MovedBus, MovedLine, MovedPart, MovedShared
from connectd.doors.tor import MovedOnion
from connectd.moving import MovedCandidate, MovedPlace
from connectd.one_per_node import MovedNode
from connectd.websocketd import moving as websocketd_moving
from connectd.websocketd.bridges import MovedBridge, Order
from connectd.websocketd.websocket import MovedWebSocket
from gossipd import moving as gossipd_moving
from gossipd.ask.moving import MovedSeeker
from gossipd.moving import MovedPeer, MovedRest
from gossipd.peers.standing import MovedStanding
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
from wire.bus.lasting_sessions import MovedSession
from wire.control.control_channel import ChannelLeft
from wire.control.control_message import Fd
from wire.control.control_wire import GossipState, PeerInfo, PeerMessage
from wire.crypto_state import CryptoState, PeerState, Traffic
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

"""The master's; what has fds in it is FDS."""

CRYPTO = CryptoState(2, 4, b"r" * 32, b"s" * 32, b"R" * 32, b"S" * 32)
STATE = PeerState(CRYPTO, b"unread", b"unsent", Traffic(1, 2, 3, 4), [b"left over"])
GOSSIP = GossipState((1, 2), b"u" * 16, 77, (3, 4), True, [b"query"])
PEER = MovedPeer(
    INFO,
    STATE,
    GOSSIP,
    [b"to be said"],
    started=True,
    standing=MovedStanding(1.5, 2.5, 1, 2, 3, 4, warned=True),
    novel=5,
    known=[100, 200],
)
REST = MovedRest(MovedSeeker("normal", 7, 1.5, 2.5, [(1 << 40, 1, 7)]), [(b"message", 7)], [NODE_ID], [("topic", 3)])
PLACE = MovedPlace(
    [MovedNode(INFO, 1.5, told=True, direct=True)],
    [(NODE_ID, ["192.0.2.1:9735"], ["192.0.2.2:9735"])],
    [MovedOnion("tor:127.0.0.1:9051", "key", "127.0.0.1:9735")],
)
CANDIDATE = MovedCandidate(INFO, STATE, 1.5, 2.5)
SHARED = MovedShared(
    [MovedPart("bus", 5, 250, 256, 200, 7, 49)],
    [("bus", True, b"held"), ("gone", False, b"held, too")],
    ["bus", ""],
    leaving=True,
    opening=[(bytes(32), "bus", b"\x02" * 33)],
    channels=[(b"c" * 32, "bus")],
)
LINE = MovedLine(INFO, STATE, SHARED, [b"said", b"ours"])
BUS = MovedBus([MovedSession("bus", bytes(16), 100, [b"body"])], [(6, "bus")])
BRIDGE = MovedBridge(
    order=Order(7, "127.0.0.1:9735", 100_000, ["127.0.0.0/8"]),
    link=0,
    client="192.0.2.1:5",
    told=True,
    over=True,
    websocket=MovedWebSocket(True, b"GET", b"half", 9),
    unparsed=b"unparsed",
    to_client=b"to client",
    to_stream=b"to stream",
    budget=1.5,
    slow_left=2.5,
)


class Example(NamedTuple):
    """A state of every kind that crosses a version, and the newest version of its kind."""

    state: Any
    version: int


EXAMPLES = {
    "node": Example(NODE, VERSION),
    "gossipd_peer": Example(PEER, gossipd_moving.VERSION),
    "gossipd_rest": Example(REST, gossipd_moving.VERSION),
    "connectd_place": Example(PLACE, connectd_moving.VERSION),
    "connectd_candidate": Example(CANDIDATE, connectd_moving.VERSION),
    "connectiond_line": Example(LINE, connectiond_moved.VERSION),
    "connectiond_bus": Example(BUS, connectiond_moved.VERSION),
    "websocketd_bridge": Example(BRIDGE, websocketd_moving.VERSION),
}


def path(name: str, release: str) -> Path:
    """Where this state of a release is."""
    return Path(__file__).parent / f"{name}-{release}.msgpack"


if __name__ == "__main__":
    for name, (state, version) in EXAMPLES.items():
        if not path(name, RELEASE).exists():
            path(name, RELEASE).write_bytes(dump(state, version))
