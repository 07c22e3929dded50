"""Recorders that are killed at random moments, while they record and convert: no whole batch is lost, none doubled."""

import random
from pathlib import Path

import pytest

from tests.harness.observatories import kills

KILLS = 10


@pytest.mark.long
@pytest.mark.timeout(300)
def test_kills_lose_no_whole_batch_and_double_none(tmp_path: Path) -> None:
    told = kills(tmp_path, KILLS, random.Random(15))
    assert told.kills == KILLS
    assert told.lost == told.doubled == 0, told
    assert told.rows > 1000 and told.hour_files > 0, told
