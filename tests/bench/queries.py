"""What a short message makes us do: a range query with checksums, and a filter that matches nothing."""

import shutil
import time
from collections.abc import Iterator

from gossipd.map.loading import load
from gossipd.serve.budget import PASSED_OVER, QUANTUM
from gossipd.serve.checksums import Checksums
from gossipd.serve.queries import Answer, answer_range
from gossipd.serve.stream import Stream
from tests.bench.harness import Bench, Row
from wire.peer_wire import QueryChannelRange
from wire.types import NETWORKS

CHAIN = NETWORKS["regtest"]
EVERYTHING = QueryChannelRange(CHAIN, 0, 0xFFFFFFFF, 3)


async def measure(bench: Bench) -> Iterator[Row]:
    """Milliseconds of CPU, each for one message of 42 bytes or less."""
    path = bench.directory / "gossip_store"
    shutil.copy(bench.map.path, path)
    store, index = load(path)
    checksums = Checksums(index, store)
    rows = []
    for name in ("first", "next"):
        begin = step = time.process_time()
        answer, longest = Answer(answer_range(EVERYTHING, CHAIN, index, checksums)), 0.0  # makes the first message
        while not answer.finished:
            longest, step = max(longest, time.process_time() - step), time.process_time()
            answer.pull(QUANTUM)
        longest = max(longest, time.process_time() - step)
        rows.append(Row(f"query_channel_range, the {name}", (time.process_time() - begin) * 1e3, "ms CPU"))
        rows.append(Row("  its longest step", longest * 1e3, "ms CPU"))
    begin, stream = time.process_time(), Stream(1, 1, 1, store.end)
    while not stream.finished:
        stream.pull(store, index, QUANTUM)
    rows.append(Row("a filter that matches nothing", (time.process_time() - begin) * 1e3, "ms CPU"))
    rows.append(Row("  charged for it", store.end / PASSED_OVER / 1e6, "MB"))
    store.close()
    return iter(rows)
