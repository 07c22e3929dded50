"""A service on the buses as somebody else would write it: pyzmq and msgpack, nothing of ours.

    async with BusService("channels", node.directory) as service:
        await service.join()                                # hello on CTL and on MSG
        await service.ask("register", take=[32])            # answered by `ok`, or BusRefused
        peer = await service.taken()
        opening = await service.hear_peer(peer["conn_id"])  # the next message of that connection
        await service.say(peer["conn_id"], accept)          # seq is counted here

Everything that has come is kept until it is asked for; heartbeats are dropped. A `restart` of connectiond is answered,
if something is being waited for there, and what is said meanwhile waits.
"""

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgpack
import zmq
import zmq.asyncio

PATIENCE = 60.0
VERSION = 1
CREDIT = 256
AGAIN = 0.25
"""Seconds between two hellos after a restart."""

Curve = tuple[bytes, bytes, bytes] | None
"""Our public key, our secret key, and the node's public key, for tcp."""


class BusRefused(Exception):
    """An `error`; the text is its sentence."""


class Bus:
    """One DEALER and what it has heard."""

    def __init__(self, context: zmq.asyncio.Context, endpoint: str, address: bytes, curve: Curve = None) -> None:
        self.address = address
        self.heard: list[dict[str, Any]] = []
        self.forwarded: list[tuple[bytes, bytes]] = []
        """What came from others than the node: (from, body)."""
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        if curve is not None:
            self.socket.curve_publickey, self.socket.curve_secretkey, self.socket.curve_serverkey = curve
        self.socket.connect(endpoint)
        self.hello: dict[str, Any] | None = None
        """What was said first, if it is to be said again at a restart."""
        self.restarts = 0
        self._here = asyncio.Event()
        self._here.set()
        self._again: asyncio.Task[None] | None = None

    @property
    def is_here(self) -> bool:
        """Not between `restart` and `welcome`."""
        return self._here.is_set()

    async def say(self, kind: str, **fields: Any) -> None:
        """A message of ours."""
        await self.say_raw(_body(kind, **fields))

    async def say_raw(self, body: bytes) -> None:
        """Any bytes."""
        await self._here.wait()
        await self._send(body)

    async def _send(self, body: bytes) -> None:
        await self.socket.send_multipart([self.address, body])

    async def _say_hello_again(self, hello: dict[str, Any]) -> None:
        while not self._here.is_set():
            await self._send(_body("hello", **hello, resumes=True))
            await asyncio.sleep(AGAIN)

    def close(self) -> None:
        """Say no more."""
        if self._again is not None:
            self._again.cancel()
        self.socket.close(linger=0)

    async def receive(self) -> None:
        """One message more into `heard`, or into `forwarded`."""
        sender, body = await self.socket.recv_multipart()
        if sender != self.address:
            self.forwarded.append((sender, body))
            return
        message = msgpack.unpackb(body)
        assert message["v"] == VERSION
        if message["type"] == "restart" and self.hello is not None:
            self.restarts += 1
            self._here.clear()
            self._again = asyncio.create_task(self._say_hello_again(self.hello))
        elif message["type"] == "welcome" and not self._here.is_set():
            self._here.set()
        elif message["type"] != "heartbeat":
            self.heard.append(message)

    async def hear(self, *kinds: str, **fields: Any) -> dict[str, Any]:
        """The next message of one of these types with these fields; all others are kept. Raises TimeoutError."""
        seen = 0
        async with asyncio.timeout(PATIENCE):
            while True:
                while seen == len(self.heard):
                    await self.receive()
                message = self.heard[seen]
                if (not kinds or message["type"] in kinds) and fields.items() <= message.items():
                    return self.heard.pop(seen)
                seen += 1

    async def hear_restart(self) -> None:
        """Wait for `restart`, and do not answer it."""
        self.hello = None
        await self.hear("restart")

    async def hear_forwarded(self) -> tuple[bytes, bytes]:
        """The next message from another than the node."""
        async with asyncio.timeout(PATIENCE):
            while not self.forwarded:
                await self.receive()
        return self.forwarded.pop(0)


def _body(kind: str, **fields: Any) -> bytes:
    return bytes(msgpack.packb({"v": VERSION, "type": kind, **fields}))


class BusService:
    """A service with its sessions on CTL and MSG."""

    def __init__(
        self,
        name: str,
        where: Path | str,
        *,
        credit: int = CREDIT,
        context: zmq.asyncio.Context | None = None,
        curve: Curve = None,
    ) -> None:
        """`where`: the directory of the buses, or the endpoint of CTL. A `context` stays the caller's."""
        self.name = name
        self.credit = credit
        self.ticket = b""
        self.welcome: dict[str, Any] = {}
        self.context = context or zmq.asyncio.Context()
        self._shared = context is not None
        endpoint = where if isinstance(where, str) else f"ipc://{where}/ctl"
        self._curve = curve
        self.ctl = Bus(self.context, endpoint, b"lightningd", curve)
        self._msg: Bus | None = None
        self._asked = 0
        self._said: dict[int, int] = {}
        self._heard: dict[int, int] = {}

    @property
    def msg(self) -> Bus:
        """The MSG bus, after `join`."""
        assert self._msg is not None
        return self._msg

    async def hello(self) -> dict[str, Any]:
        """Begin the session on CTL: its `welcome`. Raises BusRefused."""
        self.welcome = await self.ask("hello", service=self.name)
        self.ticket = self.welcome["ticket"]
        return self.welcome

    async def join(self) -> dict[str, Any]:
        """Begin the sessions on both buses."""
        await self.hello()
        self._msg = Bus(self.context, self.welcome["msg"], b"connectiond", self._curve)
        await self._msg.say("hello", service=self.name, ticket=self.ticket, credit=self.credit)
        answer = await self._msg.hear("welcome", "error")
        if answer["type"] == "error":
            raise BusRefused(answer["error"])
        self._msg.hello = {"service": self.name, "ticket": self.ticket, "credit": self.credit}
        return self.welcome

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """A message on CTL and its answer. Raises BusRefused."""
        self._asked += 1
        await self.ctl.say(kind, id=self._asked, **fields)
        answer = await self.ctl.hear(id=self._asked)
        if answer["type"] == "error":
            raise BusRefused(answer["error"])
        return answer

    async def taken(self, **fields: Any) -> dict[str, Any]:
        """The next `take_peer` with these fields: the counting of its connection begins again."""
        taken = await self.msg.hear("take_peer", **fields)
        self._said.pop(taken["conn_id"], None)
        self._heard.pop(taken["conn_id"], None)
        return taken

    async def say(self, conn_id: int, *messages: bytes) -> None:
        """BOLT messages for the peer of a connection."""
        for message in messages:
            self._said[conn_id] = self._said.get(conn_id, 0) + 1
            await self.msg.say("message", conn_id=conn_id, seq=self._said[conn_id], message=message)

    async def hear_peer(self, conn_id: int) -> bytes:
        """The next message of the peer; credit is renewed, and the order is checked."""
        message = await self.msg.hear("message", conn_id=conn_id)
        self._heard[conn_id] = self._heard.get(conn_id, 0) + 1
        assert message["seq"] == self._heard[conn_id], "a message is lost"
        if not message["seq"] % (self.credit // 2 or 1):
            await self.msg.say("credit", conn_id=conn_id, messages=self.credit // 2 or 1)
        return bytes(message["message"])

    def close(self) -> None:
        """Leave without a word, as a process does that is killed."""
        for bus in (self.ctl, self._msg):
            if bus is not None:
                bus.close()
        if not self._shared:
            self.context.destroy(linger=0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
