"""The master's half of oniond: started when onion messages are wanted, told what peers say, and heard.

The master looks at none of these messages. What finds no room on its way is dropped, and counted.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from lightningd_py.onions.onion_services import OnionServices
from lightningd_py.owners.ownership import Ownership
from lightningd_py.owners.peers import Peer
from lightningd_py.owners.teller import Teller
from lightningd_py.registrations.changed import Changed
from wire.control import control_wire
from wire.control.control_channel import ChannelClosed, ControlChannel, RequestFailed
from wire.control.control_message import ControlMessage, Reply, Request
from wire.control.status import Status
from wire.features import Features, feature_bit
from wire.net.onion_rates import ONION_MESSAGE

ALL, CHANNELS, NONE = "all", "channels", "none"
"""The values of --onion-messages."""
MOST_TO_SAY = 512
"""Messages that owners have not taken yet."""
MOST_TO_ONE = 16
"""Of these, to one peer. Half of both is for sources of which none waits."""
REASONS = ("no_channel", "away", "oniond_behind", "not_connected", "next_no_channel", "slow", "no_service")
OFFERED = feature_bit("option_onion_messages") + 1
NO_ONIONS = "there are no onion messages: --onion-messages=none"
SECRET_OF_PATHS = b"lightningd-py onion message paths"

R = TypeVar("R", bound=Reply)
K = TypeVar("K")
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
        teller: Teller,
        node_id: bytes,
        services: OnionServices,
        refusal: Callable[[str], str],
    ) -> None:
        """`mode`: of --onion-messages. `refusal` says why the process is not there."""
        self._mode = mode
        self._processes = processes
        self._ownership, self._teller = ownership, teller
        self._registrations = ownership.registrations
        self._node_id = node_id
        self.services = services
        self._refusal = refusal
        self.secret = b""
        """Under which its own paths are known again."""
        self._channel: ControlChannel | None = None
        self._told: list[int] = []
        self._to_say: Counter[int] = Counter()
        self._sources: Counter[bytes] = Counter()
        """The same messages, by who has said them."""
        self._finding: set[asyncio.Task[None]] = set()
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
            introduced = self._start() if self._wanted() else None
            if introduced is not None:
                await introduced  # what is offered from the start on is there

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
            self._tell_payloads(self._channel)
        elif self.secret and self.services.wants(changed.service):
            self._start()

    @property
    def channel(self) -> ControlChannel | None:
        """To the one that is there, or was; None if it is not wanted."""
        return self._channel

    def _start(self) -> "asyncio.Future[control_wire.OniondInitReply] | None":
        """Done when it is there; None if it cannot be started."""
        try:
            channel = self._processes.start_oniond(self.received)
        except OSError as error:
            status.unusual(f"oniond cannot be started: {error}")
            return None
        introduced = self._introduce(channel)
        self._go_on(channel)
        return introduced

    def _introduce(self, channel: ControlChannel) -> "asyncio.Future[control_wire.OniondInitReply]":
        """What is said from now on is behind its init."""
        init = control_wire.OniondInit(self._node_id, self.secret)
        introduced = asyncio.ensure_future(channel.ask(init, control_wire.OniondInitReply))
        introduced.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        return introduced

    def _go_on(self, channel: ControlChannel) -> None:
        """With this one."""
        registrations = self._registrations
        self._channel, self._told = channel, []
        if OFFERED & ~1 not in registrations.fixed_features:
            registrations.base_features |= Features.of([OFFERED])
        registrations.own_copies |= {ONION_MESSAGE}
        self._ownership.hears[ONION_MESSAGE] = self._heard
        self.on_offer()
        self._tell_payloads(channel)

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

    def _tell_payloads(self, channel: ControlChannel) -> None:
        payloads = self.services.payloads()
        if payloads != self._told and not channel.closed:
            self._told = payloads
            channel.send(control_wire.SetOnionPayloads(payloads))

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
            case control_wire.OnionToSay():
                self._pass_on(message)
            case control_wire.OnionForUs():
                if not self.services.tell(message):
                    self.not_passed["no_service"] += 1
            case control_wire.FindNextHop():
                task = asyncio.get_running_loop().create_task(self._find(message, self._channel))
                self._finding.add(task)
                task.add_done_callback(self._found)
            case _:
                raise RuntimeError(f"oniond said {message.name()}")

    def _pass_on(self, message: control_wire.OnionToSay) -> None:
        peer = self._ownership.peers.of_node(message.node_id)
        if peer is None or peer.end_wanted is not None:
            self.not_passed["not_connected"] += 1
        elif not self._may(peer):
            self.not_passed["next_no_channel"] += 1
        elif not self._has_room(peer.info.conn_id, message.source):
            self.not_passed["slow"] += 1
        else:
            self._say(peer, message)

    def _has_room(self, conn_id: int, source: bytes) -> bool:
        """Whether one more may wait for this connection's owner."""
        waiting = max(self._to_say.total() / MOST_TO_SAY, self._to_say[conn_id] / MOST_TO_ONE)
        return waiting < (0.5 if self._sources[source] else 1)

    def _say(self, peer: Peer, message: control_wire.OnionToSay) -> None:
        def count(by: int) -> None:
            _count(self._to_say, peer.info.conn_id, by)
            _count(self._sources, message.source, by)

        def ended(told: bool) -> None:
            count(-1)
            if not told:
                self.not_passed["not_connected" if peer.is_gone else "slow"] += 1

        count(1)
        self._teller.say(peer, message.message, ended)

    def _found(self, task: "asyncio.Task[None]") -> None:
        self._finding.discard(task)
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
        return (await self._ask(asked, control_wire.MakeBlindedPathReply)).path

    async def send(
        self, node_ids: Sequence[bytes], path: bytes, fields: Mapping[int, bytes], reply_path: bytes
    ) -> None:
        """Returns when the owner of the first node's connection has the message. Raises CannotSend."""
        asked = control_wire.MakeOnion(list(node_ids), path, list(fields.items()), reply_path)
        made = await self._ask(asked, control_wire.MakeOnionReply)
        if made.node_id is None:
            return
        who = f"the first node, {made.node_id.hex()},"
        peer = self._ownership.peers.of_node(made.node_id)
        if peer is None:
            raise CannotSend(f"{who} is not connected")
        try:
            await self._teller.tell(peer, made.message)
        except RequestFailed as refused:
            raise CannotSend(str(refused)) from refused
        except ChannelClosed:
            raise CannotSend(f"{who} is not connected any more") from None
        except TimeoutError:
            raise CannotSend(f"{who} or {peer.owner}, which has its connection, takes nothing") from None

    async def _ask(self, asked: Request, reply_type: type[R]) -> R:
        """What oniond makes. Raises CannotSend."""
        try:
            return await self._there().request(asked, reply_type)
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
        """What oniond has asked gets no answer."""
        for task in self._finding:
            task.cancel()


def _count(counter: Counter[K], key: K, by: int) -> None:
    counter[key] += by
    if not counter[key]:
        del counter[key]
