"""lnprototest's Runner for lightningd-py, started with the options of CLN's runner. Runs in pyln's virtual environment.

It is stricter than CLN's: only a connection's clean end, or its reset, is a disconnect. A bad frame and a peer that
says nothing for PATIENCE are errors. Where a sequence expects no failure, a warning counts as one, like an error.
"""

import contextlib
import ctypes
import functools
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import exact
from lnprototest import Conn, Event, EventError, MustNotMsg, Runner, namespace
from phrases import PATIENCE
from pyln.client import LightningRpc
from pyln.proto import wire

NETWORK = "regtest"
NODE_KEY = "00" * 31 + "01"
OPTIONS = (
    "--developer",
    f"--dev-force-privkey={NODE_KEY}",
    "--dev-fast-gossip",
    "--dev-allow-localhost",
    "--dev-bitcoind-poll=1",
    "--dev-no-ping-timer",
    "--bind-addr=127.0.0.1:0",
    f"--network={NETWORK}",
    "--chain=none",
    "--log-level=debug",
    "--log-file=log",
)
POLL = 0.05
LOG_LINES = 40
PR_SET_PDEATHSIG = 1
FAILURES = ("error", "warning")


def _end_with_me() -> None:
    """The node does not outlive us, even if we are killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@functools.cache
def listed_features(program: str) -> dict[str, str]:
    """By name, `odd` or `even`: what --list-features-only tells."""
    done = subprocess.run([program, "--list-features-only"], capture_output=True, text=True, check=True)
    return dict(line.split("/") for line in done.stdout.split())


class Config:
    """What the library asks of pytest's config."""

    def getoption(self, name: str) -> bool:
        """No option is given."""
        return False


