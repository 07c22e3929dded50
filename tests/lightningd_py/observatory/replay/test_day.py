"""The made-up day: the same for the same seed, and what its docstring says of it."""

from collections import Counter

import pytest

from lightningd_py.observatory.replay.day import KINDS, Day, Sizes, is_away, plan_day, scripts
from lightningd_py.observatory.replay.speakers import parts
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from wire.gossip_layout import channel_scid, node_timestamp, update_direction, update_scid, update_timestamp
from wire.secp256k1 import public_key

NOW = 1_790_000_000
SIZES = Sizes(peers=8, seconds=100.0, events=600, sync=5.0, new=10)


@pytest.fixture(scope="module")
def made() -> SyntheticMap:
    return SyntheticMap(random_edges(1, 200, 60), 1, NOW)


@pytest.fixture(scope="module")
def day(made: SyntheticMap) -> Day:
    return plan_day(made, SIZES, 1)


def test_same_arguments_make_the_same_day(made: SyntheticMap, day: Day) -> None:
    assert plan_day(made, SIZES, 1).events == day.events
    assert scripts(day, ["a", "b"], 1) == scripts(day, ["a", "b"], 1)
    assert scripts(day, ["a"], 1) != scripts(day, ["a"], 2)


def test_kinds_are_said_as_often_as_they_were_seen(day: Day) -> None:
    kinds = Counter(event.messages[-1][1] for event in day.events)
    assert kinds[1] / 600 == pytest.approx(KINDS["node"], abs=0.05)
    assert sum(len(event.messages) == 3 for event in day.events) == 10, "all that there were to be opened"


def test_updates_are_newer_than_what_they_follow(day: Day) -> None:
    last: dict[tuple[int, int], int] = {}
    for channel in day.before:
        for raw in channel.updates:
            last[update_scid(raw), update_direction(raw)] = update_timestamp(raw)
    for event in day.events:
        for raw in event.messages:
            if raw[1] == 2 and len(event.messages) == 1:
                key = update_scid(raw), update_direction(raw)
                assert update_timestamp(raw) > last[key]
                last[key] = update_timestamp(raw)
            elif raw[1] == 1:
                assert node_timestamp(raw) >= NOW


def test_new_channels_are_not_of_the_map_of_before(day: Day) -> None:
    before = {channel_scid(channel.announcement) for channel in day.before}
    new = [channel_scid(event.messages[0]) for event in day.events if len(event.messages) == 3]
    assert len(before) == 190 and len(set(new)) == 10 and before.isdisjoint(new)


def test_peers_say_most_of_it_to_each_node(day: Day) -> None:
    found = scripts(day, ["a", "b"], 1)
    assert len(found) == 16
    assert len({script.node_id for script in found}) == 8
    assert found[0].node_id == public_key(found[0].secret) == found[1].node_id
    total = sum(len(event.messages) for event in day.events)
    for script in found:
        live = [due for due in script.says if due.at > 0]
        assert 0.8 * total < len({due.raw for due in live}) < total
        assert len(live) > len({due.raw for due in live}), "some of it twice"
        assert live == sorted(live, key=lambda due: due.at) and live[0].at >= SIZES.sync
    delays = sorted(
        min(due.at for due in script.says if due.raw == event.messages[0]) - event.at - SIZES.sync
        for event in day.events[:50]
        for script in found
        if any(due.raw == event.messages[0] for due in script.says)
    )
    assert delays[len(delays) * 3 // 4] == pytest.approx(200 * 100 / 86_400, rel=0.3), "75 % after 200 s of a day"


def test_what_was_to_be_said_while_away_is_left_out(day: Day) -> None:
    script = next(script for script in scripts(day, ["a"], 1) if script.down)
    said = [due for _, says in parts(script) for due in says]
    assert said == [due for due in script.says if not is_away(script, due.at)]
    assert len(said) < len(script.says)
