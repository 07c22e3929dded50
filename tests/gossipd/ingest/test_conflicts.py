"""Two announcements of one output that name different nodes. KEYS[0] and KEYS[1] were first, then come 2 and 3."""

import pytest

from gossipd.ingest import conflicts
from gossipd.map.writer import MapWriter
from gossipd.verdict import Consequence, Verdict
from tests.gossipd.bench import CHANNEL, CHECKED, TELLER, Bench
from tests.gossipd.messages import KEYS, NOW, announcement, node_announcement, scid, spoilt, update

CONFLICTING = announcement(0, 2, 3)


def with_neighbours(bench: Bench) -> None:
    """Channels 1 to 3, each with one of the nodes that are soon on the blacklist; channel 4 has none of them."""
    bench.take(*CHANNEL, node_announcement(0), node_announcement(4))
    for number, one, two in [(1, 0, 4), (2, 1, 5), (3, 3, 4), (4, 4, 5)]:
        bench.take(announcement(number, one, two), update(number, node=one))
    assert len(bench.index.channels) == 5


@pytest.mark.bolt("B7-65")
def test_all_four_nodes_are_blacklisted(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with_neighbours(bench)
    bench.take(node_announcement(4))
    assert bench.take(CONFLICTING) == CHECKED
    assert bench.faults == [], "it is not the fault of who has passed it on"
    assert [*bench.index.channels] == [scid(4)]
    assert len(bench.ingest.conflicts.blacklisted) == 4
    assert "4 channels are forgotten" in caplog.text
    assert all(KEYS[number][1].hex() in caplog.text for number in range(4))
    for number in range(4):
        assert bench.take(announcement(10 + number, number, 4)) == [Verdict.BLACKLISTED]
    assert bench.take(announcement(20, 4, 5)) == CHECKED
    assert bench.take(*CHANNEL) == [Verdict.CLOSED] * 3
    assert bench.heard_of == [], "they are not asked for"
    assert bench.is_as_reopened()


@pytest.mark.bolt("B7-65")
def test_one_that_is_on_its_way_is_not_written(bench: Bench) -> None:
    bench.take(*CHANNEL, announcement(1, 0, 4))
    bench.take(CONFLICTING)
    bench.take(update(1, node=0))
    bench.now += 60
    bench.ingest.write_lonely(10)
    assert bench.index.channels == {}


@pytest.mark.bolt("B7-65", "B7-62")
@pytest.mark.parametrize("at", [2, 66, 130, 194], ids=["node 1", "node 2", "bitcoin 1", "bitcoin 2"])
def test_what_is_not_signed_by_all_four_proves_nothing(bench: Bench, at: int) -> None:
    with_neighbours(bench)
    bad = spoilt(CONFLICTING, at + 10)
    assert bench.take(bad) == CHECKED
    ((source, text, consequence),) = bench.faults
    assert (source, consequence) == (TELLER, Consequence.WARN)
    assert "other nodes than before" in text
    assert (len(bench.index.channels), len(bench.ingest.conflicts.blacklisted)) == (5, 0)
    assert bench.take(bad) == [Verdict.REFUSED]


@pytest.mark.bolt("B7-65")
def test_another_output_proves_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any node can sign an announcement of any output, with bitcoin keys of its own."""
    with monkeypatch.context() as patch:
        patch.setattr("tests.gossipd.messages.BITCOIN_KEYS", KEYS[6:8])
        other = announcement(0, 2, 3)
    with_neighbours(bench)
    assert bench.take(other) == [Verdict.CONFLICT]
    assert (len(bench.index.channels), len(bench.ingest.conflicts.blacklisted)) == (5, 0)
    assert len(bench.signatures.checked) == len(set(bench.signatures.checked)), "nor does it cost a check"
    assert other not in bench.signatures.checked


def test_the_same_again_is_redundant(bench: Bench) -> None:
    bench.take(*CHANNEL)
    assert bench.take(CHANNEL[0]) == [Verdict.REDUNDANT]
    assert bench.tell(CONFLICTING, CONFLICTING) == [Verdict.CHECKING, Verdict.REDUNDANT]


def test_its_channel_has_gone_meanwhile(bench: Bench) -> None:
    bench.take(*CHANNEL)
    bench.tell(CONFLICTING)
    bench.forgetting.prune([scid(0)])
    bench.signatures.run()
    assert len(bench.ingest.conflicts.blacklisted) == 0


def test_without_room_it_is_owed(bench: Bench) -> None:
    bench.take(*CHANNEL)
    bench.ingest.checks.suspended = True
    assert bench.take(CONFLICTING) == [Verdict.OWED]
    assert len(bench.ingest.conflicts.blacklisted) == 0


@pytest.mark.bolt("B7-65")
def test_we_ourselves_are_spared(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MapWriter, "our_id", KEYS[0][1])
    with_neighbours(bench)
    bench.take(CONFLICTING)
    assert len(bench.ingest.conflicts.blacklisted) == 3
    assert bench.take(announcement(30, 0, 4), update(30, node=0)) == CHECKED * 2


def test_the_blacklist_is_bounded(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(conflicts, "MAX_BLACKLISTED", 5)
    bench: Bench = request.getfixturevalue("bench")
    bench.take(*CHANNEL, CONFLICTING)
    bench.take(announcement(1, 4, 5), update(1, node=4, timestamp=NOW), announcement(1, 6, 7))
    assert len(bench.ingest.conflicts.blacklisted) == 5
    assert bench.take(announcement(2, 0, 6)) == [Verdict.BLACKLISTED]


def test_a_stranger_cannot_push_others_out_of_the_blacklist(bench: Bench) -> None:
    """The stranger has many nodes of its own, which contradict each other as it likes."""
    bench.take(*CHANNEL, CONFLICTING)
    blacklist = bench.ingest.conflicts._blacklist_nodes
    for number in range(3 * conflicts.MAX_BLACKLISTED):
        blacklist(scid(1), {number.to_bytes(33, "big")}, "the network of a stranger")
    assert len(bench.ingest.conflicts.blacklisted) == conflicts.MAX_BLACKLISTED
    for number in range(4):
        assert bench.take(announcement(10 + number, number, 4)) == [Verdict.BLACKLISTED]
