"""Where each node of the map stands: made once by `layout.py` in a process of its own, kept in a file, and used for the
map of any time, so that nodes stay where they are when the map goes on.

Without a layout (numpy is missing, or it is still being made) nodes stand in a spiral, those with most channels in
the middle.
"""

import contextlib
import hashlib
import math
import os
import subprocess
import sys
from array import array
from collections.abc import Sequence
from pathlib import Path

from lightningd_py.observatory.tables.files import replace_file

MAGIC = b"lightningd-py positions 1\n"
ENTRY = 33 + 8
MOST_NODES = 1_000_000
MODULE = "lightningd_py.observatory.web.layout"
LONGEST = 600.0
"""Seconds for a layout."""
ENOUGH = 0.9
"""A layout is made again when less than this share of the nodes has a place in it."""
GOLDEN = math.pi * (3 - math.sqrt(5))
Spot = tuple[float, float]


class Positions:
    """By node_id, in a square of 2,000 around 0. `file`: None keeps nothing."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._known: dict[bytes, Spot] = {} if file is None else _read(file)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    @property
    def is_good(self) -> bool:
        """There is a layout."""
        return bool(self._known)

    def covers(self, node_ids: Sequence[bytes]) -> bool:
        """Whether the layout is good enough for a map of these nodes."""
        return not node_ids or sum(node_id in self._known for node_id in node_ids) >= ENOUGH * len(node_ids)

    def placed(self, node_ids: Sequence[bytes], a: Sequence[int], b: Sequence[int]) -> list[Spot]:
        """A place for each node; `a` and `b`: places in `node_ids` of the two ends of each channel."""
        if not self._known:
            return _spiral(len(node_ids), a, b)
        sums: dict[int, tuple[float, float, int]] = {}
        for one, two in (*zip(a, b, strict=True), *zip(b, a, strict=True)):
            if (spot := self._known.get(node_ids[two])) is not None and node_ids[one] not in self._known:
                x, y, count = sums.get(one, (0.0, 0.0, 0))
                sums[one] = x + spot[0], y + spot[1], count + 1
        return [self._known.get(node_id) or _beside(node_id, sums.get(at)) for at, node_id in enumerate(node_ids)]

    def lay_out(self, node_ids: Sequence[bytes], a: Sequence[int], b: Sequence[int]) -> bool:
        """Make a layout, from the one that is there if there is one. Returns whether there is a new one. Blocking."""
        begin = self.placed(node_ids, a, b) if self._known else []
        said = _question(len(node_ids), a, b, begin)
        answer = self._ask(said)
        found = array("f")
        if len(answer) != 8 * len(node_ids):
            return False
        found.frombytes(answer)
        self._known = dict(zip(node_ids, zip(found[::2], found[1::2], strict=True), strict=True))
        if self._file is not None:
            with contextlib.suppress(OSError):  # the next start makes it again
                self._file.parent.mkdir(parents=True, exist_ok=True)
                replace_file(self._file, _written(self._known))
        return True

    def _ask(self, question: bytes) -> bytes:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-P", "-m", MODULE]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as self._process:  # noqa: S603
            try:
                if self._stopped:
                    self._process.kill()
                return self._process.communicate(question, LONGEST)[0]
            except subprocess.TimeoutExpired:
                self._process.kill()
                return b""

    def stop(self) -> None:
        """End a layout that is being made, and make none any more."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()


def _question(count: int, a: Sequence[int], b: Sequence[int], begin: Sequence[Spot]) -> bytes:
    """As layout.py reads it: three counts, both ends of the channels, and places to begin from, if there are any."""
    spots = array("f", (value for spot in begin for value in spot))
    counts = array("I", (count, len(a), len(begin)))
    return b"".join(each.tobytes() for each in (counts, array("I", a), array("I", b), spots))


def _beside(node_id: bytes, near: tuple[float, float, int] | None) -> Spot:
    """In the middle of its neighbours, a little off, always by the same for the same node; alone at the edge."""
    chance = hashlib.sha256(node_id).digest()
    angle = int.from_bytes(chance[:4], "big") / (1 << 32) * math.tau
    if near is None:
        return 1000 * math.cos(angle), 1000 * math.sin(angle)
    x, y, count = near
    away = 8 + 12 * chance[4] / 255
    return x / count + away * math.cos(angle), y / count + away * math.sin(angle)


def _spiral(count: int, a: Sequence[int], b: Sequence[int]) -> list[Spot]:
    degrees = [0] * count
    for place in (*a, *b):
        degrees[place] += 1
    spots: list[Spot] = [(0.0, 0.0)] * count
    for rank, place in enumerate(sorted(range(count), key=lambda each: -degrees[each])):
        away = 1000 * math.sqrt(rank / count)
        spots[place] = away * math.cos(rank * GOLDEN), away * math.sin(rank * GOLDEN)
    return spots


def _written(known: dict[bytes, Spot]) -> bytes:
    return MAGIC + b"".join(node_id + array("f", spot).tobytes() for node_id, spot in known.items())


def _read(file: Path) -> dict[bytes, Spot]:
    """Nothing if it is no such file: it is only kept to save the time."""
    try:
        with file.open("rb") as opened:
            data = opened.read(len(MAGIC) + ENTRY * MOST_NODES)
    except OSError:
        return {}
    body = data[len(MAGIC) :]
    if not data.startswith(MAGIC) or len(body) % ENTRY:
        return {}
    known = {}
    for at in range(0, len(body), ENTRY):
        spot = array("f", body[at + 33 : at + ENTRY])
        if not all(map(math.isfinite, spot)):
            return {}
        known[body[at : at + 33]] = spot[0], spot[1]
    return known
