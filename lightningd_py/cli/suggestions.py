"""What a misspelt word may have been."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lightningd_py.client import NotTalking, call, request

UNKNOWN_COMMAND = -32601
OF_OURS = ("completion", "feed", "probe", "top")
"""Methods that this program has itself."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`: did you mean listpeers?`, or nothing if no word is near."""
    import difflib  # only for what is misspelt: scripts do not wait for it

    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f": did you mean {near[0]}?" if near else ""


def for_error(error: Any, method: str, path: Path) -> str:
    """The same for an error reply: the node is asked which commands it has."""
    if not isinstance(error, dict) or error.get("code") != UNKNOWN_COMMAND:
        return ""
    try:
        known = call(path, request("help"), timeout=5.0)["result"]["help"]
        return did_you_mean(method, [*OF_OURS, *(str(each["command"]).split()[0] for each in known)])
    except (NotTalking, KeyError, TypeError, IndexError):
        return ""
