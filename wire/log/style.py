"""How the log of a node looks, and which lines are in it: what the options of the log say, for all its processes.

A process gets it on its command line as one word of text, `LogStyle.argument`:

    info,debug:gossipd                       levels, separated by commas: of all, and of sources that a word stands in
    info,debug:gossipd;json;prefix=node A    and, separated by semicolons, what is not as usual
"""

import logging
import re
from dataclasses import dataclass

IO, TRACE, DEBUG, INFO, UNUSUAL, BROKEN = 3, 5, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR

LEVELS = {"io": IO, "trace": TRACE, "debug": DEBUG, "info": INFO, "unusual": UNUSUAL, "broken": BROKEN}
NAMES = {number: name for name, number in LEVELS.items()}
_SUBSYSTEM = re.compile(r"[\w .-]+")
_IN_NODE_ID = re.compile("[0-9a-f]+")


def parse_levels(text: str) -> tuple[str, ...]:
    """`LEVEL[:SUBSYSTEM],...`: each of them. Raises ValueError."""
    levels = tuple(text.split(","))
    for each in levels:
        level, colon, subsystem = each.partition(":")
        if level not in LEVELS:
            raise ValueError(f"'{level}' is not one of {', '.join(LEVELS)}")
        if ":" in subsystem:
            raise ValueError("a level for one log file alone is not possible here: all files have the same lines")
        if colon and not _SUBSYSTEM.fullmatch(subsystem):
            raise ValueError(f"'{subsystem}' is no part of a subsystem's name")
    return levels


@dataclass(frozen=True, slots=True)
class LogStyle:
    """What the options of the log say. `levels`: each `LEVEL` or `LEVEL:SUBSYSTEM`; a later one counts more."""

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

    def level_of(self, source: str, node_id: str = "") -> int:
        """From which level on lines of this source are logged, if they are about this node."""
        found = INFO
        who = f"{node_id}-{source}"
        for each in sorted(self.levels, key=lambda each: ":" in each):  # those of some sources count more
            level, _, subsystem = each.partition(":")
            if subsystem in who:
                found = LEVELS[level]
        return found

    def lowest_level_of(self, source: str) -> int:
        """The same for any node: a line that is below this one need not be made."""
        found = self.level_of(source)
        for each in self.levels:
            level, _, subsystem = each.partition(":")
            if subsystem and _IN_NODE_ID.fullmatch(subsystem):
                found = min(found, LEVELS[level])
        return found
