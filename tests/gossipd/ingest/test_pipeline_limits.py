"""Taking gossip in within limits: too many updates, wrong signatures again, no room."""

from struct import pack

import pytest

from gossipd.ingest import checks
from gossipd.ingest.debt import MAX_NODES
from gossipd.ingest.ratelimit import BURST
from gossipd.verdict import Verdict
from tests.gossipd.bench import Bench
from tests.gossipd.messages import KEYS, NOW, announcement, node_announcement, scid, spoilt, update
from wire.encoded import ALL, NODE_1, NODE_2, UPDATE_2
from wire.net.gossip_fd import GossipOwed

CHANNEL = [announcement(), update(direction=0), update(direction=1)]


def test_node_that_updates_too_often_is_not_listened_to(bench: Bench) -> None:
    bench.take(*CHANNEL)
    accepted = bench.ingest.checks.counters["accepted"]
    for number in range(1, 21):
        bench.take(update(timestamp=NOW + number))
    assert bench.ingest.checks.counters["accepted"] == accepted + BURST
    assert bench.ingest.checks.counters["rate limited"] == 20 - BURST
    bench.now += 60
    bench.take(update(timestamp=NOW + 30))
    assert bench.ingest.checks.counters["accepted"] == accepted + BURST + 1
    assert bench.faults == [], "who passes it on has done nothing wrong"


def test_other_direction_is_not_limited_by_it(bench: Bench) -> None:
    bench.take(*CHANNEL)
    for number in range(1, 21):
        bench.take(update(timestamp=NOW + number))
    assert bench.take(update(timestamp=NOW + 1, direction=1)) == [Verdict.CHECKING]
    assert bench.index.update_ts[1][0] == NOW + 1


def test_keep_alives_cost_nothing(bench: Bench) -> None:
    bench.take(*CHANNEL)
    for day in range(1, 13):
        bench.now += 86_400
        bench.take(update(timestamp=NOW + day * 86_400))
    assert bench.ingest.checks.counters["rate limited"] == 0
    assert bench.index.update_ts[0][0] == NOW + 12 * 86_400


@pytest.mark.bolt("B7-80")
def test_wrong_signature_is_not_checked_again(bench: Bench) -> None:
    bench.take(*CHANNEL)
    bad = spoilt(update(timestamp=NOW + 1), 10)
    assert bench.take(bad) == [Verdict.CHECKING]
    checked = len(bench.signatures.checked)
    assert bench.take(bad, bad) == [Verdict.REFUSED] * 2
    assert len(bench.signatures.checked) == checked
    assert bench.take(update(timestamp=NOW + 1)) == [Verdict.CHECKING]


def test_memory_of_wrong_signatures_is_bounded(bench: Bench) -> None:
    bench.ingest.checks.refused.most = 5
    bad = [spoilt(announcement(number), 10) for number in range(8)]
    bench.take(*bad)
    assert bench.take(bad[0]) == [Verdict.CHECKING], "the oldest is forgotten"
    assert bench.take(bad[7]) == [Verdict.REFUSED]


def test_bogus_announcement_does_not_hide_the_right_one(bench: Bench) -> None:
    """The right one comes while the bogus one is checked, and is taken for a duplicate: it is asked for again."""
    assert bench.tell(spoilt(CHANNEL[0], 10), CHANNEL[0]) == [Verdict.CHECKING, Verdict.REDUNDANT]
    bench.signatures.run()
    assert bench.owed == [(scid(0), ALL)]


def test_what_finds_no_room_is_owed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.take(*CHANNEL, node_announcement(0))
    monkeypatch.setattr(checks, "DEBT_MARK", 0)
    said = [announcement(1), update(timestamp=NOW + 1, direction=1), node_announcement(0, timestamp=NOW + 1)]
    assert bench.tell(*said) == [Verdict.OWED] * 3
    assert bench.owed == [(scid(1), ALL), (scid(0), UPDATE_2)]
    bench.owed.clear()
    bench.ingest.checks.debt.settle_nodes()
    ((owed, flags),) = bench.owed
    assert (owed, flags) in ((scid(0), NODE_1), (scid(0), NODE_2))
    bench.ingest.checks.debt.settle_nodes()
    assert len(bench.owed) == 1
    assert bench.ingest.checks.debt.count == 3


def test_everything_is_owed_while_nothing_can_be_written(bench: Bench) -> None:
    bench.ingest.checks.suspended = True
    assert bench.tell(CHANNEL[0]) == [Verdict.OWED]
    assert bench.tell(CHANNEL[1]) == [Verdict.UNKNOWN_CHANNEL]
    assert bench.heard_of == [scid(0)]


