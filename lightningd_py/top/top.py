"""`lightning-cli-py top`: the loop that asks the node, draws, and hears keys, until q, Ctrl-C or the node's end."""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console, Group
from rich.live import Live

from lightningd_py.client import NotTalking, call, request
from lightningd_py.terminal.log_lines import log_lines
from lightningd_py.top.keys import key_by_key, read_keys
from lightningd_py.top.model import Model, Snapshot
from lightningd_py.top.processes import usages
from lightningd_py.top.screen import MOST_LOG, Around, draw
from lightningd_py.unix_socket import pid_of
from wire.command.console import reason

ANSWER_TIME = 10.0
"""Seconds that the node has for a part of an answer."""
BAN_TIME = 86_400


class Ended(Exception):
    """q, or a signal that ends the program."""


def watch(path: Path, interval: float) -> None:
    """Show the node with this RPC socket every so many seconds. Raises NotTalking when it does not answer any more."""
    top = Top(path)
    top.ask()
    with signals() as woken, key_by_key(sys.stdin.fileno()), contextlib.suppress(Ended, EOFError):
        console = Console(markup=False, highlight=False, emoji=False)
        with Live(console=console, screen=True, auto_refresh=False) as live:
            due = time.monotonic() + interval
            while True:
                live.update(Group(*top.lines(*console.size)), refresh=True)
                ready, _, _ = select.select([sys.stdin, woken], [], [], max(0.0, due - time.monotonic()))
                if woken in ready:
                    os.read(woken, 256)
                if sys.stdin in ready:
                    for key in read_keys(sys.stdin.fileno()):
                        top.key(key)
                if time.monotonic() >= due:
                    top.ask()
                    due = time.monotonic() + interval


@contextlib.contextmanager
def signals() -> Iterator[int]:
    """An fd that wakes the loop when the terminal has another size. SIGTERM and SIGHUP raise Ended."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise Ended

    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    wanted = {signal.SIGTERM: end, signal.SIGHUP: end, signal.SIGWINCH: lambda *_: None}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    old_fd = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(old_fd)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


class Top:
    """What is known of one node, and what the next key means."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._model = Model()
        self._info: dict[str, Any] = {}
        self._log: list[str] = []
        self._message = ""
        self._confirmed: Callable[[], str] | None = None

    def ask(self) -> None:
        """The next snapshot. Raises NotTalking."""
        try:
            pid = pid_of(self._path)
        except OSError as error:
            raise NotTalking(f"no node answers on {self._path}: {reason(error)}") from error
        self._info = self._result("getinfo") or self._info
        peers = (self._result("listpeers") or {}).get("peers", [])
        gossip = self._result("gossipstatus") or {"state": "gossipd does not answer"}
        processes = usages(pid)
        self._model.feed(Snapshot(time.monotonic(), peers, gossip, processes))
        log = self._result("getlog", "unusual")
        if log is not None:  # how many are passed over is no news here: they are all that is below this level
            log["log"] = [entry for entry in log["log"] if entry.get("type") != "SKIPPED"]
        self._log = list(log_lines(log))[-MOST_LOG:] if log is not None else []

    def _result(self, method: str, *params: str) -> dict[str, Any] | None:
        """None for an error: gossipd may be starting again."""
        result = call(self._path, request(method, list(params)), ANSWER_TIME).get("result")
        return result if isinstance(result, dict) else None

    def lines(self, width: int, height: int) -> list[Any]:
        """The screen."""
        around = Around(self._info, self._log, self._message, time.time())
        return list(draw(self._model, around, width, height))

    def key(self, name: str) -> None:
        """Do what a key means. Raises Ended for q, NotTalking."""
        if self._confirmed is not None:
            self._message = self._confirmed() if name in "yY" else ""
            self._confirmed = None
            return
        self._message = ""
        if name == "q":
            raise Ended
        action = self._actions().get(name)
        if action is not None:
            action()

    def _actions(self) -> dict[str, Callable[[], None]]:
        model = self._model
        return {
            "s": model.next_sort,
            "r": model.turn,
            "up": lambda: model.move(-1),
            "down": lambda: model.move(1),
            "page up": lambda: model.move(-10),
            "page down": lambda: model.move(10),
            "enter": self._look,
            "escape": self._look_away,
            "d": lambda: self._ask_first("disconnect", "disconnect", force=True),
            "b": lambda: self._ask_first("ban for a day", "ban", seconds=BAN_TIME, reason="top"),
        }

    def _look(self) -> None:
        self._model.detail = self._model.peer is not None and not self._model.detail

    def _look_away(self) -> None:
        self._model.detail = False

    def _ask_first(self, words: str, method: str, **more: Any) -> None:
        peer = self._model.peer
        if peer is None:
            return
        whom = {"who" if method == "ban" else "id": peer.node_id}

        def do() -> str:
            reply = call(self._path, request(method, whom | more), ANSWER_TIME)
            self.ask()
            return f" {reply['error'].get('message')}" if "error" in reply else f" {words}: done"

        owned = "" if peer.owner == "gossipd" else f", which {peer.owner} owns"
        self._message = f" {words} {peer.node_id[:16]}…{owned}? y/n"
        self._confirmed = do
