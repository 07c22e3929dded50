"""`restart`: one process of the node takes the place of another, with all that it has, and no peer notices.

The new process is started and told who it is while the old one works on. Then the old one moves all to it, over a
socket between the two; what is said to it meanwhile is held back for the one that has the connections in the end. A new
one that fails is ended, and the old one goes on. `moving.py` in each daemon's folder is its half. Here are connectd and
gossipd, which have a link to each other; `one_step.py` has the others.
"""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

from lightningd_py.daemons.one_step import MoveRefused, OneStep, Others, pair
from lightningd_py.daemons.setup import Replacements
from lightningd_py.errors import StartError
from lightningd_py.owners.ownership import tell
from wire.control.control_channel import ChannelClosed, ControlChannel, RequestFailed
from wire.control.control_message import Fd
from wire.control.control_wire import (
    GossipdInitReply,
    Heartbeat,
    MoveAll,
    MoveAllReply,
    NewConnectdLink,
    NewGossipdLink,
)
from wire.control.status import Status
from wire.start.late_dataclass import dataclass

__all__ = ["ALL", "MASTER", "MOVABLE", "MoveRefused", "Moved", "Mover", "Others"]

MASTER, ALL = "master", "all"
MOVABLE = ("connectd", "connectiond", "gossipd", "hsmd", "listingd", "log", "oniond", "websocketd", MASTER, ALL)
"""What can be restarted."""
LAST_WORD = 2.0
"""Seconds in which a new gossipd says that it has all, if the old one has died on the way."""

MOST_RETIRING = 8
"""connectds that were replaced and still finish handshakes and dials."""

status = Status("lightningd")


Tell = Callable[[str, int, int], None]
"""Gets what begins now, and which step that is of how many, from 0 on."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a restart has come to. `milliseconds`: from the order to the new process's first word as the owner."""

    moved: int
    lost: int
    milliseconds: int


