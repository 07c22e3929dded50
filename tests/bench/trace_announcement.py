"""The way of one channel_announcement with its update through gossipd: calls, files, and crossings between files.

    python tests/bench/trace_announcement.py [--verbose]

The real Ingest, map and store take the two messages; signatures are checked in this process. Counted are calls of
functions of ours (gossipd, wire), the files they stand in, and the calls that lead from one file into another.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from gossipd.map import loading  # noqa: E402
from tests.gossipd.bench import Bench  # noqa: E402
from tests.gossipd.messages import announcement, update  # noqa: E402

OURS = tuple(str(ROOT / package) for package in ("gossipd", "wire"))


class Trace:
    """Counts while it is the profiler."""

    def __init__(self) -> None:
        self.calls = 0
        self.files: Counter[str] = Counter()
        self.crossings: Counter[tuple[str, str]] = Counter()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """sys.setprofile's."""
        file = frame.f_code.co_filename
        if event != "call" or not file.startswith(OURS):
            return
        self.calls += 1
        here = str(Path(file).relative_to(ROOT))
        self.files[here] += 1
        outer = frame.f_back
        while outer is not None and not outer.f_code.co_filename.startswith(OURS):
            outer = outer.f_back
        if outer is not None and outer.f_code.co_filename != file:
            self.crossings[str(Path(outer.f_code.co_filename).relative_to(ROOT)), here] += 1


def main() -> None:
    """Trace, and print."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "gossip_store"
        bench = Bench(path, *loading.load(path))
        messages = [announcement(), update()]
        trace = Trace()
        sys.setprofile(trace)
        bench.take(*messages)
        bench.store.flush()
        sys.setprofile(None)
        bench.store.close()
    crossings = sum(trace.crossings.values())
    print(f"{trace.calls} calls through {len(trace.files)} files with {crossings} crossings")
    if "--verbose" in sys.argv:
        for (outer, inner), count in trace.crossings.most_common():
            print(f"{count:4} {outer} -> {inner}")


if __name__ == "__main__":
    main()
