#!/usr/bin/env python3
"""A channel service on the buses, complete: it is asked about every channel, and refuses the small ones and the large.

python3 channel_service.py ~/.lightning-py/regtest        (needs pyzmq and msgpack, and nothing of ours)
"""

import sys

import msgpack
import zmq

NAME, OPEN_CHANNEL, ERROR, SMALLEST_SAT = "refuser", 32, 17, 1_000_000
said = {}  # conn_id -> messages so far


class Bus:
    def __init__(self, endpoint: str, address: bytes) -> None:
        self.address, self.socket = address, zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(endpoint)
        self.hello = {}

    def say(self, kind: str, **fields: object) -> None:
        self.socket.send_multipart([self.address, msgpack.packb({"v": 1, "type": kind, **fields})])

    def hear(self, patience_ms: int = 15_000) -> dict:  # each bus says every 5 s that it lives
        if not self.socket.poll(patience_ms):
            sys.exit(f"no node answers at {self.socket.last_endpoint.decode()}")
        message = msgpack.unpackb(self.socket.recv_multipart()[1])
        if message["type"] == "restart" or message.get("again"):
            return self.go_on()
        if message["type"] in ("error", "goodbye"):
            sys.exit(message.get("error") or message.get("reason"))
        return message

    def go_on(self) -> dict:
        for _ in range(120):  # a process of the node takes the place of another one: all that we have stays ours
            self.say("hello", **self.hello, resumes=True)
            if self.socket.poll(250) and (message := self.hear())["type"] == "welcome":
                return message
        sys.exit(f"no node answers at {self.socket.last_endpoint.decode()}")

    def begin(self, **hello: object) -> dict:
        self.hello = hello
        return self.ask("hello", **hello)

    def ask(self, kind: str, **fields: object) -> dict:
        self.say(kind, **fields)
        while (answer := self.hear(5_000))["type"] == "heartbeat":
            pass
        return answer


def refuse(conn_id: int, open_channel: bytes) -> None:
    channel_id, funding_sat = open_channel[34:66], int.from_bytes(open_channel[66:74], "big")
    reason = b"too small for us" if funding_sat < SMALLEST_SAT else b"we have channels enough"
    error = ERROR.to_bytes(2, "big") + channel_id + len(reason).to_bytes(2, "big") + reason
    said[conn_id] += 1
    msg.say("message", conn_id=conn_id, seq=said[conn_id], message=error)


if len(sys.argv) != 2:
    sys.exit("usage: channel_service.py DIRECTORY, the node's")
ctl = Bus(f"ipc://{sys.argv[1]}/ctl", b"lightningd")
welcome = ctl.begin(service=NAME)
msg = Bus(welcome["msg"], b"connectiond")
msg.begin(service=NAME, ticket=welcome["ticket"])
ctl.ask("register", take=[OPEN_CHANNEL])
while readable := zmq.select([ctl.socket, msg.socket], [], [], 15)[0]:
    for bus in [bus for bus in (ctl, msg) if bus.socket in readable]:
        message = bus.hear()
        if message["type"] == "take_peer":
            said[message["conn_id"]] = 0
        elif message["type"] == "message":
            if message["message_type"] == OPEN_CHANNEL:
                refuse(message["conn_id"], message["message"])
            msg.say("give_back", conn_id=message["conn_id"], heard=message["seq"])
sys.exit("the node is gone")
