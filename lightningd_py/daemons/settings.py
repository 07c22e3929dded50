"""`setconfig`: an option is changed while the node runs, in its config files, and wherever it counts."""

import asyncio
from collections.abc import Callable, Sequence

from lightningd_py.config.options import Options
from lightningd_py.config.setconfig import Keeper, transient
from lightningd_py.daemons.connectiond_control import ConnectiondControl
from lightningd_py.daemons.supervisor import Supervisor
from lightningd_py.log import NodeLog
from lightningd_py.owners.ownership import Ownership, tell
from lightningd_py.peers.own_node import OwnNode
from wire.control.control_wire import AnnounceableChanged, IdentityChanged, SetLimits
from wire.control.status import Status, change_levels

status = Status("lightningd")


class Settings:
    """The options of one node, and who has to hear of a change."""

    def __init__(
        self,
        options: Options,
        own: OwnNode,
        ownership: Ownership,
        supervisor: Supervisor,
        connectiond: ConnectiondControl,
        log: NodeLog,
    ) -> None:
        self._options = options
        self._own = own
        self._ownership = ownership
        self._supervisor = supervisor
        self._connectiond = connectiond
        self._log_files = log
        self._turn = asyncio.Lock()
        self._effects: dict[str, Callable[[], None]] = {
            "log-level": self._log,
            "alias": self._identity,
            "rgb": self._identity,
            "announce-addr": self._addresses,
            "announce-addr-discovered": self._addresses,
        }
        """What is done about an option; all others are limits."""

    async def change(self, name: str, texts: Sequence[str], *, keep: bool) -> None:
        """Have these values of a dynamic option from now on, and after a restart, too, if they are to be kept.

        Raises UsageError for a value that is none, NotKept if no file can be changed: then nothing has changed.
        """
        async with self._turn:  # each writes files
            self._options.changed(name, transient(name, texts))
            settings = transient(name, texts)
            if keep:
                settings = await asyncio.to_thread(Keeper(self._options).keep, name, texts)
            before = self._options.announce_addr
            self._options.adopt(name, self._options.changed(name, settings))
            self._own.announce(before)
            self._effects.get(name, self._limits)()
            await self._log_files.change(self._options.log_style)
        status.info(f"setconfig: {name} is {', '.join(texts) or 'as if not said'}")

    def _log(self) -> None:
        change_levels(",".join(self._options.log_level))
        self._supervisor.change_log()

    def _identity(self) -> None:
        tell(self._ownership.gossipd, IdentityChanged(self._own.alias, self._own.color))

    def _addresses(self) -> None:
        tell(self._ownership.gossipd, AnnounceableChanged(self._own.addresses))

    def _limits(self) -> None:
        limits, ownership = self._options.limits, self._ownership
        for channel in (ownership.connectd, ownership.gossipd):
            tell(channel, SetLimits(limits))
        self._connectiond.change_limits(limits)
        ownership.programs.limits = limits
        ownership.strangers.change(limits.inbound)
