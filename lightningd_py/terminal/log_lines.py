"""What `getlog` gives, as people read a log."""

from collections.abc import Iterator
from typing import Any

from wire.command.text import replaced
from wire.log.line import stamp


def log_lines(result: dict[str, Any]) -> Iterator[str]:
    """The lines of `getlog` as they stand in the log."""
    began = float(result.get("created_at", 0))
    for entry in result["log"]:
        if entry.get("type") == "SKIPPED":
            yield f"({entry.get('num_skipped')} lines are not shown)"
        else:
            who = "-".join(str(entry[key]) for key in ("node_id", "source") if entry.get(key))
            when = stamp(began + float(entry.get("time", 0)))
            yield replaced(f"{when} {entry.get('type'):7} {who}: {entry.get('log')}")