class Mover:
    """Restarts one process at a time."""

    def __init__(self, replacements: Replacements, others: Others, become: Callable[[str], Awaitable[None]]) -> None:
        """`become` has another program take the master's place: it returns only by raising MoveRefused."""
        self._replacements = replacements
        self._others = others
        one_step = self._one_step = OneStep(replacements, others)
        self._become = become
        self._under_way = ""
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """Of each process, how often it was `done` or `refused`, and how many connections were `moved` and `lost`."""
        self._task: asyncio.Future[Moved] | None = None
        self._heard_by: list[Tell] = []
        self._ways: dict[str, Callable[[], Awaitable[tuple[int, int]]]] = {
            "hsmd": one_step.hsmd,
            "connectd": self._connectd,
            "gossipd": self._gossipd,
            "connectiond": one_step.connectiond,
            "websocketd": one_step.websocketd,
            "listingd": one_step.listingd,
            "oniond": one_step.oniond,
            "log": one_step.log,
        }

    @contextlib.contextmanager
    def told(self, tell: Tell) -> Iterator[None]:
        """Each step is told meanwhile."""
        self._heard_by.append(tell)
        try:
            yield
        finally:
            self._heard_by.remove(tell)

    def _tell(self, name: str, number: int, total: int) -> None:
        for hear in self._heard_by:
            hear(f"restarting {name}", number, total)

    async def restart(self, what: str) -> Moved:
        """`what`: one of MOVABLE. Raises MoveRefused."""
        if not self._others.ready():
            raise MoveRefused("the node is starting or ending")
        if self._under_way:
            raise MoveRefused(f"{self._under_way} is being restarted: try again when it is done")
        self._under_way = what
        self._task = asyncio.ensure_future(self._restart(what))
        self._task.add_done_callback(_told)
        return await asyncio.shield(self._task)  # who has asked may go: what has begun is finished

    async def _restart(self, what: str) -> Moved:
        try:
            self._tell(MASTER if what == ALL else what, 0, self._steps(what))
            if what in (MASTER, ALL):
                await self._become(what)
            return await self._one(what)
        except MoveRefused:
            self.outcomes[MASTER if what == ALL else what, "refused"] += 1
            raise
        finally:
            self._under_way = ""

    def _rest_of(self, what: str) -> list[str]:
        """What runs of all but the master."""
        return [name for name in self._ways if self._one_step.runs(name)] if what == ALL else []

    def _steps(self, what: str) -> int:
        return 1 + len(self._rest_of(what))

    async def rest(self, what: str, master: Moved) -> list[tuple[str, Moved | MoveRefused]]:
        """What remains to be restarted after the master, by the new one: all, if that is `what` was asked for. What
        came of each.
        """
        done: list[tuple[str, Moved | MoveRefused]] = [(MASTER, master)]
        self._done(MASTER, master)
        self._under_way = what
        try:
            for number, name in enumerate(self._rest_of(what), 1):
                self._tell(name, number, self._steps(what))
                try:
                    done.append((name, await self._one(name)))
                except MoveRefused as refused:
                    status.unusual(f"{name} was not restarted: {refused}")
                    self.outcomes[name, "refused"] += 1
                    done.append((name, refused))
        finally:
            self._under_way = ""
        return done

    async def _one(self, what: str) -> Moved:
        loop = asyncio.get_running_loop()
        began = loop.time()
        moved, lost = await self._ways[what]()
        done = Moved(moved, lost, round(1_000 * (loop.time() - began)))
        self._done(what, done)
        return done

    def _done(self, what: str, done: Moved) -> None:
        self.outcomes.update({(what, "done"): 1, (what, "moved"): done.moved, (what, "lost"): done.lost})
        _say(what, done)

    async def _gossipd(self) -> tuple[int, int]:
        replacements, setup = self._replacements, self._replacements.setup
        ownership, supervisor = setup.ownership, setup.supervisor
        old = ownership.gossipd
        if old.closed:
            raise MoveRefused("gossipd has died and is being restarted: try again in a moment")
        made: list[Fd] = []
        try:
            for _ in range(2):
                made += pair()
            new, link = replacements.another_gossipd()
        except OSError as error:
            _close(*made)
            raise MoveRefused(f"gossipd cannot be started: {error.strerror or error}") from error
        old_end, new_end, *link_back = made  # the way back must not want for fds
        supervisor.try_out(old, new)
        serving = asyncio.ensure_future(setup.gossipd(new, new_end))
        serving.add_done_callback(_heeded)
        await asyncio.sleep(0)  # it is told who it is, first of all
        if not await _answers(new, serving, setup.options.timing.control_timeout) or old.closed:
            _close(old_end, link, *link_back)
            supervisor.decide(old, new)
            raise MoveRefused("gossipd goes on as it was: the new one has ended at its start; see the log")
        moving = asyncio.ensure_future(old.request(MoveAll(old_end), MoveAllReply))
        await asyncio.sleep(0)  # it is said
        old.hold_back()
        ownership.gossipd = new
        replacements.tell_gossipd()
        ownership.gossipd = old
        tell(ownership.connectd, NewGossipdLink(link, [], moved=True))
        try:
            moved = await self._outcome(moving, serving)
        except MoveRefused:
            serving.cancel()
            self._go_on(old, new, *link_back)
            raise
        _close(*link_back)
        ownership.gossipd = new
        old.go_on(new)
        supervisor.decide(new, old)
        replacements.gossip_control.returned()
        try:
            await serving
        except StartError as error:
            raise MoveRefused("the new gossipd has died: its connections are lost, and dialled again") from error
        return moved, 0

    async def _outcome(
        self, moving: "asyncio.Future[MoveAllReply]", serving: "asyncio.Future[GossipdInitReply]"
    ) -> int:
        """How many connections the new one has. Raises MoveRefused if it has none."""
        try:
            reply = await moving
            return reply.owned + reply.elsewhere
        except RequestFailed as refused:
            raise MoveRefused(f"gossipd goes on as it was: {refused}") from refused
        except ChannelClosed as error:
            try:
                async with asyncio.timeout(LAST_WORD):
                    await asyncio.shield(serving)
            except (StartError, TimeoutError):
                raise MoveRefused("gossipd has died: its connections are lost, and dialled again") from error
            return len(self._replacements.setup.ownership.peers)

    def _go_on(self, old: ControlChannel, new: ControlChannel, link: Fd, connectds: Fd) -> None:
        """The old one stays, with a new link to connectd; if it has died that is dealt with as any death."""
        ownership, supervisor = self._replacements.setup.ownership, self._replacements.setup.supervisor
        if old.closed:
            _close(link, connectds)
        else:
            old.go_on(old)
            tell(ownership.connectd, NewGossipdLink(connectds, [peer.info.conn_id for peer in ownership.peers]))
            tell(old, NewConnectdLink(link))
        supervisor.decide(old, new)

    async def _connectd(self) -> tuple[int, int]:
        """What has begun at the old one ends there; it lives so long."""
        replacements, setup = self._replacements, self._replacements.setup
        ownership, supervisor = setup.ownership, setup.supervisor
        old = ownership.connectd
        if old.closed:
            raise MoveRefused("connectd has died and is being restarted: try again in a moment")
        if supervisor.retiring("connectd") >= MOST_RETIRING:
            raise MoveRefused(f"{MOST_RETIRING} connectds still finish what they have begun: try again in a minute")
        try:
            new, link = replacements.another_connectd()
        except OSError as error:
            raise MoveRefused(f"connectd cannot be started: {error.strerror or error}") from error
        new_link = NewConnectdLink(link)
        supervisor.try_out(old, new)
        try:
            first_conn_id, moved = await self._move_connectd(old, new)
        except (StartError, RequestFailed, ChannelClosed, OSError) as error:
            new_link.close_fds()
            if not old.closed:
                old.go_on(old)
            supervisor.decide(old, new)
            raise MoveRefused(f"connectd goes on as it was: {error}") from error
        ownership.connectd, ownership.first_conn_id = new, first_conn_id
        old.go_on(new)
        supervisor.retire(new, old)
        tell(ownership.gossipd, new_link)
        try:
            await replacements.activate()
        except StartError as error:
            raise MoveRefused("the new connectd has died, and is being restarted") from error
        return moved, 0

    async def _move_connectd(self, old: ControlChannel, new: ControlChannel) -> tuple[int, int]:
        """The first conn_id of the new one, and how many connections it knows, when the old one has left its place."""
        replacements, ownership = self._replacements, self._replacements.setup.ownership
        old_end, new_end = pair()
        try:
            first_conn_id = await replacements.setup.next_connectd(new, new_end)
        except BaseException:
            os.close(old_end)
            raise
        moving = asyncio.ensure_future(old.request(MoveAll(old_end), MoveAllReply))
        await asyncio.sleep(0)  # it is said
        old.hold_back()
        ownership.connectd = new
        replacements.tell_connectd()
        ownership.connectd = old
        moved = await moving
        return first_conn_id, moved.owned + moved.elsewhere


