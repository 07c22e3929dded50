"""lightning-cli-py feed: how messages are shown, and when there is no node."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.cli.cli import NOT_TALKING, WRONG_USAGE, command
from lightningd_py.cli.feed_output import json_line, line
from lightningd_py.tools.feed_client import Feed
from tests.gossipd.messages import KEYS, announcement, node_announcement, scid, update
from wire.bus.feed import (
    ChannelDying,
    ChannelRemoved,
    FeedError,
    FeedMessage,
    Gossip,
    MapChannel,
    MapNode,
    MapUpdate,
    NodeRemoved,
    PeerConnected,
    PeerDisconnected,
    PeerPing,
    PeerPong,
    Sent,
)

NODE_ID = KEYS[0][1]
SHORT = NODE_ID.hex()[:16] + "…"


def arrival(raw: bytes, outcome: str = "new", reason: str = "", *, ours: bool = False) -> Gossip:
    return Gossip(
        topic="gossip.channel_update",
        seq=1,
        time_ns=1_700_000_000_123_456_789,
        node_id=None if ours else NODE_ID,
        conn_id=None if ours else 7,
        incoming=None if ours else False,
        outcome=outcome,
        reason=reason,
        raw=raw,
    )


def shown(message: FeedMessage) -> str:
    """The line without its time and topic."""
    return line(message).split(maxsplit=2)[2]


@pytest.mark.parametrize(
    ("raw", "about"),
    [
        (announcement(3), "103x1x0"),
        (update(3, 1), "103x1x0/1"),
        (update(3, 0, disable=True), "103x1x0/0 disabled"),
        (node_announcement(0), SHORT),
        (b"\1\0\1", "malformed"),
        (b"\1", "malformed"),
    ],
)
def test_an_arrival(raw: bytes, about: str) -> None:
    assert shown(arrival(raw)) == f"{SHORT} #7 out  {about}  new"


def test_time_and_topic_stand_in_front() -> None:
    words = line(arrival(update())).split()
    assert words[0].endswith(".123456")
    assert words[1] == "gossip.channel_update"


def test_what_is_our_own_and_why_something_was_refused() -> None:
    assert shown(arrival(update(), "rejected", "it is old", ours=True)) == "ourselves  100x1x0/0  rejected: it is old"


def test_nothing_that_a_stranger_writes_reaches_the_terminal() -> None:
    evil = bytearray(node_announcement(0))
    at = evil.index(bytes(32), 66)
    evil[at : at + 10] = b"\x1b[2Jevil\x07\n"
    gone = PeerDisconnected(topic="peer.disconnected", seq=1, time_ns=1, node_id=NODE_ID, conn_id=7, reason="\x1b[2J\n")
    for text in (line(arrival(bytes(evil), "rejected", "\x1b[2J\n")), line(gone)):
        assert text.isprintable()


COMMON: dict[str, Any] = {"seq": 4, "time_ns": 5}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            MapChannel(topic="m", short_channel_id=scid(1), amount_sat=7, timestamp=8, raw=b"", **COMMON),
            "101x1x0  7 sat",
        ),
        (
            MapChannel(topic="m", short_channel_id=scid(1), amount_sat=None, timestamp=8, raw=b"", **COMMON),
            "101x1x0  unchecked",
        ),
        (
            MapUpdate(topic="m", short_channel_id=scid(1), direction=1, timestamp=8, raw=update(1, 1), **COMMON),
            "101x1x0/1",
        ),
        (MapNode(topic="m", node_id=NODE_ID, timestamp=8, raw=node_announcement(), **COMMON), SHORT),
        (ChannelDying(topic="m", short_channel_id=scid(1), deadline=9, **COMMON), "101x1x0  until block 9"),
        (ChannelRemoved(topic="m", short_channel_id=scid(1), why="pruned", **COMMON), "101x1x0  pruned"),
        (NodeRemoved(topic="m", node_id=NODE_ID, **COMMON), SHORT),
        (
            PeerConnected(
                topic="p", node_id=NODE_ID, conn_id=7, address="[::1]:9735", incoming=True, features=b"", **COMMON
            ),
            f"{SHORT}  #7  from [::1]:9735",
        ),
        (
            PeerDisconnected(topic="p", node_id=NODE_ID, conn_id=7, reason="why not", **COMMON),
            f"{SHORT}  #7  why not",
        ),
        (
            Sent(topic="s", node_id=NODE_ID, conn_id=7, incoming=True, raw=update(1, 1), **COMMON),
            f"{SHORT} #7 in  101x1x0/1",
        ),
        (
            PeerPing(topic="p", node_id=NODE_ID, conn_id=7, incoming=True, dir="in", size=9, **COMMON),
            f"{SHORT} #7 in  in  9 bytes",
        ),
        (
            PeerPong(
                topic="p", node_id=NODE_ID, conn_id=7, incoming=False, dir="in", size=1, rtt_ns=2_345_678, **COMMON
            ),
            f"{SHORT} #7 out  in  1 bytes  2.346 ms",
        ),
        (
            PeerPong(topic="p", node_id=NODE_ID, conn_id=7, incoming=False, dir="out", size=1, rtt_ns=None, **COMMON),
            f"{SHORT} #7 out  out  1 bytes",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_all_other_messages(message: FeedMessage, text: str) -> None:
    assert shown(message) == text


def test_a_topic_that_is_not_known_is_shown_by_its_name() -> None:
    assert line(FeedMessage(topic="weather", **COMMON)).split()[1:] == ["weather"]


def test_json_has_every_field() -> None:
    removed = ChannelRemoved(topic="map.channel_removed", short_channel_id=scid(1), why="spent", **COMMON)
    assert json.loads(json_line(removed, 0)) == {
        "topic": "map.channel_removed",
        "seq": 4,
        "time_ns": 5,
        "vantage": "",
        "epoch": 0,
        "short_channel_id": "101x1x0",
        "why": "spent",
    }
    assert json.loads(json_line(removed, 12))["lost"] == 12
    fields = json.loads(json_line(arrival(b"\1\2"), 0))
    assert (fields["raw"], fields["hash"], fields["short_channel_id"], fields["about"]) == ("0102", "", None, None)


# no node there


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a node."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_outcome_is_a_strangers_text() -> None:
    assert "\x1b" not in line(arrival(bytes(9), "\x1b[31mnew"))


def test_no_node(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["feed"]) == NOT_TALKING
    endpoint = f"ipc://{home}/.lightning-py/bitcoin/feed"
    assert capsys.readouterr().err == f"lightning-cli-py: nothing is published on {endpoint}\n"


@pytest.mark.parametrize(
    ("topic", "advice"),
    [("gosip.", ": did you mean gossip.?"), ("map.nodes", ": did you mean map.node_"), ("xy", ": there are gossip.")],
)
def test_a_topic_that_never_comes(capsys: pytest.CaptureFixture[str], topic: str, advice: str) -> None:
    assert command(["feed", "peer.", topic]) == WRONG_USAGE
    assert f"lightning-cli-py: no topic begins with '{topic}'{advice}" in capsys.readouterr().err


def test_no_feed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["--feed=none", "feed"]) == WRONG_USAGE
    assert capsys.readouterr().err == "lightning-cli-py: this node publishes no feed: --feed=none\n"


@pytest.mark.parametrize("where", ["nonsense://x", "ipc://", "ipc:///" + 108 * "x"])
def test_what_is_no_place_for_a_feed(where: str) -> None:
    with pytest.raises(FeedError):
        Feed(where)


def test_date_and_zone_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    """At 2026-11-29 23:30:05.25 UTC it is the next day in Kathmandu."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    try:
        removed = FeedMessage(topic="weather", **(COMMON | {"time_ns": 1_795_995_005_250_000_000}))
        assert line(removed, dated=True) == f"2026-11-30 05:15:05.250000+0545  {'weather':27}"
        assert line(removed) == f"05:15:05.250000  {'weather':27}"
    finally:
        monkeypatch.undo()
        time.tzset()
