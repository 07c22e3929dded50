"""The master's half of oniond: started when onion messages are wanted, told what peers say, and heard.

The master looks at none of these messages. What finds no room on its way is dropped, and counted.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from lightningd_py.onions.onion_services import OnionServices
from lightningd_py.owners.ownership import Ownership
from lightningd_py.owners.peers import Peer
from lightningd_py.registrations.changed import Changed
from wire.control import control_wire
from wire.control.control_channel import ChannelClosed, ControlChannel, RequestFailed
from wire.control.control_message import ControlMessage
from wire.control.status import Status
from wire.features import Features, feature_bit
from wire.net.onion_rates import ONION_MESSAGE

ALL, CHANNELS, NONE = "all", "channels", "none"
"""The values of --onion-messages."""
MOST_TO_SAY = 512
"""Messages that owners have not taken yet."""
MOST_TO_ONE = 16
"""Of these, to one peer."""
REASONS = ("no_channel", "away", "oniond_behind", "not_connected", "next_no_channel", "slow", "no_service")
OFFERED = feature_bit("option_onion_messages") + 1
NO_ONIONS = "there are no onion messages: --onion-messages=none"
SECRET_OF_PATHS = b"lightningd-py onion message paths"

status = Status("lightningd")


class Processes(Protocol):
    """The supervisor's part in it."""

    def start_oniond(self, on_message: Callable[[ControlMessage], None]) -> ControlChannel:
        """Raises OSError if it cannot be started."""

    def try_out(self, *channels: ControlChannel) -> None:
        """One of these may take the place of the other."""

    def decide(self, stays: ControlChannel, goes: ControlChannel) -> None:
        """The other one ends."""


class CannotSend(Exception):
    """An onion message, or a path, that cannot be had. One sentence."""


