"""`python tests/torture/run.py [--quick] [NAME...]`: what hurts a node, at random and for long, with a line of figures.

Bounded in count and time: half an hour for all of it, some minutes with --quick. Not part of CI; docs/reliability.md
has the last run. Ends with status 1 if anything came to harm.
"""

import argparse
import asyncio
import importlib
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[0] = str(ROOT)  # in the place of this directory, whose modules would hide others' of the same name

from tests.harness.siege.attack import ATTACKS  # noqa: E402
from tests.torture.torture import Torture, print_line  # noqa: E402

TORTURES = {
    "attacks": "each attack alone beside honest peers",
    "kills": "each process is killed at random under load; the master and hsmd, too, and the node is started again",
    "restarts": "each process is restarted: with 1,000 peers, a hundred times in a row, with kills in the midst of it",
    "rogues": "programs of a service that do what they must not, one after the other",
    "damage": "the gossip_store and its side index are damaged, between starts and while the node runs",
    "disk": "the disk is full, and has room again",
    "clocks": "the wall clock is set, up to a month ahead and back",
    "histories": "random histories of a map with kills at any write, as the test of that name has 80",
    "observatory": "a recorder is killed a hundred times; two nodes hear a day of network in ten minutes",
    "scale": "20 vantage points, a NATS server and an archive, 1,000,000 arrivals a minute, with kills of each",
    "properties": "all tests with hypothesis, with random examples",
    "fuzz": "atheris on each parser",
}


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    command: list[str | Path] = ["git", "-C", ROOT, "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "no commit"


def _options() -> argparse.Namespace:
    names = "\n".join(f"  {name:12}{what}" for name, what in TORTURES.items())
    parser = argparse.ArgumentParser(
        description="Hurt lightningd-py in many ways, and see what comes of it.",
        epilog=f"ways:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these ways")
    parser.add_argument("--quick", action="store_true", help="a tenth of the time")
    parser.add_argument("--only", metavar="ATTACK", action="append", default=[], help="of the attacks, only this one")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="what is drawn comes from it")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="for scale: its figures as JSON")
    options = parser.parse_args()
    if unknown := (set(options.names) - TORTURES.keys()) | (set(options.only) - ATTACKS.keys()):
        parser.error(f"no way and no attack is called {', '.join(sorted(unknown))}")
    return options


def main() -> None:
    """Those that were asked for, in their order."""
    options = _options()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    began = time.monotonic()
    machine = f"{os.cpu_count()} x {_processor()}, Python {platform.python_version()}"
    print(f"{time.strftime('%Y-%m-%d')}, {_commit()}, {machine}, load {os.getloadavg()[0]:.0f}, seed {options.seed}\n")
    print_line("torture", "what was done, and what came of it")
    print_line("---", "---")
    harmed = []
    for name in TORTURES:
        if not options.names or name in options.names:
            with tempfile.TemporaryDirectory(prefix="lightningd-py-torture-") as directory:
                share, chance = 0.1 if options.quick else 1.0, random.Random(options.seed)
                only = frozenset(options.only or ATTACKS)
                torture = Torture(share, chance, Path(directory), only, options.figures)
                asyncio.run(importlib.import_module(f"tests.torture.{name}").run(torture))
                harmed += torture.harmed
    print(f"\n{time.monotonic() - began:.0f} s in all; harmed: {', '.join(harmed) or 'nothing'}")
    sys.exit(bool(harmed))


if __name__ == "__main__":
    main()
