"""JSON lines on stdin and stdout: how a test drives a program of another virtual environment.

`{"command": "send", ...}` is answered with `{"ok": ...}` or `{"error": ...}`; the end of stdin ends the program.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

Command = Callable[..., Any]


def serve(commands: dict[str, Command]) -> None:
    """Answer each line by calling the command it names with its other members as arguments."""
    for line in sys.stdin:
        arguments = json.loads(line)
        try:
            answer = {"ok": commands[arguments.pop("command")](**arguments)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
