"""Coroutines that are driven by what they wait for, against the same as tasks of asyncio, and their deadlines."""

import asyncio
import contextlib
import gc
from collections.abc import Callable
from typing import Any

import pytest

from connectd.tasks import Deadlines, Driven, Tasks
from wire.control.asked import DirectFuture
from wire.control.control_channel import ChannelClosed


def _future() -> DirectFuture[int]:
    return DirectFuture(loop=asyncio.get_running_loop())


async def _conversation(futures: list[asyncio.Future[int]], said: list[object]) -> None:
    """Waits for one after the other; what is raised is said, and it goes on with the next."""
    for future in futures:
        try:
            said.append(await future)
        except (TimeoutError, ValueError) as error:
            said.append(type(error))
    said.append("end")


async def _is_late(future: asyncio.Future[int]) -> None:
    """Wait until a deadline has given it up, and what waited for it has heard of that."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.shield(future)
    assert future.cancelled()


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "any future"])
@pytest.mark.parametrize("first", [0, 1, 2], ids=["the first comes first", "the second", "the last"])
async def test_it_does_what_a_task_does(direct: bool, first: int) -> None:
    outcomes = []
    for start in (Tasks().drive, Tasks().spawn):
        futures: list[asyncio.Future[int]] = [_future() if direct else asyncio.Future() for _ in range(3)]
        said: list[object] = []
        start(_conversation(futures, said))
        for i in sorted(range(3), key=lambda i: i != first):
            if i == 1:
                futures[i].set_exception(ValueError())
            else:
                futures[i].set_result(i)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        outcomes.append(said)
    assert outcomes[0] == outcomes[1] == [0, ValueError, 2, "end"]


async def test_it_goes_on_in_the_call_that_brings_what_it_waits_for() -> None:
    tasks, future, said = Tasks(), _future(), list[object]()
    tasks.drive(_conversation([future], said))
    assert len(tasks) == 1
    future.set_result(7)
    assert said == [7, "end"] and len(tasks) == 0


async def test_a_task_that_awaits_the_same_future_goes_on_in_the_next_turn() -> None:
    future, said = _future(), list[object]()
    task = asyncio.ensure_future(_conversation([future], said))
    await asyncio.sleep(0)
    future.set_result(7)
    assert said == []
    await task
    assert said == [7, "end"]


async def test_over_its_deadline_it_is_told_where_it_waits_and_what_comes_later_is_for_nobody() -> None:
    tasks, deadlines = Tasks(), Deadlines(0.01)
    late, next_one, said = _future(), _future(), list[object]()
    deadlines.begin(1, tasks.drive(_conversation([late, next_one], said)))
    await _is_late(late)
    assert said == [TimeoutError]
    next_one.set_result(3)
    assert said == [TimeoutError, 3, "end"] and len(tasks) == len(deadlines) == 0


async def test_the_oldest_deadlines_come_first_and_what_has_ended_has_none() -> None:
    tasks, deadlines, ended = Tasks(), Deadlines(0.02), list[int]()

    async def one(number: int, future: asyncio.Future[int]) -> None:
        try:
            await future
        except TimeoutError:
            ended.append(number)

    futures = [_future() for _ in range(3)]
    for number, future in enumerate(futures):
        deadlines.begin(number, tasks.drive(one(number, future)))
    futures[1].set_result(0)
    deadlines.end(1)
    for late in futures[0], futures[2]:
        await _is_late(late)
    assert ended == [0, 2] and len(deadlines) == 0
    assert futures[1].result() == 0


async def test_one_that_ends_at_once_has_no_deadline() -> None:
    async def nothing() -> None:
        pass

    deadlines = Deadlines(60.0)
    deadlines.begin(1, Tasks().drive(nothing()))
    assert len(deadlines) == 0


@pytest.mark.parametrize(
    ("error", "told"), [(ChannelClosed("gone"), 0), (RuntimeError("a bug"), 1)], ids=["closed", "bug"]
)
async def test_what_is_not_caught_goes_to_the_loops_handler_but_for_a_channel_that_has_closed(
    error: Exception, told: int
) -> None:
    heard: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: heard.append(context))
    tasks, future = Tasks(), _future()
    tasks.drive(_conversation([future], []))
    future.set_exception(error)
    assert [context["exception"] for context in heard] == [error] * told and len(tasks) == 0


async def test_one_that_is_left_alone_is_closed_without_a_word() -> None:
    closed = []

    async def waits(future: asyncio.Future[int]) -> None:
        try:
            await future
        finally:
            closed.append(True)

    ended: Callable[[Driven, BaseException | None], None] = lambda driven, error: None  # noqa: E731
    driven = Driven(waits(_future()), ended)
    driven.go_on()
    assert driven.waits
    del driven
    gc.collect()
    assert closed == [True]
