"""Clients that come when they like have the map that we have: a model of LDK's graph is the judge."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gossipd.gossmap import Gossmap
from lightningd_py.observatory.rgs.history import DAY, History, Known, Side, _side, advanced, thinned
from lightningd_py.observatory.rgs.since import WHOLE, base_of, snapshot_since
from lightningd_py.observatory.rgs.snapshot_format import encode
from tests.lightningd_py.observatory.rgs.made import CHAIN, SCIDS, USUAL, write
from tests.lightningd_py.observatory.rgs.made import Side as MadeSide
from tests.lightningd_py.observatory.rgs.reading import Client, read

HOURS_3 = 10_800
T0 = 1_790_002_800 // HOURS_3 * HOURS_3


def served(history: History, client: Client, version: int = 2) -> bytes:
    return encode(snapshot_since(history, base_of(history.steps, client.timestamp, history.now + 1)), version)


def graph_of(history: History) -> dict[int, tuple[tuple[tuple[int, ...], bool], ...]]:
    return {
        scid: tuple((side.values, side.disabled) for side in known.sides) for scid, known in history.channels.items()
    }


class Steps:
    """Histories of a store that is written again before each step."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "gossip_store"
        self.history: History | None = None
        self.gossmap: Gossmap | None = None
        self.at = T0

    def step(self, sides: Mapping[int, tuple[MadeSide | None, MadeSide | None]], after: int = HOURS_3) -> History:
        write(self.store, sides)
        self.at += after
        with Gossmap(self.store) as gossmap:
            self.history = advanced(self.history, gossmap, self.at, HOURS_3, CHAIN)
        return self.history


def ppm(value: int) -> MadeSide:
    return MadeSide((40, 1, 1000, value, 10**9))


def test_full_then_three_increments_then_nothing(tmp_path: Path) -> None:
    steps, clients = Steps(tmp_path), {1: Client(), 2: Client()}
    sides = {number: (ppm(number), ppm(100 + number)) for number in range(8)}
    for change in (
        {},
        {0: (ppm(5), ppm(100))},
        {8: (ppm(1), ppm(2))},
        {1: (MadeSide(ppm(1).values, True), ppm(9))},
        {},
    ):
        history = steps.step(sides := sides | change)
        for version, client in clients.items():
            data = served(history, client, version)
            assert len(read(data).channels) == (8 if not client.timestamp else int(8 in change))
            client.apply(data)
            assert client.graph() == graph_of(history) and len(client.graph()) == len(sides)


def test_field_that_went_from_a_to_b_to_a(tmp_path: Path) -> None:
    """A client of B's time is told A again, though A is what was there at the beginning."""
    steps, at_a, at_b = Steps(tmp_path), Client(), Client()
    at_a.apply(served(steps.step({0: (ppm(1), USUAL)}), at_a))
    at_b.apply(served(steps.step({0: (ppm(2), USUAL)}), at_b))
    history = steps.step({0: (ppm(1), USUAL)})
    for client in (at_a, at_b):
        found = read(served(history, client))
        (update,) = found.updates
        assert (update.incremental, update.values) == (True, (None, None, None, 1, None))
        client.apply(served(history, client))
        assert client.graph() == graph_of(history)


def test_all_five_changed_is_a_full_update(tmp_path: Path) -> None:
    steps, client = Steps(tmp_path), Client()
    client.apply(served(steps.step({0: (USUAL, USUAL)}), client))
    other = MadeSide((41, 2, 1001, 101, 10**9 + 1))
    (update,) = read(served(steps.step({0: (other, USUAL)}), client)).updates
    assert (update.incremental, update.values) == (False, other.values)


def test_channels_without_both_directions_are_left_out_until_they_have_them(tmp_path: Path) -> None:
    steps, client = Steps(tmp_path), Client()
    client.apply(served(steps.step({0: (USUAL, USUAL), 1: (USUAL, None)}), client))
    assert client.graph().keys() == {SCIDS[0]}
    client.apply(served(steps.step({0: (USUAL, USUAL), 1: (USUAL, USUAL)}), client))
    assert client.graph().keys() == {SCIDS[0], SCIDS[1]}


def test_nodes_that_say_something_else(tmp_path: Path) -> None:
    steps, client = Steps(tmp_path), Client()
    history = steps.step(dict.fromkeys(range(12), (USUAL, USUAL)))
    client.apply(served(history, client))
    assert {key: (node.features, tuple(node.addresses or ())) for key, node in client.nodes.items()} == {
        key: tuple(known.said) for key, known in history.nodes.items()
    }
    assert len(client.nodes) > 3


