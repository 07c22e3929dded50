"""Our node_announcement, which is true and young."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gossipd.own_node import REST, descriptors
from tests.gossipd.messages import KEYS, NOW, announcement, node_announcement, scid, update
from tests.gossipd.us import DAY, OUR_ID, Us
from wire.address import read_descriptors
from wire.control.timing import Timing

PAUSE = Timing().node_pause


@pytest.fixture
def us(tmp_path: Path) -> Iterator[Us]:
    us = Us(tmp_path / "gossip_store")
    yield us
    us.store.close()


def test_nobody_without_a_public_channel_announces_itself(us: Us) -> None:
    assert us.said() is None
    ends = KEYS[2][1], KEYS[3][1]
    us.writer.write_channel(announcement(5, 2, 3), scid(5), ends, NOW, 1_000)
    assert us.said(PAUSE) is None
    assert us.asked == 0


@pytest.mark.bolt("B7-97")
def test_announcing(us: Us) -> None:
    us.channel()
    said = us.said()
    assert said is not None
    assert (said.node_id, said.timestamp, said.rgb_color, said.features) == (OUR_ID, NOW, b"\1\2\3", b"\x80")
    assert said.alias == b"me".ljust(32, b"\0")
    assert list(map(str, read_descriptors(said.addresses))) == ["192.0.2.7:9735"]


@pytest.mark.bolt("B7-98")
def test_nothing_of_our_node_is_said_before_its_channel(us: Us) -> None:
    theirs = update(0, 0, node=0)
    message, _ = us.channel(updates="theirs")
    us.node.tick()
    assert us.told == list(us.own.messages()) == []
    row, ours = us.index.channels[scid(0)], update(0, 1, node=1)
    us.writer.write_update(row, 1, NOW, ours)
    node = us.store.read(us.index.node_announce_off[us.index.nodes[OUR_ID]])
    assert us.told == list(us.own.messages()) == [message, ours, node]
    assert theirs not in us.told


def test_announcing_where_we_have_moved_to(us: Us) -> None:
    us.channel()
    assert us.said() is not None
    us.node.announce_at(["192.0.2.7:9735"])
    assert us.said(PAUSE) is None, "nothing has changed"
    us.node.announce_at(["192.0.2.8:9735"])
    said = us.said()
    assert said is not None
    assert list(map(str, read_descriptors(said.addresses))) == ["192.0.2.8:9735"]


def test_announcing_what_services_do(us: Us) -> None:
    us.channel()
    assert us.said() is not None
    us.node.announce_features(b"\x80")
    assert us.said(PAUSE) is None, "nothing has changed"
    us.node.announce_features(b"\x08\x80")
    said = us.said()
    assert said is not None
    assert said.features == b"\x08\x80"


def test_it_stands_until_it_ages(us: Us) -> None:
    us.channel()
    assert us.said() is not None
    assert us.said(PAUSE) is None
    assert us.said(12 * DAY) is None
    again = us.said(DAY)
    assert again is not None
    assert again.timestamp == NOW + 13 * DAY + PAUSE


def test_the_next_start_says_nothing_new(us: Us) -> None:
    us.channel()
    assert us.said() is not None
    us = us.again()
    assert us.said(PAUSE) is None
    us.store.close()


@pytest.mark.parametrize(
    "change",
    [
        {"alias": "somebody"},
        {"rgb": b"\3\2\1"},
        {"features": b"\x82"},
        {"addresses": []},
        {"addresses": ["192.0.2.7:9736"]},
    ],
    ids=str,
)
@pytest.mark.parametrize("later", [-DAY, 0, DAY], ids=["clock went back", "at once", "next day"])
def test_what_changes_is_said(us: Us, change: dict[str, Any], later: int) -> None:
    us.channel()
    first = us.said()
    us = us.again(**change)
    second = us.said(later)
    assert first is not None
    assert second is not None
    assert second.timestamp == max(NOW + 1, NOW + later)
    same: dict[str, Any] = {"signature": b"", "timestamp": 0}
    assert replace(second, **same) != replace(first, **same)
    assert us.said(PAUSE) is None
    us.store.close()


def test_what_somebody_else_has_said_in_our_name_is_put_right(us: Us) -> None:
    us.channel()
    us.writer.write_node(us.index.nodes[OUR_ID], NOW + 5, node_announcement(1, NOW + 5))
    said = us.said()
    assert said is not None
    assert said.timestamp == NOW + 6


def test_once_a_minute_at_most(us: Us) -> None:
    us.channel()
    us.hsmd_answers = False
    for _ in range(6):
        us.said(PAUSE / 6)
    assert us.asked == 1
    us.said(PAUSE / 6)
    assert us.asked == 2


def test_a_refusal_is_in_the_log_and_tried_again(us: Us, caplog: pytest.LogCaptureFixture) -> None:
    us.channel()
    us.refuses = "no room"
    assert us.said() is None
    assert "our node_announcement was not taken: no room" in caplog.text
    us.refuses = None
    assert us.said(PAUSE) is not None


def test_what_was_said_by_a_clock_that_was_years_ahead(us: Us) -> None:
    """Nothing could follow the end of time, and peers do not take what is far ahead."""
    us.channel()
    us.writer.write_node(us.index.nodes[OUR_ID], 0xFFFFFFFF, node_announcement(1, 0xFFFFFFFF))
    said = us.said()
    assert said is not None
    assert said.timestamp == NOW
    us = us.again()
    assert us.index.node_ts[us.index.nodes[OUR_ID]] == NOW
    us.store.close()


def jump(us: Us, seconds: float) -> None:
    us.now += seconds
    us.jumped += seconds


def test_clock_that_was_fast_is_set_right(us: Us) -> None:
    us.channel()
    assert us.said() is not None
    us = us.again()
    us.now += DAY / 2
    us.node.announce_features(b"\x08\x80")
    assert us.said() is not None
    jump(us, -DAY / 2)
    assert us.said(PAUSE) is None
    assert us.said(12 * DAY) is None
    assert us.said(DAY) is not None, "by the monotonic clock"
    us.store.close()


def test_pause_is_a_minute_whatever_the_clock_says(us: Us) -> None:
    us.channel()
    assert us.said() is not None
    us.node.announce_features(b"\x08\x80")
    jump(us, -DAY / 2)
    assert us.said(PAUSE) is not None


def test_clock_jumps_ahead(us: Us) -> None:
    """Nothing is said that bears a wrong time, unless the clock stays there."""
    us.channel()
    assert us.said() is not None
    jump(us, 20 * DAY)
    assert us.said() is None
    assert us.said(REST - 1) is None
    assert us.said(1) is not None


def test_a_dying_channel_is_not_public(us: Us) -> None:
    us.channel()
    us.forgetting.spend([scid(0)], 500)
    assert us.said() is None
    assert list(us.own.messages()) == []
    us.forgetting.block(600)
    assert us.said(PAUSE) is None
    us.channel(1)
    assert us.said(PAUSE) is not None


@pytest.mark.bolt("B7-70", "B7-73", "B7-74")
def test_addresses_in_their_order() -> None:
    onion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion:9735"
    addresses = ["b.example.com:1", onion, "[2001:db8::1]:9735", "c.example.com:2", "192.0.2.1:9735", "192.0.2.2:0"]
    written = [str(address) for address in read_descriptors(descriptors([*addresses, "/tmp/socket"]))]
    assert written == ["192.0.2.1:9735", "[2001:db8::1]:9735", onion, "b.example.com:1"]
