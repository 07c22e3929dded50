"""oniond: the process. Two control sockets, to the master and to hsmd, and no other way out of it.

What peers say comes from the master, and goes back to it opened by one layer. Of the node's key hsmd tells what BOLT 4
derives for a hop; oniond may ask for nothing else there.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from lightningd_py.oniond.path_ids import PathIds, Purpose
from lightningd_py.oniond.relay import CannotSend, ForUs, Relay
from wire.control import control_wire
from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_message import ControlMessage
from wire.control.daemon import EXIT_OK
from wire.control.status import Status, lines_lost
from wire.metrics import declared
from wire.metrics.metric import Samples
from wire.onion.keys import OnionKeys, PathKeys
from wire.onion.payloads import REPLY_PATH

OUTCOMES = (
    "forwarded",
    "for_us",
    "unknown_next",
    "loop",
    "too_many",
    "master_behind",
    "malformed",
    "hmac",
    "payload",
    "recipient_data",
)

status = Status("oniond")


class Oniond:
    """The process, on its running loop."""

    def __init__(self, master: socket.socket, hsm: socket.socket, stop: Callable[[int], None]) -> None:
        """`stop` ends it, with an exit status."""
        self._relay: Relay | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._master = ControlChannel(master, "master", self._received, lambda reason: stop(EXIT_OK))
        self._hsm = ControlChannel(hsm, "hsmd", _unasked, lambda reason: None)  # the master ends when hsmd does
        status.debug("ready")

    def _received(self, message: ControlMessage) -> None:
        match message:
            case control_wire.OniondInit():
                clock = asyncio.get_running_loop().time
                self._relay = Relay(message.node_id, PathIds(message.secret), self, clock)
                self._relay.outcomes.update(dict.fromkeys(OUTCOMES, 0))
                self._master.reply(message, control_wire.OniondInitReply())
            case control_wire.GetMetrics():
                self._master.reply(message, self._metrics())
            case _ if self._relay is not None:
                self._serve(self._relay, message)
            case _:
                raise RuntimeError(f"the master said {message.name()} before oniond_init")

    def _serve(self, relay: Relay, message: ControlMessage) -> None:
        match message:
            case control_wire.OnionHeard():
                self._begin(relay.heard(message.node_id, message.message))
            case control_wire.SetOnionPayloads(types=types):
                relay.known = frozenset(types)
            case control_wire.MakeBlindedPath():
                self._make_path(relay, message)
            case control_wire.MakeOnion():
                self._begin(self._make(relay, message))
            case _:
                raise RuntimeError(f"the master said {message.name()}")

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and not isinstance(task.exception(), ChannelClosed):
            task.result()

    def _make_path(self, relay: Relay, asked: control_wire.MakeBlindedPath) -> None:
        try:
            path = relay.path_to_us(asked.node_ids, Purpose(asked.service, asked.context))
        except CannotSend as error:
            self._master.reply(asked, control_wire.MakeBlindedPathReplyfail(str(error)))
        else:
            self._master.reply(asked, control_wire.MakeBlindedPathReply(path))

    async def _make(self, relay: Relay, asked: control_wire.MakeOnion) -> None:
        fields = dict(asked.fields)
        if asked.reply_path:
            fields[REPLY_PATH] = asked.reply_path
        try:
            first, message = await relay.send(asked.node_ids, asked.path, fields)
        except CannotSend as error:
            self._master.reply(asked, control_wire.MakeOnionReplyfail(str(error)))
        else:
            self._master.reply(asked, control_wire.MakeOnionReply(first, message))

    def _metrics(self) -> control_wire.GetMetricsReply:
        samples = Samples()
        if self._relay is not None:
            samples.put(declared.ONIONS_IN_HAND, self._relay.in_hand)
            samples.put_each(declared.ONION_MESSAGES, self._relay.outcomes)
        samples.put(declared.LOG_LOST, lines_lost())
        return samples.reply()

    # what the relay needs

    async def keys(self, path_key: bytes, public_key: bytes) -> tuple[PathKeys, OnionKeys]:
        """See `relay.Around`, and so for the others."""
        asked = control_wire.OnionHopKeys(path_key, public_key)
        told = await self._hsm.request(asked, control_wire.OnionHopKeysReply)
        return PathKeys(told.path_rho, told.path_factor), OnionKeys(told.rho, told.mu, told.factor)

    async def channel(self, short_channel_id: int) -> Sequence[bytes]:
        """The master knows, or gossipd."""
        asked = control_wire.FindNextHop(short_channel_id)
        return (await self._master.request(asked, control_wire.FindNextHopReply)).node_ids

    def say(self, node_id: bytes, message: bytes, source: bytes) -> None:
        """The master has the owner of its connection say it, if there is one."""
        self._tell(control_wire.OnionToSay(node_id, message, source))

    def for_us(self, message: ForUs) -> None:
        """The master tells services."""
        purpose = message.purpose
        self._tell(
            control_wire.OnionForUs(
                list(message.fields.items()),
                message.reply_path,
                message.path_key,
                None if purpose is None else purpose.service,
                b"" if purpose is None else purpose.context,
            )
        )

    def _tell(self, message: ControlMessage) -> None:
        """Nothing waits for a master that does not keep up."""
        if self._master.behind:
            assert self._relay is not None
            self._relay.outcomes["master_behind"] += 1
        elif not self._master.closed:
            self._master.send(message)

    def close(self) -> None:
        """Let go of everything."""
        for task in self._tasks:
            task.cancel()
        self._master.close()
        self._hsm.close()


def _unasked(message: ControlMessage) -> None:
    raise RuntimeError(f"hsmd said {message.name()}")