def test_what_another_owner_could_not_pass_on_is_owed(bench: Bench) -> None:
    """Of a channel that we do not know everything is wanted."""
    bench.take(*CHANNEL)
    debt = bench.ingest.checks.debt
    debt.note_owed(GossipOwed({scid(0): UPDATE_2, scid(1): UPDATE_2}), 7)
    assert bench.owed_to == [7, 7]
    assert bench.owed == [(scid(0), UPDATE_2), (scid(1), ALL)]
    assert bench.overflows == []
    debt.note_owed(GossipOwed(overflowed=True), 7)
    assert bench.overflows == [1]


def test_owed_nodes_are_bounded(bench: Bench) -> None:
    debt = bench.ingest.checks.debt
    for number in range(20_000):
        debt.note(pack(">H64sHI33s", 257, b"", 0, 1, number.to_bytes(33, "big")), number % 2)
    assert len(debt.nodes) == MAX_NODES
    debt.settle_nodes()
    assert bench.owed == []
    assert debt.count == 20_000


def test_a_source_that_owes_many_nodes_loses_its_own(bench: Bench) -> None:
    """What an honest peer's is owed, and of whom it is to be asked, stays."""
    honest, stranger = 1, 2
    bench.take(*CHANNEL, node_announcement(0))
    debt = bench.ingest.checks.debt
    debt.note(node_announcement(0, timestamp=NOW + 1), honest)
    for number in range(MAX_NODES + 100):
        debt.note(pack(">H64sHI33s", 257, b"", 0, 1, number.to_bytes(33, "big")), stranger)
    assert len(debt.nodes) == MAX_NODES
    debt.settle_nodes()
    assert (len(bench.owed), bench.owed_to) == (1, [honest])
    assert len(debt.nodes) == 0


def test_what_is_owed_is_owed_for_its_sender(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the three kinds that finds no room, and what is passed over."""
    bench.take(*CHANNEL)
    monkeypatch.setattr(checks, "DEBT_MARK", 0)
    bench.ingest.receive(announcement(1), 3)
    bench.ingest.receive(update(timestamp=NOW + 1, direction=1), 4)
    bench.ingest.receive(node_announcement(0), 5)
    bench.ingest.checks.debt.settle_nodes()
    bench.ingest.pass_over(update(timestamp=NOW + 2), 6)
    assert bench.owed_to == [3, 4, 5, 6]


def test_a_node_that_announces_itself_too_often_is_not_listened_to(bench: Bench) -> None:
    bench.take(*CHANNEL, node_announcement(0))
    for number in range(1, 21):
        bench.take(node_announcement(0, NOW + number))
    assert bench.index.node_ts[bench.index.nodes[KEYS[0][1]]] == NOW + BURST
    assert bench.ingest.checks.counters["rate limited"] == 20 - BURST
    assert bench.take(node_announcement(1)) == [Verdict.CHECKING], "another one has its own"
    bench.now += 60
    bench.take(node_announcement(0, NOW + 30))
    assert bench.index.node_ts[bench.index.nodes[KEYS[0][1]]] == NOW + 30
    assert bench.faults == [], "who passes it on has done nothing wrong"


@pytest.mark.bolt("B7-84")
def test_what_is_far_ahead_bars_nothing_that_comes_later(bench: Bench) -> None:
    bench.take(*CHANNEL)
    ahead = [node_announcement(0, 0xFFFFFFFF), update(timestamp=0xFFFFFFFF)]
    assert bench.take(*ahead) == [Verdict.FUTURE] * 2
    assert bench.take(node_announcement(0), update(timestamp=NOW + 1)) == [Verdict.CHECKING] * 2
    assert bench.records() == [*CHANNEL[:1], CHANNEL[2], node_announcement(0), update(timestamp=NOW + 1)]


@pytest.mark.parametrize("jump", [-86_000, 86_000])
def test_a_wall_clock_that_is_set_changes_no_rate(bench: Bench, jump: int) -> None:
    bench.take(*CHANNEL)
    for number in range(1, 6):
        bench.take(update(timestamp=NOW + number))
    bench.wall_jump = jump
    for number in range(6, 21):
        bench.take(update(timestamp=NOW + number))
    assert bench.ingest.checks.counters["rate limited"] == 20 - BURST
    bench.now += 60
    bench.take(update(timestamp=NOW + 30))
    assert bench.index.update_ts[0][0] == NOW + 30
