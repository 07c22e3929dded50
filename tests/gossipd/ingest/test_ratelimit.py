"""Token buckets of channel directions."""

import pytest

from gossipd.ingest import ratelimit
from gossipd.ingest.ratelimit import BURST, RateLimit


def test_a_burst_and_then_one_a_minute() -> None:
    limit = RateLimit[int]()
    assert [limit.allows(1, 0.0) for _ in range(12)] == [True] * int(BURST) + [False] * 2
    assert not limit.allows(1, 59.0)
    assert limit.allows(1, 60.0)
    assert not limit.allows(1, 61.0)


def test_each_direction_has_its_own() -> None:
    limit = RateLimit[int]()
    while limit.allows(1, 0.0):
        pass
    assert limit.allows(2, 0.0)


def test_the_bucket_that_was_used_longest_ago_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit, "MOST", 2)
    limit = RateLimit[int]()
    for key in (1, 2):
        while limit.allows(key, 0.0):
            pass
    assert not limit.allows(1, 1.0)
    limit.allows(3, 1.0)
    assert not limit.allows(1, 1.0), "it was used after the other one"
    assert limit.allows(2, 1.0)


def test_number_of_buckets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit, "MOST", 100)
    limit = RateLimit[int]()
    for key in range(500):
        limit.allows(key, 0.0)
        assert len(limit) <= 100
