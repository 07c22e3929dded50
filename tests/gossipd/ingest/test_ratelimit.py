"""Token buckets of channel directions."""

import pytest

from gossipd.ingest import ratelimit
from gossipd.ingest.ratelimit import BURST, PER_SECOND, RateLimit


def test_a_burst_and_then_one_a_minute() -> None:
    limit = RateLimit()
    assert [limit.allows(1, 0.0) for _ in range(12)] == [True] * int(BURST) + [False] * 2
    assert not limit.allows(1, 59.0)
    assert limit.allows(1, 60.0)
    assert not limit.allows(1, 61.0)


def test_each_direction_has_its_own() -> None:
    limit = RateLimit()
    while limit.allows(1, 0.0):
        pass
    assert limit.allows(2, 0.0)


def test_full_buckets_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit, "MOST", 100)
    limit = RateLimit()
    for key in range(100):
        limit.allows(key, 0.0)
    assert len(limit) == 100
    limit.allows(1_000, 1 / PER_SECOND + 1)
    assert len(limit) == 1


def test_number_of_buckets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit, "MOST", 100)
    limit = RateLimit()
    for key in range(500):
        limit.allows(key, 0.0)
        assert len(limit) <= 100
