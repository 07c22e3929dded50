"""The folder of snapshots: history and files of the last step, made at each step from a gossip_store.

    DIR/history                     what clients may have been told (history.py)
    DIR/snapshots -> snapshots-T    the files of step T, also for another HTTP server
    DIR/snapshots-T/v1/BASE.bin     for a client at that step; 0.bin for one that has nothing; .gz beside each

History is saved before its files are there: what is not saved was never said. After a kill all is made again.
"""

import contextlib
import fcntl
import gzip
import os
import shutil
from pathlib import Path

from gossipd.gossmap import Gossmap
from lightningd_py.observatory.rgs.history import KEPT_SECONDS, History, HistoryError, advanced, pack, unpack
from lightningd_py.observatory.rgs.since import WHOLE, base_of, snapshot_since
from lightningd_py.observatory.rgs.snapshot_format import VERSIONS, encode
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.files import make_folder, replace_file

HISTORY, CURRENT = "history", "snapshots"


class Snapshots:
    """One process's folder. Not for several threads at once, but for `find`."""

    def __init__(self, folder: Path, store: Path, interval: int, chain_hash: bytes) -> None:
        """Raises ObservatoryError if another process has the folder, StoreError, OSError."""
        self._folder, self._interval, self._chain_hash = folder, interval, chain_hash
        make_folder(folder)
        self._lock = _locked(folder)
        try:
            self._gossmap = Gossmap(store)
        except BaseException:
            os.close(self._lock)
            raise
        self.history: History | None = None
        self.warning = ""
        """What of the folder could not be used; empty if all could."""
        self._load()

    def close(self) -> None:
        """Give folder and store back."""
        self._gossmap.close()
        os.close(self._lock)

    def _load(self) -> None:
        path = self._folder / HISTORY
        with contextlib.suppress(FileNotFoundError):
            try:
                self.history = unpack(path.read_bytes())
            except HistoryError as error:
                self.warning = f"{path} is not used: {error}; all clients get the whole map once more"
                return
            self._write(self.history)

    def due(self, clock: float) -> float:
        """Seconds until the next step."""
        return 0.0 if self.history is None else max(0.0, self.history.now + self._interval - clock)

    def step(self, clock: float) -> History:
        """Look at the map, unless that was done for this time already. Raises StoreError, OSError: all is as before."""
        at = int(clock) // self._interval * self._interval
        if self.history is not None and at <= self.history.now:
            return self.history
        self._gossmap.refresh()
        found = advanced(self.history, self._gossmap, at, self._interval, self._chain_hash)
        replace_file(self._folder / HISTORY, pack(found))
        self._write(found)
        self.history = found
        return found

    def _write(self, history: History) -> None:
        """All files of its last step; they take the place of those before."""
        part = self._folder / f"{CURRENT}.part"
        shutil.rmtree(part, ignore_errors=True)
        for version in VERSIONS:
            (part / f"v{version}").mkdir(parents=True)
        for base in (WHOLE, *(step for step in history.steps if history.now - step < KEPT_SECONDS)):
            snapshot = snapshot_since(history, base)
            for version in VERSIONS:
                data = encode(snapshot, version)
                (part / f"v{version}" / f"{base}.bin").write_bytes(data)
                (part / f"v{version}" / f"{base}.bin.gz").write_bytes(gzip.compress(data, mtime=0))
        self._show(part, f"{CURRENT}-{history.now}")

    def _show(self, part: Path, name: str) -> None:
        shutil.rmtree(self._folder / name, ignore_errors=True)
        part.rename(self._folder / name)
        link = self._folder / f"{CURRENT}.link"
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        link.rename(self._folder / CURRENT)
        for old in self._folder.glob(f"{CURRENT}-*"):
            if old.name != name:
                shutil.rmtree(old, ignore_errors=True)

    def find(self, version: int, timestamp: int, clock: float, *, as_gzip: bool) -> bytes:
        """The file for a client with this timestamp. Raises OSError."""
        if self.history is None:
            raise ObservatoryError("there was no step yet")
        base = base_of(self.history.steps, timestamp, clock)
        folder, ending = self._folder / CURRENT / f"v{version}", "bin.gz" if as_gzip else "bin"
        try:
            return (folder / f"{base}.{ending}").read_bytes()
        except FileNotFoundError:  # the next step has come meanwhile, and this one is too old for it
            return (folder / f"{WHOLE}.{ending}").read_bytes()


def _locked(folder: Path) -> int:
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise ObservatoryError(f"another process writes snapshots to {folder}") from None
    return fd