class OnionControl:
    """oniond, as the master sees it."""

    def __init__(
        self,
        mode: str,
        processes: Processes,
        ownership: Ownership,
        node_id: bytes,
        services: OnionServices,
        refusal: Callable[[str], str],
    ) -> None:
        """`mode`: of --onion-messages. `refusal` says why the process is not there."""
        self._mode = mode
        self._processes = processes
        self._ownership = ownership
        self._registrations = ownership.registrations
        self._node_id = node_id
        self.services = services
        self._refusal = refusal
        self.secret = b""
        """Under which its own paths are known again."""
        self._channel: ControlChannel | None = None
        self._told: list[int] = []
        self._to_say: Counter[int] = Counter()
        self._saying: set[asyncio.Task[None]] = set()
        self.on_offer: Callable[[], None] = lambda: None
        """Called when the node's features, and what it wants copies of, have changed."""
        self.not_passed: Counter[str] = Counter(dict.fromkeys(REASONS, 0))

    @property
    def enabled(self) -> bool:
        """Whether there may be onion messages."""
        return self._mode != NONE

    # the process

    async def begin(self, derive: Callable[[bytes], Awaitable[bytes | None]]) -> None:
        """Start it, if it is wanted already. `derive`: a secret of the node's, if it has one. Raises ChannelClosed if
        hsmd, or oniond, has died.
        """
        if self.enabled:
            self.secret = await derive(SECRET_OF_PATHS) or os.urandom(32)
            asked = self._start() if self._wanted() else None
            if asked is not None:
                await asked  # what is offered from the start on is there

    def resume(self, channel: ControlChannel | None, secret: bytes) -> None:
        """Go on with the oniond of the program before us, if there is one, and with its secret."""
        if not self.enabled:
            return
        self.secret = secret or os.urandom(32)
        if channel is not None:
            self._go_on(channel)
        elif self._wanted():
            self._start()

    def _wanted(self) -> bool:
        return self._mode == ALL or any(map(self.services.wants, self._registrations))

    def registrations_changed(self, changed: Changed) -> None:
        """A service may want messages now, or others."""
        if self._channel is not None:
            self._tell_payloads()
        elif self.secret and self.services.wants(changed.service):
            self._start()

    @property
    def channel(self) -> ControlChannel | None:
        """To the one that is there, or was; None if it is not wanted."""
        return self._channel

    def _start(self) -> "asyncio.Future[control_wire.OniondInitReply] | None":
        """Done when it is there; None if it cannot be."""
        try:
            channel = self._processes.start_oniond(self.received)
        except OSError as error:
            status.unusual(f"oniond cannot be started: {error}")
            return None
        asked = self._introduce(channel)
        self._go_on(channel)
        return asked

    def _introduce(self, channel: ControlChannel) -> "asyncio.Future[control_wire.OniondInitReply]":
        init = control_wire.OniondInit(self._node_id, self.secret)
        asked = asyncio.ensure_future(channel.request(init, control_wire.OniondInitReply))
        asked.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        return asked

    def _go_on(self, channel: ControlChannel) -> None:
        """With this one. What we say now comes after its init."""
        registrations = self._registrations
        self._channel, self._told = channel, []
        if OFFERED & ~1 not in registrations.fixed_features:
            registrations.base_features |= Features.of([OFFERED])
        registrations.heard |= {ONION_MESSAGE}
        self._ownership.hears[ONION_MESSAGE] = self._heard
        self.on_offer()
        asyncio.get_running_loop().call_soon(self._tell_payloads)

    async def restart(self) -> None:
        """After its death. Raises OSError."""
        channel = self._processes.start_oniond(self.received)
        self._introduce(channel)
        self._go_on(channel)

    async def replace(self) -> None:
        """Another process; what the old one has in hand is lost. Raises OSError, or ChannelClosed if the new one has
        died.
        """
        old = self._channel
        assert old is not None
        new = self._processes.start_oniond(self.received)
        self._processes.try_out(old, new)
        try:
            await self._introduce(new)
        except ChannelClosed:
            self._processes.decide(old, new)
            raise
        self._go_on(new)
        self._processes.decide(new, old)

    def _tell_payloads(self) -> None:
        payloads = self.services.payloads()
        if self._channel is not None and not self._channel.closed and payloads != self._told:
            self._told = payloads
            self._channel.send(control_wire.SetOnionPayloads(payloads))

    # messages of peers

    def _heard(self, peer: Peer, message: bytes) -> None:
        channel = self._channel
        if not self._may(peer):
            self.not_passed["no_channel"] += 1
        elif channel is None or channel.closed:
            self.not_passed["away"] += 1
        elif channel.behind:
            self.not_passed["oniond_behind"] += 1
        else:
            channel.send(control_wire.OnionHeard(peer.info.node_id, message))

    def _may(self, peer: Peer) -> bool:
        """Whether onion messages are relayed from and to this peer: a service has something registered for it, or its
        connection is at a program."""
        info = peer.info
        if self._mode == ALL or self._registrations.is_registered(info.node_id):
            return True
        return self._ownership.programs.channel_of(info.conn_id) is not None

    def received(self, message: ControlMessage) -> None:
        """A message of oniond's that is no reply."""
        match message:
            case control_wire.OnionToSay(node_id=node_id, message=raw):
                self._pass_on(node_id, raw)
            case control_wire.OnionForUs():
                if not self.services.tell(message):
                    self.not_passed["no_service"] += 1
            case control_wire.FindNextHop():
                self._spawn(self._find(message, self._channel))
            case _:
                raise RuntimeError(f"oniond said {message.name()}")

    def _pass_on(self, node_id: bytes, message: bytes) -> None:
        peer = self._ownership.peers.of_node(node_id)
        if peer is None or peer.end_wanted is not None:
            self.not_passed["not_connected"] += 1
        elif not self._may(peer):
            self.not_passed["next_no_channel"] += 1
        elif self._to_say.total() >= MOST_TO_SAY or self._to_say[peer.info.conn_id] >= MOST_TO_ONE:
            self.not_passed["slow"] += 1
        else:
            self._to_say[peer.info.conn_id] += 1
            self._spawn(self._say(peer, message))

    async def _say(self, peer: Peer, message: bytes) -> None:
        conn_id = peer.info.conn_id
        try:
            await self._ask_owner(peer, message)
        except RequestFailed:
            self.not_passed["slow"] += 1
        except ChannelClosed:
            self.not_passed["not_connected"] += 1
        finally:
            self._to_say[conn_id] -= 1
            if not self._to_say[conn_id]:
                del self._to_say[conn_id]

    async def _ask_owner(self, peer: Peer, message: bytes) -> None:
        request = control_wire.SendMessage(peer.info.node_id, peer.info.conn_id, message)
        await self._ownership.channel_of(peer).request(request, control_wire.SendMessageReply)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._saying.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._saying.discard(task)
        if not task.cancelled():
            task.result()

    async def _find(self, asked: control_wire.FindNextHop, channel: ControlChannel | None) -> None:
        """A service's channel may be an alias, and on no map."""
        local = self._registrations.local_channel(asked.short_channel_id)
        ends = [] if local is None else sorted([self._node_id, local.node_id])
        if local is None:
            request = control_wire.FindChannel(asked.short_channel_id)
            with contextlib.suppress(ChannelClosed):  # gossipd has died: the message is dropped
                ends = (await self._ownership.gossipd.request(request, control_wire.FindChannelReply)).node_ids
        if channel is not None:
            channel.reply(asked, control_wire.FindNextHopReply(ends))

    # of services

    async def path_to_us(self, node_ids: Sequence[bytes], service: str, context: bytes) -> bytes:
        """A blinded_path by way of these nodes, for this service's purpose. Raises CannotSend."""
        asked = control_wire.MakeBlindedPath(list(node_ids), service, context)
        try:
            return (await self._there().request(asked, control_wire.MakeBlindedPathReply)).path
        except RequestFailed as refused:
            raise CannotSend(str(refused)) from refused
        except ChannelClosed:
            raise CannotSend(self._refusal("oniond")) from None

    async def send(
        self, node_ids: Sequence[bytes], path: bytes, fields: Mapping[int, bytes], reply_path: bytes
    ) -> None:
        """Returns when the owner of the first node's connection has the message. Raises CannotSend."""
        asked = control_wire.MakeOnion(list(node_ids), path, list(fields.items()), reply_path)
        try:
            made = await self._there().request(asked, control_wire.MakeOnionReply)
            if made.node_id is None:
                return
            peer = self._ownership.peers.of_node(made.node_id)
            if peer is None:
                raise CannotSend(f"the first node, {made.node_id.hex()}, is not connected")
            await self._ask_owner(peer, made.message)
        except RequestFailed as refused:
            raise CannotSend(str(refused)) from refused
        except ChannelClosed:
            raise CannotSend(self._refusal("oniond")) from None

    def _there(self) -> ControlChannel:
        """Raises CannotSend."""
        if not self.enabled:
            raise CannotSend(NO_ONIONS)
        if self._channel is None:
            self._start()
        if self._channel is None or self._channel.closed:
            raise CannotSend(self._refusal("oniond"))
        return self._channel

    def close(self) -> None:
        """What is to be said is dropped."""
        for task in self._saying:
            task.cancel()
