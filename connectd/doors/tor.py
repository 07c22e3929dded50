"""Our onion services: set up by Tor's control port, kept up, and the keys of those that keep their address."""

import asyncio
import base64
import os
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectd.doors.tor_control import TorControl, TorError
from wire.address import WireAddr
from wire.control.binding import LONGEST_BLOB, Binding
from wire.control.status import Status

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
        self._spawn(self._keep_up(control, binding, key, target))
        return onion

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

    async def _keep_up(self, control: TorControl, binding: Binding, key: str, target: WireAddr) -> None:
        """Tor's restart ends its services: add them again, with the same key."""
        while True:
            try:
                await control.closed()
            finally:
                control.close()
            status.unusual(f"Tor's control port {binding.address} has hung up: our onion service is down")
            control = await self._add_again(binding, key, target)

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
