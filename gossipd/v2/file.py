"""The file in which gossip v2 outlives a restart: appended to once a turn of the loop, rewritten in slices as it ages.

A disk that fails is complained of once. What is kept stays in memory then, and the file is rewritten when that can be
done again. Damage and a crash cost the records behind the first bad one.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from gossipd.store.file import successor_of, write_all
from wire.control.status import Status
from wire.gossip_v2.kept import BEGINNING, Key, Record, pack, unpack

SLACK = 1_000_000
"""Bytes that may be dead besides as many as are alive."""
SLICE = 2_000
"""Records that are rewritten in a step: 4 to 10 ms."""

status = Status("gossipd")


class KeptFile:
    """One for a gossipd. `live_size`: bytes of what is kept; `keys` and `record` say what that is."""

    def __init__(
        self, path: Path, live_size: Callable[[], int], keys: Callable[[], list[Key]], record: Callable[[Key], Record]
    ) -> None:
        self.path = path
        self._live_size, self._keys, self._record = live_size, keys, record
        self._fd = -1
        self._size = 0
        self._buffer = bytearray()
        self._scheduled = False
        self._rewriting: _Rewriting | None = None
        self._complained = False

    def read(self) -> Iterator[Record]:
        """What the file says, from its beginning; to be read to the end before anything is appended."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            content = b""
        except OSError as error:
            self._complain(error)
            content = b""
        good = len(BEGINNING) if content.startswith(BEGINNING) else 0
        for record in unpack(content):
            good += len(pack(record))
            yield record
        if good < len(content):
            status.unusual(f"{self.path} is damaged: {len(content) - good} bytes of gossip v2 are lost")
        elif good:
            self._go_on(good)

    def _go_on(self, size: int) -> None:
        with contextlib.suppress(OSError):  # then it is begun again
            self._fd, self._size = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC), size

    def append(self, record: Record) -> None:
        """Something has changed."""
        self._buffer += pack(record)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what was appended. What cannot be written is in the file that is written next."""
        self._scheduled = False
        data = bytes(self._buffer)
        self._buffer.clear()
        if not data:
            return
        try:
            if self._fd >= 0:
                self._size += write_all(self._fd, data, self._size)
            if self._rewriting is not None:
                self._rewriting.write(data)
        except OSError as error:
            self._complain(error)
            self._let_go()

    def tick(self) -> None:
        """A step of a rewriting, if one is due: there is no file, or it has grown."""
        try:
            if self._rewriting is None:
                if self._fd >= 0 and self._size <= 2 * self._live_size() + SLACK:
                    return
                self._rewriting = _Rewriting(successor_of(self.path), self._keys())
            self._step(self._rewriting)
        except OSError as error:
            self._complain(error)
            self._let_go()

    def _step(self, rewriting: "_Rewriting") -> None:
        alive = map(self._record, islice(rewriting.left, SLICE))
        if data := b"".join([pack(record) for record in alive]):
            rewriting.write(data)
            return
        self.flush()
        if self._rewriting is not rewriting:  # it has failed
            return
        rewriting.path.replace(self.path)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._size, self._rewriting = rewriting.fd, rewriting.size, None
        if self._complained:
            status.info(f"{self.path} can be written again")
            self._complained = False

    def close(self) -> None:
        """Write what was appended, and let go of the file. What is appended later is not written, before `tick`."""
        self.flush()
        self._let_go()

    def _let_go(self) -> None:
        if self._rewriting is not None:
            os.close(self._rewriting.fd)
            with contextlib.suppress(OSError):
                self._rewriting.path.unlink(missing_ok=True)
            self._rewriting = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            status.unusual(f"{self.path}: {error.strerror}: gossip v2 would not outlive a restart now")


class _Rewriting:
    """A file in the making. Raises OSError."""

    def __init__(self, path: Path, keys: list[Key]) -> None:
        self.path = path
        self.left = iter(keys)
        path.unlink(missing_ok=True)
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.size = 0
        try:
            self.write(BEGINNING)
        except OSError:
            os.close(self.fd)
            path.unlink()
            raise

    def write(self, data: bytes) -> None:
        self.size += write_all(self.fd, data, self.size)
