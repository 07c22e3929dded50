"""How the log of a node looks, and which lines are in it: what the options of the log say, for all its processes.

A process gets it on its command line as one word of text, `LogStyle.argument`:

    info,debug:gossipd                       levels, separated by commas: of all, and of sources that a word stands in
    info,debug:gossipd:/var/log/gossipd      the same for one of the log files alone
    info,debug:gossipd;json;prefix=node A    and, separated by semicolons, what is not as usual
"""

import functools
import logging
import re
from dataclasses import replace

from wire.start.late_dataclass import dataclass

IO, TRACE, DEBUG, INFO, UNUSUAL, BROKEN = 3, 5, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR

LEVELS = {"io": IO, "trace": TRACE, "debug": DEBUG, "info": INFO, "unusual": UNUSUAL, "broken": BROKEN}
NAMES = {number: name for name, number in LEVELS.items()}
_SUBSYSTEM = re.compile(r"[\w .-]+")
_IN_NODE_ID = re.compile("[0-9a-f]+")
_REMEMBERED = 1_024
"""Answers of `level_of`: a stranger's node_id is in some of the questions."""


def parse_levels(text: str) -> tuple[str, ...]:
    """`LEVEL[:SUBSYSTEM[:FILE]],...`: each of them; SUBSYSTEM may be empty before a FILE. Raises ValueError."""
    levels = tuple(text.split(","))
    for each in levels:
        level, subsystem, file = split_level(each)
        if level not in LEVELS:
            raise ValueError(f"'{level}' is not one of {', '.join(LEVELS)}")
        if each.count(":") > 1 and (not file or ";" in file):
            raise ValueError(f"'{file}' is no log file, or has a semicolon in its name")
        if ":" in each and not _SUBSYSTEM.fullmatch(subsystem) and not (file and not subsystem):
            raise ValueError(f"'{subsystem}' is no part of a subsystem's name")
    return levels


def split_level(each: str) -> tuple[str, str, str]:
    """Level, subsystem and file; empty where nothing is said of it."""
    level, subsystem, file = (*each.split(":", 2), "", "")[:3]
    return level, subsystem, file


@dataclass(frozen=True, slots=True)
class LogStyle:
    """What the options of the log say. `levels`: each `LEVEL[:SUBSYSTEM[:FILE]]`; a later one counts more."""

    levels: tuple[str, ...] = ("info",)
    prefix: str = ""
    timestamps: bool = True
    as_json: bool = False

    @property
    def argument(self) -> str:
        """The same as one word. `prefix` comes last: anything may stand in it."""
        words = [",".join(self.levels)]
        words += ["json"] if self.as_json else []
        words += [] if self.timestamps else ["untimed"]
        words += [f"prefix={self.prefix}"] if self.prefix else []
        return ";".join(words)

    @classmethod
    def parse(cls, argument: str) -> "LogStyle":
        """The inverse of `argument`. Raises ValueError."""
        rest, _, prefix = argument.partition(";prefix=")
        levels, *words = rest.split(";")
        return cls(parse_levels(levels), prefix, "untimed" not in words, "json" in words)

    @property
    def files(self) -> set[str]:
        """The log files that have levels of their own."""
        return {file for each in self.levels if (file := split_level(each)[2])}

    def of_file(self, file: str) -> "LogStyle":
        """Of this log file alone: its own levels count more than those of all files."""
        of_all, own = (
            [split_level(each)[:2] for each in self.levels if split_level(each)[2] == of] for of in ("", file)
        )
        chosen = own if any(not subsystem for _, subsystem in own) else [*of_all, *own]
        return replace(self, levels=tuple(f"{level}:{subsystem}".rstrip(":") for level, subsystem in chosen))

    def level_of(self, source: str, node_id: str = "") -> int:
        """From which level on lines of this source are logged, in any file, if they are about this node."""
        return _level_of(self, source, node_id)

    def lowest_level_of(self, source: str) -> int:
        """The same for any node: a line that is below this one need not be made."""
        found = self.level_of(source)
        for each in self.levels:
            level, subsystem, _ = split_level(each)
            if subsystem and _IN_NODE_ID.fullmatch(subsystem):
                found = min(found, LEVELS[level])
        return found


@functools.lru_cache(_REMEMBERED)
def _level_of(style: LogStyle, source: str, node_id: str) -> int:
    files = style.files
    if files:
        return min(style.of_file(file).level_of(source, node_id) for file in ("", *files))
    found, who = INFO, f"{node_id}-{source}"
    for each in sorted(style.levels, key=lambda each: ":" in each):  # those of some sources count more
        level, subsystem, _ = split_level(each)
        if subsystem in who:
            found = LEVELS[level]
    return found
