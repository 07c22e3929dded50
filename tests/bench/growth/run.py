"""What things cost as a node grows: `make bench-growth`, a table, a JSON file, and a plot a row.

    python -m tests.bench.growth.run [--quick] [--json FILE] [WALK...]

How a row is added. A *walk* is a module of this folder, named in `WALKS` here, with one function:

    async def walk(scope: Scope) -> AsyncIterator[Reading]

It makes something larger step by step (`scope.sizes(10, 100, 1_000, 10_000)`: fewer of them with --quick) and yields
a `Reading` whenever it has measured: which row it belongs to, what grows (`by`), how large that was (`at`), the cost
and its unit. `each` says that the cost is that of one operation, so that a flat curve means linear in all; else it is
that of everything there is. One walk may yield readings of several rows: what is made once is measured in all ways.
Costs are CPU time of the processes that are measured, by their pids (`tests.bench.harness.cpu_of`), or memory; the
other side is another process (`tests.bench.crowd`, or `harness.Child`). `scope.directory` is empty and goes away.

Each walk runs in a process of its own, once on one core and once on two. A row grows worse than linear if the exponent
in the table (of all, between the smallest and the largest size) is above 1.15, and the table says so. The plots go
beside the JSON file: docs/growth/growth.json if all was measured, else one in the directory for temporary files.
"""

import argparse
import asyncio
import importlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.growth.draw import draw
from tests.bench.growth.frame import Reading, Scope, curves_of, table, to_json
from tests.bench.harness import ROOT, processor

WALKS = {
    "peers": "connects, pings, memory and idling of a node against its peers",
    "hand_overs": "release_peer and handle_peer against gossipd's peers",
    "channels": "a map taken in, opened, served and listed, against its channels",
    "rates": "gossip that comes at a rate, all of it known, against messages a second",
    "services": "connects and messages against registered services",
}
CORES = (1, 2)
JSON = ROOT / "docs/growth/growth.json"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.partition("How a row")[0],
        epilog="\n".join(f"  {name:11} {what}" for name, what in WALKS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="WALK", help="only these")
    parser.add_argument(
        "--quick", action="store_true", help="two sizes of each, less of everything: to see that it runs"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="the plots go beside it")
    parser.add_argument("--walk", metavar="WALK", help=argparse.SUPPRESS)  # what the process of one walk is told
    options = parser.parse_args()
    if unknown := set(options.names) - WALKS.keys():
        parser.error(f"no walk is called {', '.join(sorted(unknown))}")
    return options


async def _walk(name: str, quick: bool) -> None:
    """In a process of its own: each reading is a line."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="lightningd-py-growth-") as directory:
        module = importlib.import_module(f"tests.bench.growth.{name}")
        async for reading in module.walk(Scope(quick, Path(directory))):
            print(json.dumps(reading), flush=True)


def _on_cores(name: str, cores: int, quick: bool) -> list[Reading]:
    """All readings of a walk on so many cores. Raises CalledProcessError."""
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    command = [sys.executable, "-m", "tests.bench.growth.run", "--walk", name, *(["--quick"] if quick else [])]
    began = time.monotonic()
    walk = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, chosen),
    )
    print(f"{name} on {cores} core(s): {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return [Reading(*json.loads(line)) for line in walk.stdout.splitlines()]


def main() -> None:
    """Walk each that was asked for on each number of cores."""
    options = _options()
    if options.walk:
        asyncio.run(_walk(options.walk, options.quick))
        return
    readings, failed = [], []
    for name in options.names or WALKS:
        for cores in CORES:
            if cores > len(os.sched_getaffinity(0)):
                continue
            try:
                readings += [(cores, reading) for reading in _on_cores(name, cores, options.quick)]
            except subprocess.CalledProcessError:  # its own words are on standard error
                failed.append(f"{name} on {cores} core(s)")
    curves = curves_of(readings)
    about = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} x {processor()}",
        "python": platform.python_version(),
        "quick": options.quick,
    }
    print(", ".join(str(about[key]) for key in ("date", "machine")), f"Python {about['python']}\n", sep=", ")
    print(*table(curves), sep="\n")
    is_whole = not (options.quick or options.names or failed)
    json_file = options.json or (JSON if is_whole else Path(tempfile.gettempdir()) / JSON.name)
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_text(to_json(about, curves))
    draw(json_file)
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
