"""The feed for the master: as a subscriber of its own, beside those of ZMQ."""

import msgpack

from gossipd.feed import Feed
from wire.bus.feed import CHANNEL_DYING


def test_what_the_master_takes_is_told_to_it_alone() -> None:
    heard: list[bytes] = []
    feed = Feed(lambda topic, body: heard.append(body))
    told: list[tuple[str, bytes]] = []
    room = [True, False, True]
    feed.tell_master = lambda topic, body: (told.append((topic, body)), room.pop(0))[1]
    feed.taken_by_master([CHANNEL_DYING])
    assert (feed.map, feed.gossip, feed.topics_taken) == (True, False, 0)
    for deadline in range(3):
        feed.say(CHANNEL_DYING, short_channel_id=1, deadline=deadline)
    assert heard == []
    assert [msgpack.unpackb(body)["deadline"] for _, body in told] == [0, 1, 2]
    assert feed.lost_to_master == 1
    feed.subscribed(b"map.", wanted=True)
    room.append(True)
    feed.say(CHANNEL_DYING, short_channel_id=1, deadline=3)
    assert (len(heard), len(told)) == (1, 4)
    feed.taken_by_master([])
    feed.say(CHANNEL_DYING, short_channel_id=1, deadline=4)
    assert (len(heard), len(told)) == (2, 4)
