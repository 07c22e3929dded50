"""`python tests/bench/run.py [--quick] [NAME...]`: measure, and print a table; nothing is asserted."""

import argparse
import asyncio
import importlib
import os
import platform
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path[0] = str(ROOT)  # in the place of this directory, whose modules would hide others' of the same name

from tests.bench.harness import Bench, print_heading, print_row, processor  # noqa: E402

BENCHMARKS = {
    "floor": "the limits: signatures, ciphers, fds",
    "frames": "430-byte messages received and sent",
    "connects": "handshake and INIT of inbound connections",
    "ingest": "a map taken in over two connections, then the same again",
    "gossip_v2": "gossip v2 taken in, beside v1",
    "feed": "a map taken in while nobody, and while somebody, takes the feed",
    "observatory": "a recorder of 1,000,000 arrivals",
    "page": "the page's map, drawn in Chromium",
    "listening": "many peers that stream what is new",
    "serve": "the map sent to peers",
    "queries": "what short queries cost",
    "strangers": "what strangers can make us do, with what it cost before it was bounded",
    "hand_overs": "release_peer and handle_peer, back and forth",
    "starting": "a node until it listens, and the command's first answer",
    "opening": "a gossip_store opened and indexed",
    "idle_peers": "memory of a connected peer that is quiet",
    "idle_node": "a node whose 1,000 peers are quiet, for two minutes",
    "listing": "listchannels",
    "onions": "onion messages",
    "bus": "messages of a peer to a service on the MSG bus and back",
    "txouts": "funding outputs asked of a Bitcoin node",
}


def _topology() -> Path | None:
    """The public network's, if it lies beside the work tree."""
    return next(iter(sorted((ROOT.parent / "shared/data").glob("mainnet-topology-*.csv.xz"))), None)


def _options() -> argparse.Namespace:
    names = "\n".join(f"  {name:12}{what}" for name, what in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        description="Measure lightningd-py. CPU time of processes, loopback only; docs/performance.md explains it.",
        epilog=f"benchmarks:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these benchmarks")
    parser.add_argument("--quick", action="store_true", help="2,000 channels, fewer peers: about a minute")
    parser.add_argument("--topology", type=Path, metavar="FILE", help="the graph of the map, as synthetic_map takes it")
    options = parser.parse_args()
    if unknown := set(options.names) - BENCHMARKS.keys():
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    return options


def main() -> None:
    """Run the benchmarks that were asked for, in their order."""
    options = _options()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    topology = None if options.quick else options.topology or _topology()
    began = time.monotonic()
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} x {processor()}, Python {platform.python_version()}\n")
    print_heading()
    for name in BENCHMARKS:
        if not options.names or name in options.names:
            with tempfile.TemporaryDirectory(prefix="lightningd-py-bench-") as directory:
                bench = Bench(options.quick, topology, Path(directory))
                for row in asyncio.run(importlib.import_module(f"tests.bench.{name}").measure(bench)):
                    print_row(row)
    print(f"{time.monotonic() - began:.0f} s in all", file=sys.stderr)


if __name__ == "__main__":
    main()
