"""Random histories of a map with kills at any write: tests/gossipd/map/test_forget_histories.py, many of them."""

from tests.torture.commands import run_python
from tests.torture.torture import Torture

HISTORIES = 1_000


async def run(torture: Torture) -> None:
    """One line."""
    count = torture.count(HISTORIES)
    status, last = await run_python("-m", "tests.gossipd.map.test_forget_histories", str(count))
    torture.tell("histories with kills", f"{count:,} of a map: {last}", [] if status == 0 else [last])
