"""Sources take turns, and each has a rate."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine

from connectd.websocketd.turns import TURN, Turns
from tests.harness.injected_time import InjectedTime


class Bench:
    """Turns over items that have so many steps left; `done` has the item and the time of each step."""

    def __init__(self, work: int = 1, seconds: float = 0.0) -> None:
        self.loop = asyncio.get_running_loop()
        assert isinstance(self.loop, InjectedTime)
        self.left: Counter[str] = Counter()
        self.done: list[tuple[str, float]] = []
        self._work, self._seconds = work, seconds
        self._begin = self.loop.time()
        self.turns: Turns[str] = Turns(self._step, self.loop)

    def add(self, item: str, steps: int, source: str, rate: int = 0) -> None:
        self.left[item] = steps
        self.turns.enter(source, rate)
        self.turns.add(item, source)

    def _step(self, item: str) -> tuple[int, bool]:
        assert isinstance(self.loop, InjectedTime)
        self.done.append((item, self.loop.time() - self._begin))
        self.loop.jump(self._seconds)
        self.left[item] -= 1
        return self._work, self.left[item] > 0

    async def all_done(self) -> str:
        """The items in the order of their steps."""
        while self.left.total():  # noqa: ASYNC110 - the test's time
            await asyncio.sleep(0.01)
        return "".join(item for item, _ in self.done)


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=InjectedTime) as runner:
        runner.run(test())


def test_each_source_has_its_turn_however_many_items_it_has() -> None:
    async def test() -> None:
        bench = Bench()
        for item in "abc":
            bench.add(item, 2, "stranger")
        bench.add("z", 3, "honest")
        assert await bench.all_done() == "azbzczabc"

    run(test)


def test_a_source_that_has_used_up_its_rate_waits_and_others_do_not() -> None:
    async def test() -> None:
        bench = Bench(work=50)
        bench.add("a", 6, "stranger", rate=100)
        bench.add("z", 6, "honest", rate=1_000)
        await bench.all_done()
        at = [time for item, time in bench.done if item == "a"]
        assert at[:2] == [0.0, 0.0]
        assert at[-1] > 1.4, "100 at once, and 100 a second"
        assert max(time for item, time in bench.done if item == "z") == 0.0

    run(test)


def test_what_was_not_used_is_kept_for_a_second_at_most() -> None:
    async def test() -> None:
        bench = Bench(work=50)
        bench.add("a", 2, "stranger", rate=100)
        await bench.all_done()
        await asyncio.sleep(60)
        bench.left["a"] = 4
        bench.turns.add("a", "stranger")
        await bench.all_done()
        first, last = bench.done[2][1], bench.done[-1][1]
        assert last - first > 0.4

    run(test)


def test_a_turn_of_the_loop_is_bounded() -> None:
    async def test() -> None:
        bench = Bench(seconds=0.001)
        bench.add("a", 100, "stranger")
        steps = []
        while bench.left.total():
            steps.append(len(bench.done))
            await asyncio.sleep(0)
        most = max(after - before for before, after in itertools.pairwise(steps))
        assert most <= TURN / 0.001 + 1

    run(test)


def test_a_source_without_users_is_forgotten() -> None:
    async def test() -> None:
        bench = Bench()
        bench.add("a", 3, "stranger")
        bench.add("b", 3, "stranger")
        bench.turns.leave("stranger")
        assert len(bench.turns) == 1
        bench.turns.leave("stranger")
        assert len(bench.turns) == 0
        assert await bench.all_done() == "ababab"

    run(test)
