"""`lightning-cli-py probe`: nodes are asked side by side for some minutes, or until Ctrl-C; then the report."""

import asyncio
import contextlib
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gossipd.gossmap import Gossmap
from lightningd_py.errors import UsageError
from lightningd_py.probe.conversation import Conversation
from lightningd_py.probe.report import as_json
from lightningd_py.probe.survey import Survey
from wire.address import DEFAULT_PORTS, parse_peer
from wire.types import NETWORKS

LOOK = 0.5
"""Seconds between two looks of a bar."""
MOST_NODES = 64

Show = Callable[[float, int], None]
"""Called with the seconds so far, and the channels so far."""


def targets_of(words: list[str], network: str) -> list[str]:
    """ID@HOST[:PORT] each, complete. Raises UsageError."""
    found = []
    for word in words:
        try:
            node_id, address = parse_peer(word, DEFAULT_PORTS[network])
        except ValueError as error:
            raise UsageError(f"{word}: {error}") from error
        if address is None:
            raise UsageError(f"{word}: expected ID@HOST[:PORT]")
        found.append(f"{node_id.hex()}@{address}")
    if len(set(found)) > MOST_NODES:
        raise UsageError(f"{len(found)} nodes are too many: {MOST_NODES} at most")
    return list(dict.fromkeys(found))


def targets_on(store: Path, count: int) -> tuple[list[str], frozenset[int] | None]:
    """Nodes of the map in this gossip_store, drawn at random among those with an IP address; and its channels.

    No nodes and None if there is no such map.
    """
    try:
        with Gossmap(store) as known:
            channels = frozenset(channel.short_channel_id for channel in known.channels())
            found = [
                f"{node.node_id.hex()}@{address}"
                for node in known.nodes()
                for address in [next((a for a in node.addresses if a.kind in ("ipv4", "ipv6")), None)]
                if address is not None
            ]
    except (OSError, ValueError):
        return [], None
    return random.sample(found, min(count, len(found))), channels


def probe(
    targets: list[str], network: str, seconds: float, ours: frozenset[int] | None, show: Show | None = None
) -> dict[str, Any]:
    """Ask these nodes for so many seconds; the report. Ctrl-C ends it early."""
    return asyncio.run(_probe(targets, network, seconds, ours, show))


async def _probe(
    targets: list[str], network: str, seconds: float, ours: frozenset[int] | None, show: Show | None
) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    survey = Survey(targets, NETWORKS[network])
    talks = [Conversation(survey, i, network, began).run() for i in range(len(targets))]
    everything = asyncio.gather(*talks)
    loop.add_signal_handler(signal.SIGINT, everything.cancel)
    bar = asyncio.create_task(_show(survey, began, show)) if show is not None else None
    try:
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(seconds):
                await everything
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        if bar is not None:
            bar.cancel()
    return as_json(survey, network, loop.time() - began, ours)


async def _show(survey: Survey, began: float, show: Show) -> None:
    while True:
        show(asyncio.get_running_loop().time() - began, len(survey.channels))
        await asyncio.sleep(LOOK)