class NodeConn(Conn):  # type: ignore[misc]
    """A connection to the node, by pyln-proto."""

    def __init__(self, connprivkey: str, node_id: bytes, port: int) -> None:
        super().__init__(connprivkey)
        key = wire.PrivateKey(self.connprivkey.secret)
        self.wire: exact.ExactConnection = wire.connect(key, node_id, "127.0.0.1", port)
        self.wire.socket.settimeout(PATIENCE)

    def read(self) -> bytes | None:
        """The next message; None when the node has hung up. Raises TimeoutError, ValueError, InvalidTag."""
        try:
            return self.wire.read_message() if self.wire.socket.recv(1, socket.MSG_PEEK) else None
        except ConnectionResetError:
            return None

    def no_more(self) -> None:
        """Tell the node that we say nothing more."""
        with contextlib.suppress(OSError):  # it has hung up before
            self.wire.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Let go of the socket."""
        self.wire.socket.close()


class NodeRunner(Runner):  # type: ignore[misc]
    """Runs one sequence of events against a node that begins in an empty directory."""

    def __init__(self, program: str, *, one_node: bool) -> None:
        """`program`: the console script. `one_node`: for all rounds of the sequence, else each has a new one."""
        super().__init__(Config())
        self.program = program
        self.one_node = one_node
        self.process: subprocess.Popen[bytes] | None = None
        self.options = listed_features(program)

    # the node

    @property
    def node_directory(self) -> Path:
        """Its lightning-dir."""
        return Path(self.directory) / "node"

    def start(self) -> None:
        """Start it and wait until it listens. Raises EventError."""
        self.node_directory.mkdir()
        command = [self.program, f"--lightning-dir={self.node_directory}", *OPTIONS]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=_end_with_me
        )
        self.rpc = LightningRpc(self.node_directory / NETWORK / "lightning-rpc")
        self.wait_for(Event(), "getinfo", self._is_ready)

    def _is_ready(self) -> bool:
        try:
            info = self.rpc.getinfo()
        except (OSError, ValueError):
            return False
        self.node_id, bindings = bytes.fromhex(info["id"]), info["binding"]
        self.port = bindings[0]["port"] if bindings else 0
        return bool(self.port)

    def wait_for(self, event: Event, what: str, is_so: Callable[[], bool]) -> None:
        """Poll the node until it is so. Raises EventError."""
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            if not self.is_running() or time.monotonic() > deadline:
                raise EventError(event, f"the node did not come to: {what}\n{self.log_tail()}")
            time.sleep(POLL)

    def stop(self, print_logs: bool = False) -> None:
        """SIGTERM, and a look at how it has ended. Raises EventError."""
        for conn in self.conns.values():
            conn.close()
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        if status or " BROKEN " in self.log():
            raise EventError(Event(), f"the node has ended with {status}\n{self.log_tail()}")
        shutil.rmtree(self.node_directory)

    def restart(self) -> None:
        """The next round: without connections, and unless one is to do, with a node that knows nothing."""
        if not self.one_node:
            self.stop()
            self.start()
        super().restart()

    def is_running(self) -> bool:
        """Whether there is a node."""
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        """All that the node has logged."""
        path = self.node_directory / NETWORK / "log"
        return path.read_text() if path.exists() else ""

    def log_tail(self) -> str:
        """The end of it."""
        return "\n".join(self.log().splitlines()[-LOG_LINES:])

    # connections

    def connect(self, event: Event, connprivkey: str) -> None:
        """Dial the node as this peer."""
        self.add_conn(NodeConn(connprivkey, self.node_id, self.port))

    def recv(self, event: Event, conn: NodeConn, outbuf: bytes) -> None:
        """Say this message to the node (the library's names are the node's view). Raises EventError."""
        try:
            conn.wire.send_message(outbuf)
        except OSError as error:
            raise EventError(event, f"{error}, after {conn.read()!r}") from error

    def get_output_message(self, conn: NodeConn, event: Event) -> bytes | None:
        """The node's next message, None when it has hung up. Raises EventError if it does neither."""
        try:
            return conn.read()
        except TimeoutError as error:
            raise EventError(event, f"nothing comes from the node on connection {conn}") from error

    def check_error(self, event: Event, conn: NodeConn) -> str | None:
        """The next message in hex, None when the node has hung up: for ExpectError and ExpectDisconnect."""
        super().check_error(event, conn)
        message = self.get_output_message(conn, event)
        return None if message is None else message.hex()

    def check_final_error(
        self, event: Event, conn: NodeConn, expected: bool, must_not_events: list[MustNotMsg]
    ) -> None:
        """Hang up, and look at all that the node has said until then. Raises EventError."""
        conn.no_more()
        while not expected and (message := self.get_output_message(conn, event)) is not None:
            banned = [str(must_not) for must_not in must_not_events if must_not.matches(message)]
            kind = namespace().get_msgtype_by_number(int.from_bytes(message[:2], "big"))
            if banned or (kind is not None and kind.name in FAILURES):
                raise EventError(event, f"the node said {message.hex()}; banned by {banned}")
        conn.close()

    # facts

    def has_option(self, optname: str) -> str | None:
        """`odd`, `even`, or None for a feature that the node does not list."""
        return self.options.get(optname)

    def get_node_privkey(self) -> str:
        """Of the node."""
        return NODE_KEY

    def getblockheight(self) -> int:
        """As the node sees it."""
        return int(self.rpc.getinfo()["blockheight"])

    # channels: the node has none

    def _no_channels(self, *args: Any, **keywords: Any) -> NoReturn:
        raise NotImplementedError("the node opens no channels and follows no chain")

    get_keyset = get_node_bitcoinkey = trim_blocks = add_blocks = expect_tx = invoice = accept_add_fund = _no_channels
    fundchannel = init_rbf = addhtlc = close_channel = add_startup_flag = _no_channels


class LastingRunner(NodeRunner):
    """Runs sequences, one after the other, against one node, until `end`."""

    def __init__(self, program: str) -> None:
        super().__init__(program, one_node=True)

    def start(self) -> None:
        """The next sequence; the first one starts the node. Raises EventError."""
        if self.process is None:
            super().start()

    def stop(self, print_logs: bool = False) -> None:
        """A look at the node after a sequence. Raises EventError."""
        for conn in self.conns.values():
            conn.close()
        self.restart()
        if not self.is_running() or " BROKEN " in self.log():
            raise EventError(Event(), f"the node has ended, or is broken\n{self.log_tail()}")

    def end(self) -> None:
        """Of the node, and a look at how it has ended. Raises EventError."""
        super().stop()
