"""`--log-file` and `--log-level` together: which file has which levels."""

from collections.abc import Sequence
from pathlib import Path

from lightningd_py.errors import UsageError
from wire.log.style import LogStyle, split_level


def log_path(file: str, network_dir: Path) -> str:
    """Absolute; "-" is standard output."""
    return file if file == "-" else str(network_dir / file)


def levels_of_files(levels: Sequence[str], files: Sequence[str], network_dir: Path) -> tuple[str, ...]:
    """Those of one file alone name it as `files` does. If there is no other file they are those of all.

    Raises UsageError for a file that is none of these.
    """
    named = []
    for each in levels:
        level, subsystem, file = split_level(each)
        if file and (file := log_path(file, network_dir)) not in files:
            raise UsageError(f"--log-level: {file} is none of the log files: there is no such --log-file")
        named.append(f"{level}:{subsystem}:{file}" if file else each)
    style = LogStyle(tuple(named))
    return style.levels if len(set(files)) > 1 else style.of_file(files[0]).levels
