"""The daemons: made with their sockets, told who they are, watched, and ended in order.

    master -- hsmd          control, and one socket more for each client of hsmd: two daemons, and services' programs
    master -- connectd      control      connectd -- hsmd      ecdh
    master -- gossipd       control      gossipd -- hsmd       our node_announcement's signature
                                         connectd -- gossipd   the link
    master -- connectiond   control, only if there is a service on the buses
    master -- websocketd    control      connectd -- websocketd; only if a WebSocket is listened for
    master -- listingd      control, with the sockets of RPC clients that want a listing
    master -- oniond        control      oniond -- hsmd       onion_hop_keys; only if onion messages are relayed

Every socketpair is made before the processes on its ends are started; each process has just its own ends.
"""

import asyncio
import socket
from collections.abc import Callable

from lightningd_py.daemons.daemon import Daemon, DaemonLeft, DaemonsLeft, tell_nothing
from lightningd_py.owners.ownership import tell
from wire.control import control_wire
from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import LogLine, SetLog
from wire.control.heartbeat import Heartbeat
from wire.control.process import Process
from wire.control.status import Status
from wire.control.timing import CHILD_END_TIME, LOADING_TIME, Timing
from wire.log.style import LogStyle
from wire.start.python import command

COMMANDS = {
    "hsmd": "lightningd_py.hsm.hsmd",
    "connectd": "connectd",
    "gossipd": "gossipd",
    "connectiond": "connectd.connectiond",
    "listingd": "lightningd_py.listingd",
    "oniond": "lightningd_py.oniond",
    "websocketd": "connectd.websocketd",
}
"""The module that is run; the numbers of the fds follow, and the style of the log."""

LAST = ("websocketd", "hsmd")
"""Those that end when the others have."""

WINDOWS = {"listingd": 128}
"""Requests at a time. A listing is a client's: more than there may be clients."""

status = Status("lightningd")