def _told(restarting: "asyncio.Future[Moved]") -> None:
    """A refusal is for who has asked, if that is still there; anything else is our own bug."""
    error = None if restarting.cancelled() else restarting.exception()
    if error is not None and not isinstance(error, MoveRefused):
        context = {"message": "restarting a process", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)


def _heeded(serving: "asyncio.Future[GossipdInitReply]") -> None:
    """How it has ended is no surprise, whether somebody waits for it or not."""
    if not serving.cancelled():
        serving.exception()


async def _answers(channel: ControlChannel, serving: "asyncio.Future[GossipdInitReply]", patience: float) -> bool:
    """Wait until a new daemon is there and hears us, so that the old one need not wait for it. False if it has died, or
    says nothing for so many seconds.
    """
    heard = asyncio.get_running_loop().create_future()
    channel.on_heartbeat = lambda: None if heard.done() else heard.set_result(None)
    if not channel.closed:
        channel.send(Heartbeat())
    await asyncio.wait([heard, serving], timeout=patience, return_when=asyncio.FIRST_COMPLETED)
    if not heard.done() or serving.done():
        serving.cancel()
        return False
    return True


def _close(*fds: Fd) -> None:
    for fd in fds:
        os.close(fd)


def _say(what: str, done: Moved) -> None:
    figures = f"{done.moved} connections have moved, {done.lost} are lost, in {done.milliseconds} ms"
    status.info(f"{what} was restarted: {figures}")
