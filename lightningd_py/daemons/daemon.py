"""One daemon as the master has it: its process, its control channel, and what is left of it to the next program."""

from collections.abc import Callable
from dataclasses import field
from typing import TypeVar

from lightningd_py.errors import StartError
from wire.control.control_channel import ChannelClosed, ChannelLeft, ControlChannel, RequestFailed
from wire.control.control_message import Reply, Request
from wire.control.heartbeat import Heartbeat
from wire.control.process import Process
from wire.control.status import Status
from wire.start.late_dataclass import dataclass

R = TypeVar("R", bound=Reply)
status = Status("lightningd")


@dataclass(frozen=True, slots=True)
class DaemonLeft:
    """One daemon, for the next program of this process."""

    name: str
    pid: int
    channel: ChannelLeft
    retired: bool = False
    """Replaced by another one: it finishes what it has begun."""


@dataclass(frozen=True, slots=True)
class DaemonsLeft:
    """All of them."""

    daemons: list[DaemonLeft] = field(default_factory=list)


class Daemon:
    """One daemon's process and the control channel to it."""

    def __init__(self, name: str, process: Process, channel: ControlChannel) -> None:
        self.name = name
        self.process = process
        self.channel = channel
        self.heartbeat: Heartbeat | None = None
        """See `Supervisor.watch`."""
        self.on_death: Callable[[Daemon], None] = lambda daemon: None

    def leave(self) -> DaemonLeft:
        """Let go of it, for the next program of this process."""
        if self.heartbeat is not None:
            self.heartbeat.close()
        retired = self.on_death is tell_nothing
        return DaemonLeft(self.name, self.process.leave(), self.channel.leave(), retired)

    def close(self) -> None:
        """Tell it nothing more: which ends it."""
        if self.heartbeat is not None:
            self.heartbeat.close()
        for unsent in self.channel.close():
            unsent.close_fds()


async def ask(channel: ControlChannel, request: Request, reply_type: type[R]) -> R:
    """A request of the start. Raises StartError, one sentence, for a refusal or a daemon that has died."""
    try:
        return await channel.request(request, reply_type)
    except RequestFailed as refusal:
        raise StartError(str(refusal)) from refusal
    except ChannelClosed:
        raise StartError(f"{channel.who} ended at the start; its reason stands in the log") from None


def tell_nothing(daemon: Daemon) -> None:
    """One that was replaced has ended."""
    exit_status = daemon.process.exit_status
    (status.debug if exit_status == 0 else status.unusual)(
        f"the {daemon.name} that was replaced has ended with {exit_status}"
    )
