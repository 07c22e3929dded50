"""The made-up day said to nodes, and the truth about it: a record of what was said, in the recorder's own tables.

So any question can be asked of the truth and of the nodes' records alike: their answers must be the same.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lightningd_py.observatory.exchange.importing import Importing
from lightningd_py.observatory.record.messages import HASH_SIZE, message_row
from lightningd_py.observatory.record.rows import Seen
from lightningd_py.observatory.replay.day import Day, scripts
from lightningd_py.observatory.replay.speakers import Script, speak_all
from lightningd_py.observatory.tables.schemas import IN

TRUTH = "truth"
HEAD_START = 2.0


class Told(NamedTuple):
    """What was said in all."""

    arrivals: int
    messages: int


def say_day(
    day: Day,
    targets: Mapping[str, str],
    network: str,
    seed: int,
    truth: Path | None,
    progress: Callable[[int], None] = lambda rows: None,
) -> Told:
    """Say it, and write the truth. `targets`: the node's name as a vantage point -> `id@host:port`.

    Raises ObservatoryError if a node cannot be reached or hangs up.
    """
    made = scripts(day, list(targets.values()), seed)
    names = {target: name for name, target in targets.items()}
    said: list[tuple[Script, int, bytes]] = []

    def note(script: Script, at_ns: int, raw: bytes) -> None:
        said.append((script, at_ns, raw))
        progress(1)

    asyncio.run(speak_all(made, network, note, HEAD_START))
    if truth is not None:
        _write_truth(truth, said, names)
    return Told(len(said), len({raw for _, _, raw in said}))


def _write_truth(folder: Path, said: Sequence[tuple[Script, int, bytes]], names: Mapping[str, str]) -> None:
    seen = Seen()
    with Importing(folder, TRUTH) as into:
        for script, at_ns, raw in sorted(said, key=lambda each: each[1]):
            sha256, vantage = hashlib.sha256(raw).digest(), names[script.target]
            short, kind = sha256[:HASH_SIZE], int.from_bytes(raw[:2], "big")
            row = at_ns, vantage, short, script.node_id, None, True, IN, None, kind, len(raw), None, None
            into.add("arrivals", row)
            if seen.is_new(short):
                into.add("messages", message_row(vantage, at_ns, sha256, raw, True))
