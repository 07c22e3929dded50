"""A service whose every step a test decides: a program of its own that is moved by lines of JSON from the test.

    python puppet.py SOCKET         as lightningd-py starts it, with its control socket as fd 3

It takes the connection, tells the test all about it, and then does what it is told, one thing at a time, until the
test lets go of it or fd 3 says that the master has gone. Uses wire's blocking calls and nothing else of ours.
"""

import json
import os
import runpy
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import msgpack

from wire.control import control_wire
from wire.control.control_message import Fd, Reply, Request
from wire.control.control_socket import receive_message, send_message
from wire.control.control_wire import PeerGivenBack, TakePeer
from wire.crypto_state import READ_SIZE, CryptoState, PeerState
from wire.frames import Frames

PACKET = 65_536
HEARTBEAT, _ = control_wire.Heartbeat().encode()


class Puppet:
    """The connection that this process owns, and the strings that move it: each method is a command of the test."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        routes = receive_message(control, "master")
        taken = receive_message(control, "master")
        assert isinstance(routes, control_wire.SetMessageRoutes)
        assert isinstance(taken, TakePeer)
        self.routes, self.taken = routes.routes, taken
        self.frames = Frames(taken.state.crypto, taken.state.unread)
        self.peer = socket.socket(fileno=taken.peer_fd)
        self.peer.setblocking(True)
        self.gossip = socket.socket(fileno=taken.gossip_fd)
        self.gossip.setblocking(True)
        self.peer.sendall(taken.state.unsent)
        self.asked: Request | None = None
        self.lives = True
        """The master's heartbeats are answered."""
        self.hangs = False

    def introduce(self) -> dict[str, Any]:
        """What the test wants to know of it."""
        taken = self.taken
        return {
            "pid": os.getpid(),
            "service": taken.service,
            "node_id": taken.peer.node_id.hex(),
            "conn_id": taken.peer.conn_id,
            "message": None if taken.message is None else taken.message.hex(),
            "routes": self.routes,
            "peer_inode": os.fstat(self.peer.fileno()).st_ino,
            "gossip_inode": os.fstat(self.gossip.fileno()).st_ino,
            "fds": sorted(int(fd.name) for fd in Path("/proc/self/fd").iterdir()),
        }

    # The peer

    def say(self, message: str) -> None:
        self.peer.sendall(self.frames.encrypt(bytes.fromhex(message)))

    def hear(self) -> str:
        """The peer's next message, whatever it is; empty if it has hung up."""
        data = b""
        while True:
            for message in self.frames.feed(data):
                return message.hex()
            data = self.peer.recv(READ_SIZE)
            if not data:
                return ""

    # gossipd

    def gossip_say(self, packet: str) -> None:
        self.gossip.send(bytes.fromhex(packet))

    def gossip_hear(self) -> str:
        """The next packet; empty if gossipd has closed its end."""
        return self.gossip.recv(PACKET).hex()

    # The master

    def live(self) -> bool:
        """Answer the master's heartbeat, if that is its next word; False for any other."""
        if self.control.recv(PACKET, socket.MSG_PEEK) != HEARTBEAT:
            return False
        receive_message(self.control, "master")
        send_message(self.control, control_wire.HeartbeatReply())
        return True

    def obey(self) -> dict[str, Any]:
        """The master's next word, by its name and what can be told of its fields; it lives meanwhile."""
        while self.live():
            pass
        message = receive_message(self.control, "master")
        if message is None:
            return {"name": "eof"}
        if isinstance(message, Request):
            self.asked = message
        fields = {name: value for name, value in vars(message).items() if isinstance(value, str | int)}
        return {"name": message.name(), **fields}

    def reply(self, name: str, **fields: Any) -> None:
        """Answer the request that came last."""
        assert self.asked is not None
        reply: Reply = getattr(control_wire, name)(**fields)
        reply.request_id = self.asked.request_id
        send_message(self.control, reply)

    def answer_list_peers(self, datagram: str) -> None:
        """With this reply, when that is asked for."""
        while not isinstance(message := receive_message(self.control, "master"), control_wire.ListPeers):
            assert message is not None
        number, _, peers = msgpack.unpackb(bytes.fromhex(datagram))
        self.control.send(msgpack.packb([number, message.request_id, peers]))

    def give_back(self, *, send: tuple[str, ...] = (), gossip: str = "", crypto: str = "", unread: str = "") -> None:
        """As it should be done, or with a state that is none, or with no or a wrong gossip fd. It exits after it."""
        state = self.frames.export(b"")
        if crypto:
            state = PeerState(CryptoState(0, 0, *[bytes.fromhex(crypto)] * 4), state.unread, b"")
        if unread:
            state = PeerState(state.crypto, bytes.fromhex(unread), b"")
        info = self.taken.peer
        last_words = [bytes.fromhex(message) for message in send]
        gossip_fd = None if gossip == "none" else Fd(os.open(gossip, os.O_RDONLY) if gossip else self.gossip.detach())
        peer_fd = Fd(self.peer.detach())
        send_message(
            self.control, PeerGivenBack(info.node_id, info.conn_id, state, last_words, None, peer_fd, gossip_fd)
        )

    def disconnected(self, *, reason: str, conn_id: int | None = None) -> None:
        """Close it, say so and exit."""
        self.peer.close()
        self.gossip.close()
        info = self.taken.peer
        send_message(self.control, control_wire.PeerDisconnected(info.node_id, conn_id or info.conn_id, reason))

    def talk_rubbish(self, datagram: str) -> None:
        self.control.send(bytes.fromhex(datagram))

    def hang(self) -> None:
        """Leave fd 3 unread from now on."""
        self.hangs, self.lives = True, False

    def fork(self, *, own_group: bool = False) -> int:
        """Leave a child with every fd of ours; its pid."""
        child = os.fork()
        if child == 0:
            if own_group:
                os.setpgid(0, 0)
            signal.pause()
        if own_group:
            os.setpgid(child, child)
        return child

    def misbehave(self, kind: str) -> None:
        """One of the kinds of rogues.py; the fds stay open until the puppet ends."""
        runpy.run_path(str(Path(__file__).parent / "rogues.py"))["misbehave"](self, kind)

    def exit(self, *, status: int = 0) -> None:
        os._exit(status)


def main() -> None:
    control = socket.socket(fileno=3)
    puppet = Puppet(control)
    strings = socket.socket(socket.AF_UNIX)
    strings.connect(sys.argv[1])
    with strings, strings.makefile("rw") as lines:
        print(json.dumps(puppet.introduce()), file=lines, flush=True)
        while True:
            listens = [strings, *([control] if puppet.lives else [])]
            if strings not in select.select(listens, [], [])[0]:
                puppet.lives = puppet.live()  # what is no heartbeat waits for `obey`
                continue
            puppet.lives = not puppet.hangs
            line = lines.readline()
            if not line:
                return
            command = json.loads(line)
            try:
                answer: dict[str, Any] = {"ok": getattr(puppet, command.pop("do"))(**command)}
            except OSError as error:
                answer = {"error": str(error)}
            print(json.dumps(answer), file=lines, flush=True)
            if puppet.peer.fileno() < 0:
                return


if __name__ == "__main__":
    main()
