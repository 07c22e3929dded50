"""lnprototest against our node, driven by JSON lines (../pyln/lines.py). Runs in pyln's own virtual environment.

    PYTHONPATH=../pyln python cases.py PROGRAM                  # PROGRAM: the lightningd-py to start

names -> ["bolt1_init.comes_first", ...]          run name -> null, or the error with the event that failed
"""

import contextlib
import sys

import bolt1_init
import bolt1_messages
import bolt7_filter
import bolt7_queries
import bolt7_relay
from lines import serve
from lnprototest import EventError, Sequence, SpecFileError
from node_runner import NodeRunner

MODULES = (bolt1_init, bolt1_messages, bolt7_filter, bolt7_queries, bolt7_relay)
CASES = {f"{module.__name__}.{case.__name__}": case for module in MODULES for case in module.CASES}
NOTHING_REMEMBERED = ("bolt1", "bolt7_queries")
"""Rounds of these cases leave nothing in the node that the next one could meet, and so share it."""


def run(name: str) -> None:
    """One case with all its rounds. Raises RuntimeError with what lnprototest says and the end of the node's log."""
    runner = NodeRunner(sys.argv[1], one_node=name.startswith(NOTHING_REMEMBERED))
    with contextlib.ExitStack() as ends:
        ends.callback(runner.teardown)
        ends.callback(runner.stop)
        try:
            runner.run(Sequence(CASES[name](runner)))
        except (EventError, SpecFileError) as error:
            raise RuntimeError(f"{error}\n{runner.log_tail()}") from error


if __name__ == "__main__":
    serve({"names": lambda: list(CASES), "run": run})
