"""The layout of a graph, as a process: `python -m lightningd_py.observatory.web.layout`, edges in, places out.

It is a ForceAtlas2 (Jacomy et al. 2014) whose repulsion is not summed over pairs or a tree but over a grid, by FFT: the
public network takes seconds in numpy, where 20 steps of the JavaScript one take six in a browser. Standard input: u32
nodes, edges, starts; u32 ends a of each edge; u32 ends b; f32 x, y of each node if `starts`. Standard output: f32 x, y.
"""

import os
import sys
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]

STEPS, STEPS_AGAIN = 200, 40
"""Steps from nothing, and from places that are there."""
GRIDS = ((0.35, 64), (0.65, 128), (0.9, 256), (1.0, 512))
"""Up to which share of the steps so many cells are on a side;"""
FEW, CELLS_A_NODE = 128, 16
"""but of more on a side than these, no more than so many for each node: nearly all would be empty."""
GRAVITY = 20.0
REACH = 1000.0
NICE = 10


class Graph(NamedTuple):
    """`a`, `b`: ends of each edge. `mass`: 1 + degree, of each node."""

    a: Numbers
    b: Numbers
    mass: Floats


class Grid:
    """The force of all masses at each place, as that of 1/distance."""

    def __init__(self, side: int) -> None:
        self.side = side
        steps = np.arange(2 * side)
        steps = np.where(steps < side, steps, steps - 2 * side).astype(np.float64)
        dx, dy = np.meshgrid(steps, steps, indexing="ij")
        squares = dx * dx + dy * dy + 0.25
        self._kernels = [np.fft.rfft2(dx / squares), np.fft.rfft2(dy / squares)]

    def force(self, places: Floats, mass: Floats, size: float) -> Floats:
        """On each node; `size`: of the square that they are in."""
        side, cell = self.side, size / (self.side - 1.001)
        at = (places - places.min(axis=0)) / cell
        corner = at.astype(np.int64)
        part = at - corner
        near, far = 1 - part, part
        corners = [
            ((corner[:, 0] + i) * 2 * side + corner[:, 1] + j, (far, near)[1 - i][:, 0] * (far, near)[1 - j][:, 1])
            for i in (0, 1)
            for j in (0, 1)
        ]
        masses = np.zeros(4 * side * side)
        for index, share in corners:
            masses += np.bincount(index, share * mass, minlength=4 * side * side)
        spectrum = np.fft.rfft2(masses.reshape(2 * side, 2 * side))
        fields = [np.fft.irfft2(spectrum * kernel, s=(2 * side, 2 * side)).ravel() / cell for kernel in self._kernels]
        forces = [sum((field[index] * share for index, share in corners), np.zeros(len(mass))) for field in fields]
        return np.stack(forces, axis=1) * mass[:, None]


def lay_out(count: int, a: Numbers, b: Numbers, begin: Floats | None) -> Floats:
    """Places in a square of 2 * REACH around 0; the same for the same graph."""
    degrees = np.bincount(a, minlength=count) + np.bincount(b, minlength=count)
    graph = Graph(a, b, 1.0 + degrees.astype(np.float64))
    steps = STEPS if begin is None else STEPS_AGAIN
    places = np.random.default_rng(1).normal(size=(count, 2)) if begin is None else begin / REACH
    places = places * np.sqrt(count) * 10
    return _fitted(_moved(graph, places, steps, is_new=begin is None), graph.mass)


def _moved(graph: Graph, places: Floats, steps: int, *, is_new: bool) -> Floats:
    speed, before, grid = 1.0, np.zeros_like(places), Grid(GRIDS[0][1])
    finest = max(side for _, side in GRIDS if side <= FEW or side * side <= CELLS_A_NODE * len(places))
    for step in range(steps):
        share = (step + 1) / steps
        side = next(side for until, side in GRIDS if share <= until) if is_new else GRIDS[-2][1]
        side = min(side, finest)
        if side != grid.side:
            grid = Grid(side)
        size = float(np.ptp(places, axis=0).max()) * 1.0001 + 1e-9
        force = grid.force(places, graph.mass, size) + _pull(graph, places)
        swing = np.linalg.norm(force - before, axis=1)
        traction = np.linalg.norm(force + before, axis=1) / 2
        speed = min(float((graph.mass * traction).sum() / ((graph.mass * swing).sum() + 1e-9)), speed * 1.5)
        move = force * (speed / (1 + speed * np.sqrt(swing)))[:, None]
        longest = size * (0.05 * (1 - share) + 0.002)
        move *= np.minimum(1, longest / (np.linalg.norm(move, axis=1) + 1e-9))[:, None]
        places, before = places + move, force
    return places


def _pull(graph: Graph, places: Floats) -> Floats:
    """Along the edges, and to the middle."""
    count = len(places)
    along = places[graph.b] - places[graph.a]
    pulls = [
        np.bincount(graph.a, along[:, axis], count) - np.bincount(graph.b, along[:, axis], count) for axis in (0, 1)
    ]
    away = np.linalg.norm(places, axis=1) + 1e-9
    pull: Floats = np.stack(pulls, axis=1) - GRAVITY * (graph.mass / away)[:, None] * places
    return pull


def _fitted(places: Floats, mass: Floats) -> Floats:
    """Around 0 and within REACH. What is far out is drawn in, and what is crowded in the middle is spread: halfway to
    where all places of the disc would be equally full."""
    places = places - np.average(places, axis=0, weights=mass)
    away = np.linalg.norm(places, axis=1)
    middle = float(np.median(away)) + 1e-9
    drawn = np.log1p(away / middle)
    even = np.sqrt((np.argsort(np.argsort(away)) + 1) / len(away))
    reach = REACH * (drawn / (float(drawn.max()) + 1e-9) + even) / 2
    fitted: Floats = places * (reach / (away + 1e-9))[:, None]
    return fitted


def main() -> int:
    """Read the question, write the answer."""
    os.nice(NICE)
    question: Any = sys.stdin.buffer.read()
    count, edges, starts = (int(each) for each in np.frombuffer(question, np.uint32, 3))
    ends = np.frombuffer(question, np.uint32, 2 * edges, 12).astype(np.int64)
    begin = None
    if starts:
        begin = np.frombuffer(question, np.float32, 2 * count, 12 + 8 * edges).astype(np.float64).reshape(count, 2)
    places = lay_out(count, ends[:edges], ends[edges:], begin) if count else np.zeros((0, 2))
    sys.stdout.buffer.write(places.astype(np.float32).tobytes())
    return 0


if __name__ == "__main__":
    sys.exit(main())
