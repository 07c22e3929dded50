"""A child process: started by exec with just the fds that it is to have, watched by its pidfd, always reaped."""

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wire.command.console import MASTERS_SIGNALS
from wire.control.daemon import EXIT_OK
from wire.control.status import SHOW_STACK
from wire.start import python

STACK_TIME = 0.5
"""Seconds that a process has to write where it is before it is killed."""


class Process:
    """One child, on the running loop. Raises OSError from the constructor if the program cannot be started."""

    def __init__(
        self,
        argv: Sequence[str],
        fds: Mapping[int, int],
        on_exit: Callable[[int], None],
        name: str = "",
        *,
        environment: Mapping[str, str] | None = None,
        group: bool = False,
        ours: bool = False,
    ) -> None:
        """`fds`: number in the child -> ours; ours stay open. Besides them it has standard error, twice; its standard
        input is /dev/null. Every other fd of ours is close-on-exec.

        `on_exit` gets the exit status, negative for a signal, once. `environment`: in the place of ours; its PATH is
        where the program is looked for. `group`: it gets a process group of its own, all of which is killed when it has
        ended. `ours`: a daemon, which says `leave_signals_to_master` as soon as it can; until then they are blocked.
        """
        if environment is None:
            environment = python.environment() if ours else os.environ
        how: dict[str, Any] = {"setpgroup": 0} if group else {}
        pid = os.posix_spawn(
            _executable(argv[0], environment),
            list(argv),
            environment,
            file_actions=_file_actions(fds),
            setsigmask=MASTERS_SIGNALS if ours else [],
            setsigdef=[signal.SIGPIPE],
            **how,
        )
        self._watch(pid, on_exit, name or argv[0], group)

    @classmethod
    def adopt(cls, pid: int, on_exit: Callable[[int], None], name: str, *, group: bool = False) -> "Process":
        """A child that this process has had before it became another program: exec keeps children."""
        process = cls.__new__(cls)
        process._watch(pid, on_exit, name, group)
        return process

    def _watch(self, pid: int, on_exit: Callable[[int], None], name: str, group: bool) -> None:
        self.pid = pid
        self.name = name
        self.exit_status: int | None = None
        self._on_exit = on_exit
        self._group = group
        self._pidfd = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._loop.add_reader(self._pidfd, self._exited)

    def leave(self) -> int:
        """Watch it no more, and do not reap it: the next program of this process does. Its pid."""
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        return self.pid

    def _exited(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        if self._group:  # before it is reaped: until then its number is no other group's
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        self.exit_status = os.waitstatus_to_exitcode(status)
        self._ended.set_result(None)
        self._on_exit(self.exit_status)

    @property
    def running(self) -> bool:
        """Not reaped yet."""
        return self.exit_status is None

    def kill(self) -> None:
        """End it at once; `on_exit` follows."""
        if self.running:
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def kill_with_stack(self) -> None:
        """The same for one that hangs: it writes its stack to its log before."""
        if self.running:
            signal.pidfd_send_signal(self._pidfd, SHOW_STACK)
            self._loop.call_later(STACK_TIME, self.kill)

    async def wait(self, patience: float) -> bool:
        """Wait until it has ended, and kill it after so many seconds. True if it ended by itself, with status 0."""
        try:
            async with asyncio.timeout(patience):
                await asyncio.shield(self._ended)
        except TimeoutError:
            self.kill()
            await self._ended
        return self.exit_status == EXIT_OK


def _executable(command: str, environment: Mapping[str, str]) -> str:
    """The path of the program. Raises FileNotFoundError."""
    if "/" in command:
        return command
    from shutil import which  # which loads three ways to compress

    found = which(command, path=environment.get("PATH", os.defpath))
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command)
    return found


def _file_actions(fds: Mapping[int, int]) -> list[tuple[int, ...]]:
    """dup2 in an order that overwrites nothing that is still needed: first all to numbers beyond any in use."""
    beyond = 1 + max([2, *fds.keys(), *fds.values()])
    parked = {number: beyond + i for i, number in enumerate(fds)}
    actions: list[tuple[int, ...]] = [(os.POSIX_SPAWN_DUP2, fds[number], parked[number]) for number in fds]
    actions += [(os.POSIX_SPAWN_DUP2, parked[number], number) for number in fds]
    actions += [(os.POSIX_SPAWN_CLOSE, parked[number]) for number in fds]
    # Standard output goes to the log too: what a service prints is for the operator, and not for our own stdout.
    actions += [(os.POSIX_SPAWN_DUP2, 2, 1)]
    return [(os.POSIX_SPAWN_OPEN, 0, b"/dev/null", os.O_RDONLY, 0), *actions]  # type: ignore[list-item]
