"""Connections on the feed: the master tells of them while someone takes them, and need not otherwise."""

from gossipd.feed import Feed, say_peer
from tests.gossipd.gossipd_process import peer_info
from wire.control.control_wire import FeedPeerConnected, FeedPeerDisconnected, FeedPeersWanted


def test_peers_need_not_be_told_while_no_one_takes_them() -> None:
    said: list[bytes] = []
    told: list[FeedPeersWanted] = []
    feed, info = Feed(lambda topic, body: said.append(topic)), peer_info(7)
    came, went = FeedPeerConnected(info, 123), FeedPeerDisconnected(info.node_id, 7, "enough", 456)
    say_peer(feed, came, told.append)
    assert told == [FeedPeersWanted(wanted=False)]
    feed.subscribed(b"gossip.", wanted=True)
    assert len(told) == 1
    feed.subscribed(b"peer.connected", wanted=True)
    feed.subscribed(b"peer.disconnected", wanted=True)
    assert told == [FeedPeersWanted(wanted=False), FeedPeersWanted(wanted=True)]
    say_peer(feed, came, told.append)
    say_peer(feed, went, told.append)
    assert said == [b"peer.connected", b"peer.disconnected"]
    feed.subscribed(b"peer.connected", wanted=False)
    feed.subscribed(b"peer.disconnected", wanted=False)
    say_peer(feed, went, told.append)
    feed.subscribed(b"", wanted=True)
    assert told[2:] == [FeedPeersWanted(wanted=False), FeedPeersWanted(wanted=True)]
    assert len(said) == 2
