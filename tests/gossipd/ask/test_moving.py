"""A seeker goes on in another gossipd."""

import pytest

from gossipd.ask.moving import go_on, leave
from gossipd.ask.states import State
from tests.gossipd.ask.seeker_alone import EXTENDED, SOMEWHERE, SeekerAlone, asking
from wire.encoded import ALL, UPDATE_2
from wire.peer_wire import GossipTimestampFilter


@pytest.mark.parametrize("streamer_stays", [True, False])
def test_first_sync_goes_on_in_another_gossipd(alone: SeekerAlone, streamer_stays: bool) -> None:
    filters = {conn_id: alone.come(conn_id) for conn_id in (1, 2)}
    assert {conn_id: alone.seeker.filter_of(conn_id) for conn_id in (1, 2)} == filters
    moved = leave(alone.seeker)
    assert (moved.state, moved.streamer) == (State.STARTING_UP.value, 1)
    for conn_id in (1, 2) if streamer_stays else (2,):
        alone.seeker.peer_came(conn_id, EXTENDED, SOMEWHERE, filters[conn_id])
    assert alone.sent == []
    go_on(alone.seeker, moved)
    assert alone.seeker.state is State.STARTING_UP
    assert [conn_id for conn_id, _ in alone.said(GossipTimestampFilter)] == ([] if streamer_stays else [2])


def test_what_is_wanted_is_wanted_by_another_gossipd(alone: SeekerAlone) -> None:
    """Also what was asked for and has not come."""
    asking(alone, 5).seeker.owe(6, UPDATE_2)
    moved = leave(alone.seeker)
    assert sorted(moved.wanted) == [(5, ALL, 1), (6, UPDATE_2, 0)]
    assert moved.state == State.NORMAL.value
    other = SeekerAlone()
    go_on(other.seeker, moved)
    assert sorted(other.seeker.wanted.all()) == sorted(moved.wanted)
