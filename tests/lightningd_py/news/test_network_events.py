"""The last connections and pings, and waiting for more."""

import asyncio

import pytest

from lightningd_py.news.network_events import LONGEST_REASON, MOST, Indexes, NetworkEvents
from wire.net.states import dump, load

A, B = bytes([2]) * 33, bytes([3]) * 33


async def test_fields() -> None:
    events = NetworkEvents(Indexes())
    events.add("connect_fail", A, 1_700_000_000.9, "no way" * 1_000, 0.5, connect_attempted=True)
    events.add("disconnect", B, 1.0)
    first, second = (event.content for event in events.listed(None, 0, None))
    assert first == {
        "created_index": 1,
        "timestamp": 1_700_000_000,
        "peer_id": A.hex(),
        "type": "connect_fail",
        "reason": ("no way" * 1_000)[:LONGEST_REASON],
        "duration_nsec": 500_000_000,
        "connect_attempted": True,
    }
    assert second == {"created_index": 2, "timestamp": 1, "peer_id": B.hex(), "type": "disconnect"}


async def test_a_node_that_comes_and_goes_without_end_pushes_out_its_own_events() -> None:
    indexes = Indexes()
    events = NetworkEvents(indexes)
    events.add("connect", B, 0.0)
    for _ in range(2 * MOST):
        events.add("connect", A, 0.0)
    assert len(events.listed(None, 0, None)) == MOST
    assert [event.created_index for event in events.listed(B, 0, None)] == [1]
    assert indexes.value("networkevents", "created") == 2 * MOST + 1
    assert indexes.value("networkevents", "deleted") == MOST + 1
    assert [event.created_index for event in events.listed(None, 2 * MOST, 5)] == [2 * MOST, 2 * MOST + 1]


async def test_waiting() -> None:
    indexes = Indexes()
    events = NetworkEvents(indexes)
    assert await indexes.until("networkevents", "created", 0, None) == (0, {})
    waiting = asyncio.create_task(indexes.until("networkevents", "created", 2, None))
    others = asyncio.create_task(indexes.until("peers", "created", 1, None))
    for node_id in (A, B):
        await asyncio.sleep(0)
        events.add("ping", node_id, 0.0)
    assert await waiting == (2, {"type": "ping", "peer_id": B.hex(), "created_index": 2})
    assert not others.done()
    with pytest.raises(TimeoutError):
        await indexes.until("networkevents", "created", 3, 0.0)
    others.cancel()


async def test_the_next_program_goes_on() -> None:
    indexes = Indexes()
    events = NetworkEvents(indexes)
    events.add("connect", A, 5.0, seconds=0.1)
    left = events.leave()
    assert load(type(left), dump(left, 1), 1) == left
    following = Indexes()
    again = NetworkEvents(following)
    again.resume(left)
    again.add("disconnect", A, 6.0)
    assert [event.created_index for event in again.listed(A, 0, None)] == [1, 2]
    assert following.value("networkevents", "created") == 2
