"""A changed option in the config files: what `setconfig` writes, as CLN does it, so that it holds after a restart.

The new line stands in FILE.setconfig, which FILE includes from then on: FILE is the one of --conf, or the network's
`config`. What other files say of the option becomes a comment. Every file is written beside its place first, and then
takes it: one that cannot be written leaves all as it was.
"""

import contextlib
import os
import stat
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from lightningd_py.config import values
from lightningd_py.config.config_file import Origin, Setting
from lightningd_py.config.options import Options
from wire.command.console import reason
from wire.start.late_dataclass import dataclass

ENDING = ".setconfig"
TRANSIENT = "setconfig"
"""Where a setting was made that no file has."""
FIRST_LINE = "# Made by setconfig; it may be edited while the node is stopped."
OLD = "# setconfig commented out (see {}): "


class NotKept(Exception):
    """No config file was changed; one sentence."""


@dataclass(slots=True)
class _File:
    """A config file's lines, as they are to be."""

    path: Path
    lines: list[str]
    changed: bool = False

    @classmethod
    def read(cls, path: Path) -> "_File":
        """Empty if it is not there. Raises NotKept."""
        real = Path(os.path.realpath(path))
        try:
            text = real.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return cls(real, [])
        except (OSError, UnicodeDecodeError) as error:
            why = reason(error) if isinstance(error, OSError) else "it is not UTF-8 text"
            raise NotKept(f"Cannot read config file {path}: {why}") from error
        return cls(real, text.removesuffix("\n").split("\n"))

    def write(self) -> Path:
        """A new file beside it, which has all. Raises OSError."""
        mode = stat.S_IMODE(self.path.stat().st_mode) if self.path.exists() else 0o600
        fd, name = tempfile.mkstemp(prefix=f"{self.path.name}.", dir=self.path.parent)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                os.fchmod(fd, mode)
                file.write("\n".join([*self.lines, ""]))
                file.flush()
                os.fsync(fd)
        except BaseException:
            Path(name).unlink()
            raise
        return Path(name)


def where(setting: Setting) -> tuple[Path, int] | None:
    """File and line, counted from 1; None for what stands in no file."""
    if setting.origin is Origin.COMMAND_LINE:
        return None
    file, _, number = setting.where.rpartition(": ")[0].rpartition(":")
    return (Path(file), int(number)) if number.isdecimal() else None


class Keeper:
    """The config files of one node, for one change."""

    def __init__(self, options: Options) -> None:
        base = options.network_dir / "config" if options.conf is None else values.from_root(options.conf)
        self._settings = options.settings
        self._origin = Origin.NETWORK_FILE if options.conf is None else Origin.EXPLICIT_FILE
        self._base = base
        self._own = base.with_name(base.name + ENDING)
        self._files: dict[Path, _File] = {}

    def keep(self, name: str, texts: Iterable[str]) -> list[Setting]:
        """Write these values instead of all that is said of the option in files; the new settings. Raises NotKept."""
        own = self._file(self._own)
        if not own.lines:
            own.lines.append(FIRST_LINE)
        free = [
            number
            for setting in self._settings
            if setting.name == name and (place := where(setting)) is not None
            for number in self._take_out(setting, *place)
        ]
        kept = []
        for text in texts:
            if not free:
                own.lines.append("")
                free.append(len(own.lines))
            number = free.pop(0)
            own.lines[number - 1] = f"{name}={text}"
            kept.append(Setting(name, text, f"{self._own}:{number}: {name}", self._origin))
        self._include()
        self._write()
        return kept

    def _file(self, path: Path) -> _File:
        real = Path(os.path.realpath(path))
        if real not in self._files:
            self._files[real] = _File.read(path)
        return self._files[real]

    def _take_out(self, setting: Setting, path: Path, number: int) -> list[int]:
        """A comment from now on; in our own file an empty line, which is free. No other line gets another number."""
        file, line = self._file(path), f"{setting.name}={setting.value}"
        said = file.lines[number - 1].removesuffix("\r") if number <= len(file.lines) else None
        if said != line:
            raise NotKept(f"Configfile {path} line {number} changed from {line} to {said or 'nothing'}!")
        is_own = file is self._file(self._own)
        file.lines[number - 1] = "" if is_own else OLD.format(self._own.name) + said
        file.changed = True
        return [number] if is_own else []

    def _include(self) -> None:
        base, line = self._file(self._base), f"include {self._own.name}"
        if line not in (each.strip() for each in base.lines):
            base.lines += [time.strftime("# Inserted by setconfig %Y-%m-%d %H:%M:%SZ", time.gmtime()), line]
            base.changed = True

    def _write(self) -> None:
        """What has the new value first: if the machine stops in between, the last word is the new one's."""
        own = self._file(self._own)
        changed = [own, *(file for file in self._files.values() if file.changed and file is not own)]
        ready: list[tuple[Path, Path]] = []
        try:
            for file in changed:
                ready.append((file.write(), file.path))
            for made, path in ready:
                made.replace(path)
        except OSError as error:
            for made, _ in ready:
                with contextlib.suppress(OSError):
                    made.unlink()
            raise NotKept(f"Cannot write to config file {error.filename or self._base}: {reason(error)}") from error


def transient(name: str, texts: Iterable[str]) -> list[Setting]:
    """The settings of a change that no file has."""
    return [Setting(name, text, f"{TRANSIENT}: {name}", Origin.COMMAND_LINE) for text in texts]


def is_on_command_line(setting: Setting) -> bool:
    """And no change of this life of the node."""
    return setting.origin is Origin.COMMAND_LINE and not setting.where.startswith(f"{TRANSIENT}: ")


def transients(options: Options) -> list[tuple[str, str]]:
    """Name and value of each of these."""
    found = [setting for setting in options.settings if setting.where.startswith(f"{TRANSIENT}: ")]
    return [(setting.name, setting.value or "") for setting in found]


def grouped(found: Iterable[tuple[str, str]]) -> Iterable[tuple[str, list[str]]]:
    """Each name with all its values."""
    by_name: dict[str, list[str]] = {}
    for name, text in found:
        by_name.setdefault(name, []).append(text)
    return by_name.items()
