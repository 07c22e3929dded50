"""CLN's config file format: one option a line, as on the command line but without the two dashes.

    # a comment
    network=regtest
    offline
    include more.conf

A key may be repeated where the option allows it; the path after `include` is relative to the file that it stands in.
What the keys mean is in `options.py`. Source: CLN's lightningd-config(5).
"""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from lightningd_py.errors import DirectoryError, UsageError
from wire.command.console import reason
from wire.start.late_dataclass import dataclass

DEEPEST_INCLUDE = 100


class Origin(Enum):
    """Where a setting was found; some options are allowed in some places only."""

    COMMAND_LINE = "the command line"
    EXPLICIT_FILE = "a file given with --conf"
    BASE_FILE = "<lightning-dir>/config"
    NETWORK_FILE = "<lightning-dir>/<network>/config"


@dataclass(frozen=True, slots=True)
class Setting:
    """One option as it is written. `value` is None where there was no `=`; `where` begins every complaint."""

    name: str
    value: str | None
    where: str
    origin: Origin


def read_config(path: Path, origin: Origin, *, must_exist: bool) -> list[Setting]:
    """The settings of a config file and of those that it includes, in order.

    A missing file is an empty one unless `must_exist`. Raises UsageError, with file and line, for a file that cannot
    be read (DirectoryError if nothing has named it), for text that is not UTF-8, for a NUL and for a loop of includes;
    what the keys mean is not looked at.
    """
    if not must_exist and _is_missing(path):
        return []
    return list(_settings(path, origin, depth=0))


def _is_missing(path: Path) -> bool:
    """Not so of a symbolic link to nothing: something was meant to be there. Raises DirectoryError."""
    try:
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        return not path.is_symlink()
    except OSError as error:
        raise DirectoryError(f"config file {path} cannot be read: {reason(error)}") from error
    return False


def _settings(path: Path, origin: Origin, depth: int) -> Iterator[Setting]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{path}:{number}"
        if "\0" in line:
            raise UsageError(f"{where}: has a NUL byte, which is no text")
        if line.startswith("include "):
            if depth == DEEPEST_INCLUDE:
                raise UsageError(f"{where}: include loop")
            included = path.parent / line.removeprefix("include ").strip()
            yield from _settings(included, origin, depth + 1)
        else:
            yield _setting(line, where, origin)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8-sig")  # Windows editors begin a file with U+FEFF
    except OSError as error:
        why = "it is a symbolic link to nothing" if path.is_symlink() and not path.exists() else reason(error)
        raise UsageError(f"config file {path} cannot be read: {why}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"config file {path} is not UTF-8 text") from error
    return [line.removesuffix("\r") for line in text.split("\n")]


def _setting(line: str, where: str, origin: Origin) -> Setting:
    """A key with no value may be followed by spaces; those after a value are the option's business."""
    name, equals, value = line.partition("=")
    if not equals:
        name = name.rstrip()
    return Setting(name, value if equals else None, f"{where}: {name}", origin)
