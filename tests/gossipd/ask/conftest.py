"""Fixtures: a seeker without a gossipd."""

import pytest

from tests.gossipd.ask.seeker_alone import SeekerAlone


@pytest.fixture
def alone() -> SeekerAlone:
    return SeekerAlone()
