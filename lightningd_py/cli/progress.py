"""A bar on standard error while a command takes long: on a terminal only, and gone when the command is done."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from gossipd.gossmap import open_to_read
from lightningd_py.client import Heard, NotTalking, call, request
from lightningd_py.terminal.tables import console
from wire.control.status import sane

STEP = 0.1
"""Seconds between two looks."""
WORDS = {
    "compactgossipstore": "rewriting gossip_store",
    "graceful": "peers go",
    "restart": "a new process takes over",
    "resync": "syncing",
    "waitsync": "syncing",
}

Look = Callable[[], float | None]
"""How much is done, in percent; None where it cannot be known."""


def call_with_bar(
    method: str, path: Path, asked: dict[str, Any], store: Path, stream: Any, also: Heard | None = None
) -> dict[str, Any]:
    """As `client.call`, with a bar: by the node's notifications, or by what can be seen. After `resync` until the node
    has what it has asked for. `also` gets the notifications, too.
    """
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=console(stream),
        transient=True,
    ) as shown:
        task = shown.add_task(WORDS[method], total=None)

        def show(percent: float | None) -> None:
            if percent is not None:
                shown.update(task, total=100, completed=percent)

        def heard(notification: str, params: dict[str, Any]) -> None:
            show(bar_of(notification, params))
            if also is not None:
                also(notification, params)
            if notification == "message":
                shown.update(task, description=sane(str(params.get("message"))))

        look = _compacted(path, store) if method == "compactgossipstore" else lambda: None
        reply = _meanwhile(lambda: call(path, asked, heard=heard), lambda: show(look()))
        if method == "resync" and "error" not in reply:
            for percent, state in _syncing(path):
                shown.update(task, description=f"syncing, {state}")
                show(percent)
        return reply


def bar_of(notification: str, params: dict[str, Any]) -> float | None:
    """Percent of a `progress`, whose steps count from 0; None for what is none."""
    num, total = params.get("num"), params.get("total")
    if notification != "progress" or not isinstance(num, int) or not isinstance(total, int) or total <= 0:
        return None
    return 100 * min(max(num, 0), total) / total


def _meanwhile(work: Callable[[], dict[str, Any]], show: Callable[[], None]) -> dict[str, Any]:
    """The work's result or exception, `show` called while it is done; Ctrl-C does not wait for it."""
    done: list[dict[str, Any] | NotTalking] = []
    ready = threading.Event()

    def run() -> None:
        try:
            done.append(work())
        except NotTalking as error:
            done.append(error)
        finally:
            ready.set()

    threading.Thread(target=run, daemon=True).start()
    while not ready.wait(STEP):
        show()
    (result,) = done
    if isinstance(result, NotTalking):
        raise result
    return result


def _compacted(path: Path, store: Path) -> Look:
    """What is alive goes to a new file beside the store."""
    live = call(path, request("gossipstatus")).get("result", {}).get("store_live_bytes", 0)
    successor = store.with_name(f"{store.name}.tmp")

    def look() -> float | None:
        try:
            fd = open_to_read(successor)
        except OSError:
            return None
        try:
            return 100 * os.fstat(fd).st_size / live if live else None
        finally:
            os.close(fd)

    return look


def _syncing(path: Path) -> Iterator[tuple[float, str]]:
    """Percent and state until the state is normal. Raises NotTalking if the node ends meanwhile."""
    pause = threading.Event()
    while True:
        status = call(path, request("gossipstatus")).get("result", {})
        if status.get("state", "normal") == "normal":
            return
        yield float(status["percent"]), str(status["state"])
        pause.wait(STEP)
