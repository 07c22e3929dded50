"""Each batch counts once, in whatever order batches come, and what an archive knows of them survives it."""

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from lightningd_py.observatory.jetstream.names import BatchId
from lightningd_py.observatory.jetstream.numbers import MOST_MISSING, MOST_RUNS, Numbers, Run


def batch_id(number: int, epoch: int = 5, vantage: str = "here") -> BatchId:
    return BatchId(vantage, epoch, "arrivals", number)


@given(st.lists(st.integers(0, 60), max_size=200))
def test_each_counts_once(numbers: list[int]) -> None:
    run, seen = Run(), set()
    for number in numbers:
        assert run.has(number) == (number in seen)
        assert run.is_new(number) == (number not in seen)
        seen.add(number)


def test_what_is_known_of_a_run_is_bounded() -> None:
    run = Run()
    for number in random.Random(1).sample(range(100_000), 5_000):
        run.is_new(number)
        assert len(run.missing) <= MOST_MISSING
    numbers = Numbers()
    for epoch in range(3 * MOST_RUNS):
        assert numbers.is_new(batch_id(0, epoch))
    assert len(numbers.encode()) == MOST_RUNS


def test_runs_and_vantage_points_are_apart() -> None:
    numbers = Numbers()
    for each in (batch_id(1), batch_id(1, epoch=6), batch_id(1, vantage="there")):
        assert numbers.is_new(each)
        assert not numbers.is_new(each)
    again = Numbers.decode(json.loads(json.dumps(numbers.encode())))
    assert again.has(batch_id(1)) and not again.has(batch_id(0)) and again.is_new(batch_id(0))


@given(st.text(max_size=30))
def test_words_that_are_no_id(text: str) -> None:
    found = BatchId.parse(text)
    assert found is None or BatchId.parse(str(found)) == found


def test_id_is_read_again() -> None:
    each = BatchId("a-b-1", 17, "arrivals", 4)
    assert BatchId.parse(str(each)) == each
    assert BatchId.parse("a-٣-arrivals-4") is None
