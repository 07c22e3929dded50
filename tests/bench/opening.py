"""A gossip_store opened and indexed, every CRC checked, in a fresh process; pyln-client's Gossmap as reference."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.harness import ROOT, Bench, Row
from tests.interop.conftest import pyln_environment

ROUNDS = 3

_TIMED = """
import json, sys, time
from pathlib import Path
{imports}
begin = time.process_time()
opened = {opens}
spent = time.process_time() - begin
pages = int(Path("/proc/self/statm").read_text().split()[1])
print(json.dumps([spent * 1000, pages * 4096 / 1e6]))
"""
_FROM_NOTHING = """
from gossipd.map.loading import load
Path(sys.argv[1] + ".index").unlink(missing_ok=True)
"""
OURS = _TIMED.format(imports=_FROM_NOTHING, opens="load(sys.argv[1])")
_SAVED = """
from gossipd.map.loading import load, save
store, index = load(sys.argv[1])
save(store, index)
store.close()
"""
RESUMED = _TIMED.format(imports=_SAVED, opens="load(sys.argv[1])")
READER = _TIMED.format(imports="from gossipd.gossmap import Gossmap", opens="Gossmap(sys.argv[1])")
PYLN = _TIMED.format(imports="from pyln.client.gossmap import Gossmap", opens="Gossmap(sys.argv[1])")


def cost_of(python: str | Path, script: str, store: Path) -> tuple[float, float]:
    """Milliseconds of CPU, and megabytes resident afterwards; the best of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        done = subprocess.run([python, "-c", script, store], cwd=ROOT, capture_output=True, text=True, check=True)
        rounds.append(json.loads(done.stdout))
    return min(spent for spent, _ in rounds), min(size for _, size in rounds)


def _pyln(store: Path) -> tuple[float, float] | tuple[None, None]:
    """(None, None) where pyln cannot be installed."""
    try:
        return cost_of(pyln_environment(), PYLN, store)
    except pytest.skip.Exception:
        return None, None


async def measure(bench: Bench) -> Iterator[Row]:
    """gossipd's own entrance, the reader of others, and pyln's."""
    ours, resident = cost_of(sys.executable, OURS, bench.map.path)
    resumed, _ = cost_of(sys.executable, RESUMED, bench.map.path)
    reader, _ = cost_of(sys.executable, READER, bench.map.path)
    pyln, pyln_resident = _pyln(bench.map.path)
    megabytes = bench.map.path.stat().st_size / 1e6
    return iter(
        [
            Row(
                f"open a store of {megabytes:.1f} MB", ours, "ms CPU", pyln, "pyln-client's Gossmap", "<= 120 at 42 MB"
            ),
            Row("open after a clean stop", resumed, "ms CPU", pyln, "pyln-client's Gossmap", "<= 100 at 42 MB"),
            Row("open: memory", resident, "MB RSS", pyln_resident, "pyln-client's Gossmap", "<= 150 at 42 MB"),
            Row("gossmap for readers", reader, "ms CPU", pyln, "pyln-client's Gossmap"),
        ]
    )
