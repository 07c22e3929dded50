"""Rates, order and the cursor of `top`."""

from typing import Any

from lightningd_py.top.model import SORTS, Model, Snapshot
from lightningd_py.top.processes import Usage


def peer(conn_id: int, **more: Any) -> dict[str, Any]:
    fields = {"id": f"{conn_id:066x}", "conn_id": conn_id, "connected": True, "owner": "gossipd", "direction": "in"}
    return {**fields, "netaddr": ["127.0.0.1:1"], "bytes_in": 0, "bytes_out": 0, **more}


def snapshot(now: float, *peers: dict[str, Any], cpu: float = 0.0, **gossip: Any) -> Snapshot:
    return Snapshot(now, peers, gossip, [Usage(7, "gossipd", cpu, 1_000)])


def order(model: Model) -> list[int]:
    return [row.conn_id for row in model.rows]


def test_rates_are_between_two_snapshots() -> None:
    model = Model()
    model.feed(snapshot(10.0, peer(1, bytes_in=100), cpu=1.0, accepted=5))
    assert (model.rows[0].rate_in, model.verdicts(), model.daemons()[0][1]) == (0.0, [("accepted", 5, 0.0)], 0.0)
    model.feed(snapshot(12.0, peer(1, bytes_in=300), peer(2, bytes_in=9), cpu=2.0, accepted=25))
    assert [row.rate_in for row in model.rows] == [100.0, 0.0], "who has just come has no rate yet"
    assert (model.verdicts(), model.daemons()[0][1]) == ([("accepted", 25, 10.0)], 50.0)
    model.feed(snapshot(14.0, peer(1, bytes_in=0), accepted=0))
    assert model.rows[0].rate_in == 0.0, "a counter that began again is no negative rate"


def test_what_never_happened_is_not_shown() -> None:
    model = Model()
    model.feed(snapshot(1.0, bad=0, blacklisted=0, full=3))
    assert [name for name, _, _ in model.verdicts()] == ["bad", "full"]


def test_gossip_is_the_connections_own() -> None:
    model = Model()
    said = {"conn_id": 2, "good": 3, "redundant": 4, "rate_limited": 5, "bad": 6, "score": 7, "ignored": False}
    model.feed(snapshot(1.0, peer(1, new_gossip=9), peer(2), peer_gossip=[said]))
    assert [(row.new, row.redundant, row.refused, row.score) for row in model.rows] == [(9, 0, 0, 0), (3, 4, 11, 7)]


def test_the_cursor_stays_on_its_peer() -> None:
    model = Model()
    model.feed(snapshot(1.0, peer(1), peer(2), peer(3)))
    model.move(1)
    assert model.chosen == 2
    model.feed(snapshot(2.0, peer(3), peer(2)))
    assert (order(model), model.chosen) == ([2, 3], 2)
    model.detail = True
    model.feed(snapshot(3.0, peer(3)))
    assert (model.chosen, model.detail) == (3, False), "the one that was looked at has gone"
    model.move(-10)
    assert model.chosen == 3
    model.feed(snapshot(4.0))
    model.move(1)
    assert (model.chosen, model.peer) == (None, None)


def test_each_order() -> None:
    model = Model()
    model.feed(snapshot(1.0, peer(1, ping_ms=5.0), peer(2, owner="channeld"), {"id": "03", "connected": False}))
    for name in SORTS:
        assert (model.sort, sorted(order(model))) == (name, [1, 2])
        model.next_sort()
    assert model.sort == "owner"
    assert order(model) == [2, 1]
    model.turn()
    assert order(model) == [1, 2]
