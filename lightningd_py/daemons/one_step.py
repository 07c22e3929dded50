"""`restart` of those that have no link to another daemon: one step each. `moving.py` calls them."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from lightningd_py.daemons.connectiond_control import ConnectiondControl
from lightningd_py.daemons.hsm_control import PassphraseInput, init_next_hsmd
from lightningd_py.daemons.listing_control import ListingControl
from lightningd_py.daemons.setup import Replacements
from lightningd_py.errors import StartError
from lightningd_py.log import NodeLog
from lightningd_py.onions.onion_control import OnionControl
from lightningd_py.owners.ownership import tell
from wire.control.control_channel import ChannelClosed, ControlChannel, RequestFailed
from wire.control.control_message import Fd
from wire.control.control_wire import GetMetrics, GetMetricsReply, MoveAll, MoveAllReply, TakePlace
from wire.start.late_dataclass import dataclass


class MoveRefused(Exception):
    """Nothing was restarted, or not as it should be; one sentence."""


@dataclass(frozen=True, slots=True)
class Others:
    """What is wanted besides `Replacements`."""

    passphrase: PassphraseInput
    listingd: ListingControl
    onions: OnionControl
    connectiond: ConnectiondControl
    log: NodeLog
    ready: Callable[[], bool]
    """The node has started, and does not end."""


class OneStep:
    """Each returns how many connections have moved, and how many are lost. Raises MoveRefused."""

    def __init__(self, replacements: Replacements, others: Others) -> None:
        self._setup = replacements.setup
        self._supervisor = replacements.setup.supervisor
        self._others = others

    def runs(self, name: str) -> bool:
        """Whether this process is there; most always are."""
        others = self._others
        there = {
            "connectiond": others.connectiond.channel,
            "oniond": others.onions.channel,
            "websocketd": self._supervisor.websocketd,
        }
        return there.get(name, self._supervisor) is not None

    async def hsmd(self) -> tuple[int, int]:
        """What it knows is in hsm_secret."""
        setup, supervisor, old = self._setup, self._supervisor, self._supervisor.hsmd
        try:
            new = supervisor.another_hsmd()
        except OSError as error:
            raise MoveRefused(f"hsmd cannot be started: {error.strerror or error}") from error

        async def has_our_key() -> None:
            if await init_next_hsmd(new, setup.options, self._others.passphrase) != setup.own.node_id:
                raise StartError("what is in hsm_secret now is not this node's")

        await self._move("hsmd", old, new, has_our_key())
        supervisor.replace_hsmd(new)
        old.go_on(new)
        supervisor.decide(new, old)
        supervisor.watch(new)
        return 0, 0

    async def connectiond(self) -> tuple[int, int]:
        """Services of the buses say hello once more; the connections of one that does not are lost."""
        control = self._others.connectiond
        old = control.channel
        if old is None:
            raise MoveRefused("connectiond does not run")
        try:
            new, ready = control.another()
        except OSError as error:
            raise MoveRefused(f"connectiond cannot be started: {error.strerror or error}") from error
        moved = await self._move("connectiond", old, new, ready, lambda: control.tell_all(new))
        control.replace(new)
        old.go_on(new)
        self._supervisor.retire(new, old)
        return moved.owned, moved.lost

    async def websocketd(self) -> tuple[int, int]:
        """connectd notices nothing: its link moves, too."""
        old = self._supervisor.websocketd
        if old is None:
            raise MoveRefused("websocketd does not run")
        try:
            new = self._supervisor.another_websocketd()
        except OSError as error:
            raise MoveRefused(f"websocketd cannot be started: {error.strerror or error}") from error
        moved = await self._move("websocketd", old, new, new.request(GetMetrics(), GetMetricsReply))
        self._supervisor.replace_websocketd(new)
        old.go_on(new)
        self._supervisor.retire(new, old)
        return moved.owned, 0

    async def _move(
        self,
        name: str,
        old: ControlChannel,
        new: ControlChannel,
        ready: Awaitable[object],
        tell_new: Callable[[], None] = lambda: None,
    ) -> MoveAllReply:
        """What is said to the old one meanwhile is held back; `tell_new` tells the new
        one all that was said before. Raises MoveRefused.
        """
        self._supervisor.try_out(old, new)
        try:
            await ready
            old_end, new_end = pair()
            tell(new, TakePlace(new_end))
            moving = asyncio.ensure_future(old.request(MoveAll(old_end), MoveAllReply))
            await asyncio.sleep(0)  # it is said
            old.hold_back()
            tell_new()
            return await moving
        except (StartError, RequestFailed, ChannelClosed, OSError) as error:
            if not old.closed:
                old.go_on(old)
            self._supervisor.decide(old, new)
            raise MoveRefused(f"{name} goes on as it was: {error}") from error

    async def listingd(self) -> tuple[int, int]:
        """Listings that have begun are written by the old one."""
        try:
            await self._others.listingd.replace()
        except (OSError, ChannelClosed) as error:
            raise MoveRefused(f"listingd goes on as it was: {error}") from error
        return 0, 0

    async def oniond(self) -> tuple[int, int]:
        """A process without state: what it is just looking at is lost."""
        if self._others.onions.channel is None:
            raise MoveRefused("oniond does not run")
        try:
            await self._others.onions.replace()
        except (OSError, ChannelClosed) as error:
            raise MoveRefused(f"oniond goes on as it was: {error}") from error
        return 0, 0

    async def log(self) -> tuple[int, int]:
        try:
            await self._others.log.replace()
        except OSError as error:
            raise MoveRefused(f"the log writer cannot be started, and is tried again: {error.strerror}") from error
        return 0, 0


def pair() -> tuple[Fd, Fd]:
    """The two ends of a control socket. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Fd(ours.detach()), Fd(theirs.detach())