class Supervisor:
    """Starts the three daemons, and says when one ends that was not told to."""

    def __init__(
        self,
        log_style: Callable[[], LogStyle],
        on_death: Callable[[str, int], None],
        timing: Timing,
        on_log_line: Callable[[str, LogLine], None] = lambda name, line: None,
    ) -> None:
        """`log_style`: what the options say now. `on_death` gets a daemon's name and exit status, `on_log_line` the
        name and a line.
        """
        self._log_style = log_style
        self._on_log_line = on_log_line
        self._on_death = on_death
        self._timing = timing
        self._ending = False
        self.hears: dict[str, Callable[[ControlMessage], None]] = {}
        """Who hears what those daemons say that were there before us, by their names."""
        self._daemons: list[Daemon] = []
        self._dead_on_trial: list[Daemon] = []
        self._hsmd: Daemon
        self._websocketd: ControlChannel | None = None

    def start(
        self,
        from_connectd: Callable[[ControlMessage], None],
        from_gossipd: Callable[[ControlMessage], None],
    ) -> tuple[Daemon, Daemon, Daemon]:
        """hsmd, connectd, gossipd: running, and not yet told anything but hsmd of its clients."""
        hsm_ours, hsm_theirs = _pair()
        link_of_connectd, link_of_gossipd = _pair()
        hsmd = self._hsmd = self._start("hsmd", hsm_ours, [hsm_theirs], no_message)
        connectd = self._start_linked("connectd", link_of_connectd, from_connectd)
        gossipd = self._start_linked("gossipd", link_of_gossipd, from_gossipd)
        return hsmd, connectd, gossipd

    @property
    def queued(self) -> int:
        """Messages that wait for room in the socket of any daemon."""
        return sum(daemon.channel.queued for daemon in self._daemons)

    def leave(self) -> DaemonsLeft:
        """Let go of all daemons, for the next program of this process. Nothing may be `queued`."""
        self._ending = True
        return DaemonsLeft([daemon.leave() for daemon in self._daemons])

    def resume(self, left: DaemonsLeft, known: frozenset[int]) -> dict[str, ControlChannel]:
        """Go on with the daemons of the program before us; the channels by their names. `hears` is to be filled.
        `known`: numbers of the control messages that these daemons know.
        """
        channels = {}
        for one in left.daemons:
            daemon = self._adopt(one)
            daemon.channel.knows = known
            self.watch(daemon.channel)
            if one.retired:
                daemon.on_death = tell_nothing
                continue
            channels[one.name] = daemon.channel
            if one.name == "hsmd":
                self._hsmd = daemon
            elif one.name == "websocketd":
                self._websocketd = daemon.channel
        return channels

    def _adopt(self, left: DaemonLeft) -> Daemon:
        process = Process.adopt(left.pid, lambda exit_status: self._died(daemon), left.name)
        ours = socket.socket(fileno=left.channel.fd)
        asked = left.channel.last_request_id
        daemon = self._daemon(left.name, process, ours, lambda message: self._hears(left.name, message), asked)
        return daemon

    def _hears(self, name: str, message: ControlMessage) -> None:
        self.hears.get(name, no_message)(message)

    def _daemon(
        self,
        name: str,
        process: Process,
        ours: socket.socket,
        on_message: Callable[[ControlMessage], None],
        asked: int = 0,
    ) -> Daemon:
        """`asked`: requests of the program before us in this process."""
        window = WINDOWS.get(name, 64)
        channel = ControlChannel(ours, name, on_message, lambda reason: None, window=window, last_request_id=asked)
        channel.on_log_line = lambda line: self._on_log_line(name, line)
        daemon = Daemon(name, process, channel)
        daemon.on_death = self._tell_death
        self._daemons.append(daemon)
        return daemon

    def try_out(self, *channels: ControlChannel) -> None:
        """One of these daemons is about to take the place of the other: until `decide` neither's death is told."""
        for daemon in self._daemons:
            if daemon.channel in channels:
                daemon.on_death = self._dead_on_trial.append

    def decide(self, stays: ControlChannel, goes: ControlChannel) -> None:
        """The first of them is the one that counts from now on: if it has died meanwhile that is told now. The other
        one ends, and is killed if it does not.
        """
        for daemon in self._daemons:
            if daemon.channel is goes:
                for unsent in daemon.channel.hear_out():
                    unsent.close_fds()
                daemon.close()
                asyncio.get_running_loop().call_later(CHILD_END_TIME, daemon.process.kill)
        self.retire(stays, goes)

    def retire(self, stays: ControlChannel, goes: ControlChannel) -> None:
        """As `decide`, but the other one ends when it has done what it has begun."""
        for daemon in self._daemons:
            if daemon.channel is stays:
                daemon.on_death = self._tell_death
            elif daemon.channel is goes:
                daemon.on_death = tell_nothing
        dead, self._dead_on_trial = self._dead_on_trial, []
        for daemon in dead:
            if daemon.channel is stays:
                self._tell_death(daemon)

    def retiring(self, name: str) -> int:
        """How many of this name have been replaced, and have not ended."""
        return sum(daemon.name == name and daemon.on_death is tell_nothing for daemon in self._daemons)

    def restart(self, name: str, on_message: Callable[[ControlMessage], None]) -> tuple[ControlChannel, Fd]:
        """connectd or gossipd once more, and the other one's end of the new link. Raises OSError if it cannot be."""
        link, link_of_other = _pair()
        with link_of_other:
            return self._start_linked(name, link, on_message).channel, Fd(link_of_other.detach())

    def _start_linked(self, name: str, link: socket.socket, on_message: Callable[[ControlMessage], None]) -> Daemon:
        """`link` is closed here."""
        with link:
            client = socket.socket(fileno=self.hsm_socket(name))
            ours, theirs = _pair()
            return self._start(name, ours, [theirs, client, link], on_message)

    @property
    def hsmd(self) -> ControlChannel:
        """The one that is there now."""
        return self._hsmd.channel

    def another_hsmd(self) -> ControlChannel:
        """Told nothing yet. Raises OSError if it cannot be started."""
        ours, theirs = _pair()
        return self._start("hsmd", ours, [theirs], no_message).channel

    def replace_hsmd(self, channel: ControlChannel) -> None:
        """This one has the key and the clients from here on."""
        (self._hsmd,) = (daemon for daemon in self._daemons if daemon.channel is channel)

    def hsm_socket(self, client: str) -> Fd:
        """A new socket to hsmd, with the rights of `client` there. Raises OSError if none can be made."""
        ours, theirs = _pair()
        introduced = control_wire.ClientHsmfd(client, Fd(theirs.detach()))
        try:
            self._hsmd.channel.send(introduced)
        except ChannelClosed:  # the node ends: so does the new socket
            introduced.close_fds()
        return Fd(ours.detach())

    def start_connectiond(self, on_message: Callable[[ControlMessage], None]) -> ControlChannel:
        """The owner of the connections of bus services, once there is one. Raises OSError if it cannot be started."""
        ours, theirs = _pair()
        channel = self._start("connectiond", ours, [theirs], on_message).channel
        self.watch(channel, LOADING_TIME)
        return channel

    def start_listingd(self) -> ControlChannel:
        """The process that lists the map for RPC clients. Raises OSError if it cannot be started."""
        ours, theirs = _pair()
        channel = self._start("listingd", ours, [theirs], no_message).channel
        self.watch(channel, LOADING_TIME)
        return channel

    def start_oniond(self, on_message: Callable[[ControlMessage], None]) -> ControlChannel:
        """The process that relays onion messages. Raises OSError if it cannot be started."""
        client = socket.socket(fileno=self.hsm_socket("oniond"))
        ours, theirs = _pair()
        channel = self._start("oniond", ours, [theirs, client], on_message).channel
        self.watch(channel, LOADING_TIME)
        return channel

    @property
    def websocketd(self) -> ControlChannel | None:
        """The one that is there now."""
        return self._websocketd

    def another_websocketd(self) -> ControlChannel:
        """Told nothing yet. Raises OSError if it cannot be started."""
        ours, theirs = _pair()
        channel = self._start("websocketd", ours, [theirs], no_message).channel
        self.watch(channel, LOADING_TIME)
        return channel

    def replace_websocketd(self, channel: ControlChannel) -> None:
        """This one has the WebSockets from here on."""
        self._websocketd = channel

    def websocket_fd(self) -> Fd:
        """connectd's end of a new link to websocketd, which is started if it does not run. Raises OSError."""
        if self._websocketd is None:
            self._websocketd = self.another_websocketd()
        link, theirs = _pair()
        told = control_wire.NewConnectdLink(Fd(theirs.detach()))
        if self._websocketd.closed:  # it has died this moment: connectd hears of the next one
            told.close_fds()
        else:
            self._websocketd.send(told)
        return Fd(link.detach())

    def _start(
        self,
        name: str,
        ours: socket.socket,
        theirs: list[socket.socket],
        on_message: Callable[[ControlMessage], None],
    ) -> Daemon:
        """`theirs` become fds 3, 4, ... of the daemon, in this order, and are named so on its command line."""
        fds = {3 + i: sock.fileno() for i, sock in enumerate(theirs)}
        argv = command(COMMANDS[name], *map(str, fds), self._log_style().argument)
        try:
            process = Process(argv, fds, lambda exit_status: self._died(daemon), name, ours=True)
        except OSError:
            ours.close()
            raise
        finally:
            for sock in theirs:
                sock.close()
        daemon = self._daemon(name, process, ours, on_message)
        daemon.channel.send(self._set_log())
        return daemon

    def _set_log(self) -> SetLog:
        return SetLog(",".join(self._log_style().levels))

    def change_log(self) -> None:
        """The options say something else of the log now."""
        for daemon in self._daemons:
            tell(daemon.channel, self._set_log())

    def watch(self, channel: ControlChannel, first: float = 0.0) -> None:
        """Kill this daemon from now on if it hangs. Before its first request is answered it may take its time: it waits
        for a passphrase, or reads a map. `first`: one that is still being loaded has so many seconds.
        """
        daemon = next((daemon for daemon in self._daemons if daemon.channel is channel), None)
        if daemon is not None:  # else it has died
            timing = self._timing
            assert daemon.heartbeat is None, f"{daemon.name} is watched twice: one of the two would hear no answer"
            daemon.heartbeat = Heartbeat(
                channel, timing.heartbeat, timing.control_timeout, lambda: self._hangs(daemon), first
            )

    @property
    def running(self) -> list[Daemon]:
        """All daemons that run."""
        return list(self._daemons)

    def _hangs(self, daemon: Daemon) -> None:
        assert daemon.heartbeat is not None
        status.unusual(
            f"{daemon.name} has not answered for {daemon.heartbeat.patience:g} s: it is killed; if it can, it shows"
            " first where it is"
        )
        daemon.process.kill_with_stack()

    def _died(self, daemon: Daemon) -> None:
        """What it has said before is heard first."""
        if self._ending:
            return
        self._daemons.remove(daemon)
        for unsent in daemon.channel.hear_out():
            unsent.close_fds()
        daemon.close()
        if daemon.channel is self._websocketd:
            self._websocketd = None
        daemon.on_death(daemon)

    def _tell_death(self, daemon: Daemon) -> None:
        self._on_death(daemon.name, daemon.process.exit_status or 0)

    async def end(self) -> None:
        """Close the control sockets, which ends the daemons: websocketd, which has others' last words, and the one with
        the key last. The others' are closed together: what one says while another is gone could not be done.
        """
        self._ending = True
        for last in (False, True):
            ending = [daemon for daemon in self._daemons if (daemon.name in LAST) is last]
            for daemon in ending:
                daemon.close()
            for daemon in ending:
                await _wait(daemon.process)


async def _wait(process: Process) -> None:
    if not await process.wait(CHILD_END_TIME):
        status.debug(f"{process.name} ended with {process.exit_status}")


def _pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def no_message(message: ControlMessage) -> None:
    """hsmd and listingd only ever reply, websocketd has nothing to say."""
    raise RuntimeError(f"{message.name()} was not asked for")