@pytest.mark.parametrize(
    ("timestamp", "base"),
    [
        (0, WHOLE),
        (999, WHOLE),
        (1000, 1000),
        (2000, 2000),
        (2500, 1000),  # another server's: one step more
        (3000, 3000),
        (3500, 2000),
        (4000, 2000),
        (4001, WHOLE),  # a time that has not come
        (10**18, WHOLE),
    ],
)
def test_any_timestamp_has_an_answer(timestamp: int, base: int) -> None:
    assert base_of((1000, 2000, 3000), timestamp, 4000.0) == base


def test_client_that_was_away_for_six_days_gets_all() -> None:
    assert base_of((T0, T0 + 6 * DAY), T0, T0 + 7 * DAY) == WHOLE
    assert base_of((T0 + 1, T0 + 6 * DAY), T0 + 1, T0 + 7 * DAY) == T0 + 1


@given(st.integers(60, 43_200), st.integers(1, 400))
def test_steps_are_few_and_reach_back(interval: int, count: int) -> None:
    steps: tuple[int, ...] = ()
    for number in range(1, count + 1):
        steps = thinned((*steps, number * interval), interval)
        assert len(steps) <= 66 and steps[-1] == number * interval
        assert list(steps) == sorted(set(steps)) and steps[0] > steps[-1] - 6 * DAY
    if count * interval > 5.5 * DAY:
        assert steps[0] <= steps[-1] - 4 * DAY, "there is one of the first days"


def test_direction_that_a_client_has_forgotten_is_said_with_its_channel() -> None:
    """Its last mention was 7 days ago, though another value of it has changed since: an increment would be lost."""
    values = {(0, direction): [40, 1, 1000, 5, 99, 0] for direction in (0, 1)}
    history, client = stepped(None, values, T0), Client()
    for hours, fees, comes in (
        (69, (1001, 1, 1), True),
        (110, (1001, 1, 2), False),
        (162, (1001, 1, 2), True),
        (234, (1002, 1, 2), False),
        (237, (1002, 1, 2), True),
    ):
        values[0, 0][2], values[0, 1][2], values[0, 1][3] = fees
        history = stepped(history, values, T0 + hours * 3600)
        if comes:
            client.forget(history.now + HOURS_3)
            client.apply(served(history, client))
            assert client.graph() == graph_of(history)


CHANGES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 5), st.integers(0, 2)), max_size=3)
WHENS = st.lists(
    st.tuples(CHANGES, st.sampled_from([1, 1, 1, 2, 8, 30, 60]), st.integers(0, 7)), min_size=2, max_size=60
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WHENS, st.sampled_from([1, 2]))
def test_every_client_has_our_map_whenever_it_comes(
    steps: list[tuple[list[tuple[int, int, int, int]], int, int]], version: int
) -> None:
    """Weeks of steps, of which some are far apart; three clients, each of which comes at some of them and forgets as
    LDK does before it asks. What has changed may change back. No channel is ever lost, no value ever old."""
    values = {(scid, direction): [40, 1, 1000, 5, 99, 0] for scid in range(6) for direction in (0, 1)}
    clients = [Client() for _ in range(3)]
    history: History | None = None
    at = T0
    for changes, later, who in steps:
        at += later * HOURS_3
        for scid, direction, place, value in changes:
            values[scid, direction][place] = value if place < 5 else value % 2
        history = stepped(history, values, at)
        for number, client in enumerate(clients):
            if who >> number & 1:
                client.forget(at + HOURS_3)
                client.apply(served(history, client, version))
                assert client.graph() == graph_of(history)
                assert client.timestamp == at


def stepped(history: History | None, values: dict[tuple[int, int], list[int]], at: int) -> History:
    """As `advanced` makes it, without a store."""
    channels = {}
    for scid in sorted({scid for scid, _ in values}):
        before = history.channels[scid] if history else None
        sides: list[Side] = []
        for direction in (0, 1):
            *five, disabled = values[scid, direction]
            old = before.sides[direction] if before else None
            sides.append(_side(old, (five[0], five[1], five[2], five[3], five[4]), bool(disabled), at))
        ends = (b"\2" + bytes([scid]) * 32, b"\3" + bytes([scid]) * 32)
        channels[scid] = Known(before.since if before else at, b"", ends, None, (sides[0], sides[1]))
    steps = thinned((*(history.steps if history else ()), at), HOURS_3)
    return History(CHAIN, steps, channels, {})
