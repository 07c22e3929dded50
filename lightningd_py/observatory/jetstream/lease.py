"""The right to send under a vantage point's name, which one recorder at a time has, and the clock of the server.

The holder's name is the last message of a subject, which the server forgets after TTL; it is renewed long before, and
replaced only if it still is the one that was read. A recorder that was killed takes its own right back at once: its
spool has an identity by which it is known, and which all may read. A name that another recorder has is not sent under;
the spool keeps it all.
"""

import json
import platform
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nats.js.errors
from nats.aio.client import Client

from lightningd_py.observatory.jetstream.names import VANTAGES, VANTAGES_STREAM, subject, token
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.files import replace_file
from lightningd_py.observatory.tables.names import SPOOL
from lightningd_py.observatory.tables.times import shown_duration
from wire.command.text import replaced

TTL, RENEW, MARGIN = 30.0, 10.0, 5.0
"""Seconds for which the server knows a holder, between renewals, and that a holder stops sending before that."""
WRONG_CLOCK_NS = 60_000_000_000
"""Nanoseconds that this clock and the server's may differ by."""
IDENTITY = ".identity"
LONGEST_NAME = 60
_WRONG_SEQUENCE = (10071, 10164)


class Taken(ObservatoryError):
    """Another recorder has the name."""


class _Known(NamedTuple):
    """The last message of the subject. `sequence` is 0 if there is none."""

    sequence: int
    holder: dict[str, Any]
    time_ns: int


def identity(folder: Path, vantage: str) -> str:
    """The identity of this vantage point's spool, which its lease names: made if it is not there. Raises OSError."""
    path = folder / SPOOL / f"{vantage}{IDENTITY}"
    try:
        if found := path.read_text().strip():
            return found
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    made = secrets.token_hex(16)
    replace_file(path, made.encode())
    return made


class Lease:
    """Of one run of a recorder."""

    def __init__(self, identity_: str, vantage: str, network: str, now: Callable[[], float] = time.monotonic) -> None:
        """`vantage` as in file names."""
        self.ahead_ns = 0
        """By how much this clock is ahead of the server's, as was last seen; less than 0: behind."""
        self._vantage = vantage
        self._subject = subject(network, VANTAGES, token(vantage))
        self._now = now
        self._own = {
            "spool": identity_,
            "run": secrets.token_hex(8),
            "host": platform.node(),
            "since": int(time.time()),
        }
        self._was_held = False
        self._until = 0.0
        self._said_ns = 0

    def is_held(self) -> bool:
        """Whether it may be sent now."""
        return self._now() < self._until

    async def hold(self, client: Client) -> None:
        """Take or renew it. Raises Taken, one sentence, and FAILURES: then it is held until it ends."""
        began = self._now()
        known = await self._read(client)
        if not self._may_take(known.holder):
            self._until = 0.0
            raise Taken(self._other(known.holder))
        if known.holder.get("run") == self._own["run"]:
            self.ahead_ns = self._said_ns - known.time_ns
        self._said_ns = time.time_ns()
        if not await self._write(client, self._own, known.sequence):
            self._until = 0.0
            raise Taken(f"another recorder of {self._vantage} has come at the same moment")
        self._was_held = True
        self._until = began + TTL - MARGIN

    async def leave(self, client: Client) -> None:
        """Let another one have it at once. Raises FAILURES."""
        if self.is_held():
            self._until = 0.0
            known = await self._read(client)
            if known.holder.get("run") == self._own["run"]:
                await self._write(client, {}, known.sequence)

    def clock_trouble(self) -> str:
        """What is wrong with this clock or the server's; empty if they agree."""
        if abs(self.ahead_ns) <= WRONG_CLOCK_NS:
            return ""
        direction = "ahead of" if self.ahead_ns > 0 else "behind"
        return f"the clock here is {shown_duration(abs(self.ahead_ns))} {direction} that of the NATS server"

    def _may_take(self, holder: dict[str, Any]) -> bool:
        """Ours, no one's, or that of a run of this spool that has ended: only one can write to it. A run that was
        replaced by one of a copy of its spool does not take it back."""
        is_spool = holder.get("spool") == self._own["spool"] and not self._was_held
        return not holder.get("run") or holder["run"] == self._own["run"] or is_spool

    def _other(self, holder: dict[str, Any]) -> str:
        host = replaced(str(holder.get("host", "")))[:LONGEST_NAME]
        since = holder.get("since")
        is_time = isinstance(since, int) and 0 < since < 1 << 32
        when = time.strftime(" since %Y-%m-%d %H:%M:%S", time.localtime(since)) if is_time else ""
        return f"another recorder, at {host or 'a host without a name'}, records as {self._vantage}{when}"

    async def _read(self, client: Client) -> _Known:
        try:
            found = await client.jetstream().get_last_msg(VANTAGES_STREAM, self._subject)
        except nats.js.errors.NotFoundError:
            return _Known(0, {}, 0)
        try:
            holder = json.loads(found.data or b"{}")
        except ValueError:
            holder = {}
        when = found.time
        time_ns = 0 if when is None else int(when.timestamp() * 1e9)
        return _Known(found.seq or 0, holder if isinstance(holder, dict) else {}, time_ns)

    async def _write(self, client: Client, holder: dict[str, Any], after: int) -> bool:
        """Whether nothing has come meanwhile."""
        headers = {"Nats-Expected-Last-Subject-Sequence": str(after)}
        try:
            await client.jetstream().publish(self._subject, json.dumps(holder).encode(), headers=headers)
        except nats.js.errors.APIError as error:
            if error.err_code in _WRONG_SEQUENCE:
                return False
            raise
        return True
