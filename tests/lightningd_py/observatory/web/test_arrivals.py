"""Figures of the feed have bounds, whatever a peer says."""

from typing import Any

from lightningd_py.observatory.web.arrivals import HISTORY, MOST_ARRIVALS, MOST_PEERS, SHOWN_PEERS, Arrivals
from wire.bus.feed import Gossip, PeerConnected, PeerDisconnected

SECOND = 1_000_000_000


def gossip(time_s: int = 0, peer: int = 1, **fields: Any) -> Gossip:
    known: dict[str, Any] = {"outcome": "new", "reason": "", "type": 258, "raw": bytes(9)}
    node_id = b"\2" + peer.to_bytes(32, "big")
    return Gossip(
        topic="gossip.channel_update",
        seq=1,
        time_ns=time_s * SECOND,
        node_id=node_id,
        conn_id=peer,
        incoming=False,
        **(known | fields),
    )


def test_arrivals_are_counted_by_verdict_kind_and_peer() -> None:
    arrivals = Arrivals()
    for outcome, peer in (("new", 1), ("new", 2), ("redundant", 2), ("rejected", 2)):
        arrivals.hear(gossip(5, peer, outcome=outcome))
    news = arrivals.news(None)
    assert news["totals"] == {"new": 2, "redundant": 1, "rejected": 1}
    assert news["kinds"] == {"channel_update": 4}
    assert [peer["counts"] for peer in news["peers"]] == [{"new": 1, "redundant": 1, "rejected": 1}, {"new": 1}]
    assert news["seconds"] == [[5, {"new": 2, "redundant": 1, "rejected": 1}]]


def test_subscriber_gets_what_is_new_and_hears_what_it_has_missed() -> None:
    arrivals = Arrivals()
    for _ in range(3):
        arrivals.hear(gossip())
    assert [each["number"] for each in arrivals.news(1)["arrivals"]] == [2, 3]
    assert arrivals.news(3)["arrivals"] == []
    for _ in range(MOST_ARRIVALS + 7):
        arrivals.hear(gossip())
    late = arrivals.news(3)
    assert (len(late["arrivals"]), late["missed"]) == (MOST_ARRIVALS, 7)
    assert arrivals.news(None)["missed"] == 0
    assert arrivals.news(10**9)["arrivals"] == []


def test_peers_and_seconds_have_bounds() -> None:
    arrivals = Arrivals()
    for number in range(2 * MOST_PEERS):
        arrivals.hear(gossip(2 * number, number))
    news = arrivals.news(None)
    assert (len(news["peers"]), len(news["seconds"])) == (SHOWN_PEERS, HISTORY)
    assert len(arrivals._peers) == MOST_PEERS


def test_a_clock_that_jumps_back_opens_no_new_second() -> None:
    arrivals = Arrivals()
    for second in (100, 3, 50):
        arrivals.hear(gossip(second))
    assert arrivals.news(None)["seconds"] == [[100, {"new": 3}]]


def test_peers_come_and_go() -> None:
    arrivals = Arrivals()
    node_id = b"\2" + bytes(32)
    head: dict[str, Any] = {"seq": 1, "time_ns": 1, "node_id": node_id, "conn_id": 1}
    address = "1.2.3.4:9735\u202e" + "x" * 500
    arrivals.hear(PeerConnected(topic="peer.connected", address=address, incoming=True, features=b"", **head))
    (peer,) = arrivals.news(None)["peers"]
    assert (peer["connected"], peer["incoming"]) == (True, True)
    assert peer["address"].startswith("1.2.3.4:9735?x") and len(peer["address"]) == 200
    arrivals.hear(PeerDisconnected(topic="peer.disconnected", reason="", **head))
    assert not arrivals.news(None)["peers"][0]["connected"]


def test_long_reason_is_cut() -> None:
    arrivals = Arrivals()
    arrivals.hear(gossip(reason="\x1b[31m" + "y" * 10_000))
    (shown,) = arrivals.news(None)["arrivals"]
    assert shown["reason"].startswith("?[31m") and len(shown["reason"]) == 200
