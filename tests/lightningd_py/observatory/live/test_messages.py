"""Rows as messages of a feed; raw messages are remembered within bounds."""

import pytest

from lightningd_py.cli.feed_output import line
from lightningd_py.observatory.live.messages import Texts, messages_of
from lightningd_py.observatory.tables.schemas import OUT, batch
from tests.gossipd.messages import KEYS, announcement, update
from tests.lightningd_py.observatory.live.made import PEER, T0, arrivals, short, texts
from wire.bus.feed import TOPICS, ChannelRemoved, Gossip, MapUpdate, PeerConnected, Sent

NODE_ID = KEYS[0][1]


def test_arrival_with_its_message() -> None:
    known = Texts()
    known.take(texts("west", update(3, 1)).rows)
    (found,) = messages_of("arrivals", arrivals("east", update(3, 1)).rows, known, TOPICS)
    assert isinstance(found, Gossip)
    assert (found.topic, found.vantage, found.time_ns, found.raw) == ("gossip.channel_update", "east", T0, update(3, 1))
    assert (found.direction, found.node_id, found.conn_id, found.outcome) == (1, PEER, 7, "new")
    assert "103x1x0/1" in line(found)


def test_outcome_that_no_node_says_is_another() -> None:
    rows = arrivals("east", update(3, 1), outcome="\x1b[31mnew").rows
    (found,) = messages_of("arrivals", rows, Texts(), TOPICS)
    assert isinstance(found, Gossip) and found.outcome == "other"
    (nothing,) = messages_of("arrivals", arrivals("east", update(3, 1), outcome=None).rows, Texts(), TOPICS)
    assert isinstance(nothing, Gossip) and nothing.outcome == "other"


def test_arrival_whose_message_is_not_known() -> None:
    (found,) = messages_of("arrivals", arrivals("east", announcement(3)).rows, Texts(), TOPICS)
    assert isinstance(found, Gossip)
    assert (found.topic, found.raw, found.hash) == ("gossip.channel_announcement", b"", short(announcement(3)))
    assert f"message {found.hash.hex()[:16]}…" in line(found)


def test_what_was_sent_is_taken_by_name() -> None:
    rows = arrivals("east", update(3), dir=OUT).rows
    assert [type(found) for found in messages_of("arrivals", rows, Texts(), TOPICS)] == [Sent]
    assert not list(messages_of("arrivals", rows, Texts(), {"gossip.channel_update"}))


def test_other_tables() -> None:
    known = Texts()
    known.take(texts("west", update(3, 1)).rows)
    nothing = [None] * 6
    rows = batch(
        "map",
        [
            (T0, "east", "channel_removed", 5, None, None, None, "spent", None, None, None),
            (T0, "east", "channel_update", 5, 1, None, 7, None, None, None, short(update(3, 1))),
            (T0, "east", "channel_update", 5, 1, None, 7, "checkpoint", None, None, short(update(3, 1))),
            (T0, "east", "checkpoint", *[None] * 8),
            (T0, "east", "channel_removed", None, None, None, None, "spent", None, None, None),
        ],
    )
    assert [type(found) for found in messages_of("map", rows, known, TOPICS)] == [ChannelRemoved, MapUpdate]
    peers = batch("peers", [(T0, "east", 7, NODE_ID, "connected", "1.2.3.4:9735", True, b"", *nothing[:4])])
    assert [type(found) for found in messages_of("peers", peers, known, TOPICS)] == [PeerConnected]


@pytest.mark.parametrize(("most", "most_bytes"), [(2, 1 << 20), (100, 2 * len(update(1)))])
def test_texts_are_bounded(most: int, most_bytes: int) -> None:
    known = Texts(most, most_bytes)
    for number in range(1, 5):
        known.take(texts("east", update(number), update(number)).rows)
    assert [bool(known.get(short(update(number)))) for number in range(1, 5)] == [False, False, True, True]


@pytest.mark.parametrize(("most", "most_bytes"), [(3, 1 << 20), (100, 3 * len(update(1)))])
def test_texts_have_a_share_for_each_vantage_point(most: int, most_bytes: int) -> None:
    known = Texts(most, most_bytes)
    known.take(texts("west", update(1)).rows)
    known.take(texts("east", *map(update, range(2, 20))).rows)
    assert known.get(short(update(1))) == update(1)
    assert [number for number in range(2, 20) if known.get(short(update(number)))] == [18, 19]
