"""Long questions: once at a time, so many, and not again while the answer is fresh."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from lightningd_py.observatory.web.questions import MOST_KEPT, MOST_WAITING, Busy, Questions


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def questions(clock: Clock) -> AsyncIterator[Questions]:
    made = Questions(clock)
    yield made
    await made.close()


async def test_same_question_is_answered_once(questions: Questions, clock: Clock) -> None:
    asked: list[int] = []

    def answer() -> bytes:
        asked.append(1)
        return b"%d" % len(asked)

    assert await asyncio.gather(*(questions.ask("x", answer, 10) for _ in range(3))) == [b"1"] * 3
    clock.now = 9.9
    assert await questions.ask("x", answer, 10) == b"1"
    clock.now = 10.1
    assert await questions.ask("x", answer, 10) == b"2"


async def test_too_many_are_refused_and_the_others_answered(questions: Questions) -> None:
    go = threading.Event()

    def answer() -> bytes:
        assert go.wait(30)
        return b"1"

    waiting = [asyncio.ensure_future(questions.ask(number, answer, 1)) for number in range(MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await questions.ask("one more", answer, 1)
    go.set()
    assert await asyncio.gather(*waiting) == [b"1"] * MOST_WAITING


async def test_one_who_leaves_does_not_end_the_question_of_others(questions: Questions) -> None:
    go = threading.Event()
    first = asyncio.ensure_future(questions.ask("x", lambda: b"%d" % go.wait(30), 1))
    second = asyncio.ensure_future(questions.ask("x", lambda: b"another", 1))
    await asyncio.sleep(0)
    first.cancel()
    go.set()
    assert await second == b"1"


async def test_what_fails_is_asked_again(questions: Questions) -> None:
    def fails() -> bytes:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            await questions.ask("x", fails, 10)
    assert await questions.ask("x", lambda: b"yes", 10) == b"yes"


async def test_answers_kept_have_a_bound(questions: Questions) -> None:
    for number in range(3 * MOST_KEPT):
        await questions.ask(number, lambda: b"", 10)
    assert len(questions._kept) == MOST_KEPT
