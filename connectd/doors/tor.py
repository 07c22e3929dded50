"""Our onion services: set up by Tor's control port, kept up, and the keys of those that keep their address."""

import asyncio
import base64
import os
import re
from collections.abc import Callable, Coroutine
from dataclasses import field
from pathlib import Path
from typing import Any

from connectd.doors.tor_control import TorControl, TorError
from wire.address import WireAddr, parse_address
from wire.control.binding import LONGEST_BLOB, Binding, parse_binding
from wire.control.control_message import Fd
from wire.control.status import Status
from wire.start.late_dataclass import dataclass

NEW_KEY = "NEW:ED25519-V3"
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds between tries to bring a service up again, doubling."""

_KEY = re.compile(r"ED25519-V3:[A-Za-z0-9+/=]{80,100}")

status = Status("connectd")


@dataclass(frozen=True, slots=True)
class TorSettings:
    """`timeout`: seconds for one conversation. `keys`: the directory of the keys."""

    password: str | None
    keys: Path
    timeout: float
    pause: float = FIRST_PAUSE


@dataclass(frozen=True, slots=True)
class MovedOnion:
    """An onion service, for the connectd that comes next: what it was asked for as, its key, and where it leads."""

    binding: str = ""
    key: str = field(default="", repr=False)
    target: str = ""


@dataclass(slots=True, eq=False)
class _Service:
    """One that is up, or will be again."""

    binding: Binding
    key: str = field(repr=False)
    target: WireAddr
    control: TorControl | None
    """None while it is down."""
    task: "asyncio.Task[None] | None" = None


class OnionServices:
    """All of them. `spawn` runs what keeps them up; `on_up` hears of each address whenever it is there."""

    def __init__(
        self,
        settings: TorSettings,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        on_up: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._spawn = spawn
        self._on_up = on_up
        self._services: list[_Service] = []

    async def start(self, binding: Binding, target: WireAddr) -> WireAddr:
        """Have Tor lead strangers to `target`; the service's address. Raises TorError."""
        file = self._settings.keys / f"onion-{binding.port}-key"
        key = _stored_key(binding, file)
        control, onion, key = await self._add(binding, key, target)
        try:
            if binding.kind == "statictor" and binding.blob is None and not file.exists():
                _store(file, key)
        except TorError:
            control.close()
            raise
        self._on_up(str(onion))
        self._begin(_Service(binding, key, target, control))
        return onion

    def leave(self) -> tuple[list[MovedOnion], list[Fd | None]]:
        """For the connectd that comes next, which has copies of the conversations that keep them up. Raises OSError."""
        fds: list[Fd | None] = []
        try:
            for service in self._services:
                fds.append(None if service.control is None else Fd(service.control.copy()))
        except OSError:
            for fd in filter(None, fds):
                os.close(fd)
            raise
        moved = [MovedOnion(str(service.binding), service.key, str(service.target)) for service in self._services]
        return moved, fds

    def let_go(self) -> None:
        """Another connectd keeps them up."""
        for service in self._services:
            if service.task is not None:
                service.task.cancel()
        self._services.clear()

    async def go_on(self, moved: MovedOnion, control_fd: int | None) -> None:
        """One that another connectd has made. The fd is ours from here on. Raises ValueError, OSError."""
        binding, target = parse_binding(moved.binding, 0), parse_address(moved.target, 0)
        if binding.address is None:
            raise ValueError("an onion service without a control port")
        control = None if control_fd is None else await TorControl.adopt(control_fd, binding.address)
        self._begin(_Service(binding, moved.key, target, control))

    def _begin(self, service: _Service) -> None:
        self._services.append(service)
        self._spawn(self._keep_up(service))

    async def _add(self, binding: Binding, key: str, target: WireAddr) -> tuple[TorControl, WireAddr, str]:
        where = binding.address
        if where is None:
            raise ValueError("an onion service without a control port")
        control: TorControl | None = None
        try:
            async with asyncio.timeout(self._settings.timeout):
                control = await TorControl.connect(where)
                await control.authenticate(self._settings.password)
                return control, *await control.add_onion(key, binding.port, target)
        except BaseException as error:
            if control is not None:
                control.close()
            if isinstance(error, TimeoutError):
                raise TorError(f"Tor's control port {where}: no answer within {self._settings.timeout:g} s") from None
            raise

    async def _keep_up(self, service: _Service) -> None:
        """Tor's restart ends its services: add them again, with the same key."""
        service.task = asyncio.current_task()
        while True:
            if (control := service.control) is not None:
                try:
                    await control.closed()
                finally:
                    service.control = None
                    control.close()
                status.unusual(f"Tor's control port {service.binding.address} has hung up: our onion service is down")
            service.control = await self._add_again(service.binding, service.key, service.target)

    async def _add_again(self, binding: Binding, key: str, target: WireAddr) -> TorControl:
        pause = self._settings.pause
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            try:
                control, onion, _ = await self._add(binding, key, target)
            except TorError as error:
                status.debug(str(error))
            else:
                self._on_up(str(onion))
                return control


def _stored_key(binding: Binding, file: Path) -> str:
    """The key of a service that keeps its address, if it has one. Raises TorError."""
    if binding.kind != "statictor":
        return NEW_KEY
    if binding.blob is not None:  # as CLN makes one of it: the same text gives the same address there
        return "ED25519-V3:" + base64.b64encode(binding.blob.encode().ljust(LONGEST_BLOB, b"\0")).decode()
    try:
        key = file.read_text().strip()
    except FileNotFoundError:
        return NEW_KEY
    except (OSError, UnicodeDecodeError) as error:
        raise TorError(f"the onion service's key {file} cannot be read: {error}") from error
    if not _KEY.fullmatch(key):
        raise TorError(f"the onion service's key {file} is damaged")
    return key


def _store(file: Path, key: str) -> None:
    """On the disk before the address is told, and readable by its owner only (0600)."""
    part = file.with_suffix(".part")
    try:
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
            written.write(key + "\n")
            written.flush()
            os.fsync(written.fileno())
        part.rename(file)
    except OSError as error:
        raise TorError(f"the onion service's key {file} cannot be written: {error.strerror}") from error
