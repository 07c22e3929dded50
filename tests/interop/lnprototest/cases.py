"""lnprototest against our node, driven by JSON lines (../pyln/lines.py). Runs in pyln's own virtual environment.

    PYTHONPATH=../pyln python cases.py PROGRAM                  # PROGRAM: the lightningd-py to start

names -> ["bolt1_init.comes_first", ...]          run name -> null, or the error with the event that failed
end -> null, or the error with how a node has ended that several cases had
"""

import contextlib
import sys
from collections.abc import Iterator

import bolt1_init
import bolt1_messages
import bolt7_filter
import bolt7_queries
import bolt7_relay
from lines import serve
from lnprototest import EventError, Sequence, SpecFileError
from node_runner import LastingRunner, NodeRunner

MODULES = (bolt1_init, bolt1_messages, bolt7_filter, bolt7_queries, bolt7_relay)
CASES = {f"{module.__name__}.{case.__name__}": case for module in MODULES for case in module.CASES}
NOTHING_REMEMBERED = ("bolt1", "bolt7_queries")
"""These cases leave nothing in the node that the next one could meet, and so share it; those of the queries all tell it
the same map."""
_LASTING: dict[str, LastingRunner] = {}


def run(name: str) -> None:
    """One case with all its rounds. Raises RuntimeError with what lnprototest says and the end of the node's log."""
    shared = next((group for group in NOTHING_REMEMBERED if name.startswith(group)), None)
    if shared is None:
        with _ended(NodeRunner(sys.argv[1], one_node=False)) as runner:
            _run(runner, name)
        return
    if shared not in _LASTING:
        _LASTING[shared] = LastingRunner(sys.argv[1])
    try:
        _run(_LASTING[shared], name)
    except RuntimeError:  # the next case has a node of its own
        with contextlib.suppress(EventError):
            _end(shared)
        raise


@contextlib.contextmanager
def _ended(runner: NodeRunner) -> Iterator[NodeRunner]:
    with contextlib.ExitStack() as ends:
        ends.callback(runner.teardown)
        ends.callback(runner.stop)
        yield runner


def _run(runner: NodeRunner, name: str) -> None:
    try:
        runner.run(Sequence(CASES[name](runner)))
    except (EventError, SpecFileError) as error:
        raise RuntimeError(f"{error}\n{runner.log_tail()}") from error


def _end(group: str) -> None:
    runner = _LASTING.pop(group)
    try:
        runner.end()
    finally:
        runner.teardown()


def end() -> None:
    """The nodes that cases share end. Raises EventError if one has not ended well."""
    for group in list(_LASTING):
        _end(group)


if __name__ == "__main__":
    serve({"names": lambda: list(CASES), "run": run, "end": end})
