"""Taking gossip in: in which order it is kept, what waits for what, and who hears of it."""

import pytest

from gossipd.ingest.checks import USER
from gossipd.map import loading
from gossipd.verdict import Verdict
from tests.gossipd.bench import CHANNEL, CHECKED, Bench
from tests.gossipd.messages import (
    BITCOIN_KEYS,
    NOW,
    announcement,
    node_announcement,
    scid,
    spoilt,
    update,
)
from wire.encoded import UPDATE_1, UPDATE_2


@pytest.mark.bolt("B7-98")
def test_announcement_waits_for_its_first_update(bench: Bench) -> None:
    bench.take(CHANNEL[0])
    assert bench.records() == []
    bench.take(CHANNEL[2])
    assert bench.records() == [CHANNEL[0], CHANNEL[2]]
    assert bench.timestamps() == [NOW, NOW]


def test_update_while_its_announcement_is_in_check(bench: Bench) -> None:
    newer = update(timestamp=NOW + 1)
    assert bench.tell(*CHANNEL, newer) == [Verdict.CHECKING, *[Verdict.HELD] * 3]
    bench.signatures.run()
    assert bench.records() == [CHANNEL[0], newer, CHANNEL[2]] or bench.records() == [CHANNEL[0], CHANNEL[2], newer]
    assert bench.is_as_reopened()


def test_update_behind_an_announcement_that_fails(bench: Bench) -> None:
    assert bench.tell(spoilt(CHANNEL[0], 42), CHANNEL[1]) == [Verdict.CHECKING, Verdict.HELD]
    bench.signatures.run()
    assert bench.signatures.checked == [spoilt(CHANNEL[0], 42)]
    assert bench.records() == []
    assert [text for _, text, _ in bench.faults] == ["channel_announcement 100x1x0: bad node_signature_1"]
    assert bench.take(*CHANNEL) == CHECKED * 3


@pytest.mark.bolt("B7-77", "B7-86")
def test_update_in_check_with_the_key_of_an_announcement_that_fails(bench: Bench) -> None:
    """A stranger's key is not that of the channel whose real announcement comes in between."""
    strangers = [spoilt(announcement(one=2, two=3), 42), update(node=2)]
    bench.tell(*strangers)
    bench.signatures.run(1)
    assert len(bench.faults) == 1
    bench.tell(CHANNEL[0])
    bench.signatures.run()
    bench.take(CHANNEL[2])
    assert bench.records() == [CHANNEL[0], CHANNEL[2]]


@pytest.mark.parametrize("size", [430, 60_000])
def test_announcements_that_wait_are_bounded(bench: Bench, size: int) -> None:
    """In number and in bytes; those of nodes without a channel too, for which nothing has been proven."""
    bench.ingest.pending.table.most, bench.ingest.pending.table.most_size = 20, 300_000
    bench.outputs.at_once = False
    room = 20 if size < 1_000 else 4
    said = [announcement(number, features=bytes(size - 430)) for number in range(30)]
    assert bench.take(*said) == [*CHECKED * room, *[Verdict.FULL] * (30 - room)]
    assert [each for each, _ in bench.owed] == [scid(number) for number in range(room, 30)]
    for found, _ in bench.outputs.answers:
        found(1)
    assert bench.take(announcement(100, features=bytes(size - 430))) == CHECKED, "proven ones make room"
    assert bench.records() == said[:1]


def test_updates_that_are_held_count_in_bytes(bench: Bench) -> None:
    """Behind one announcement of 430 bytes there could be a megabyte of them."""
    table = bench.ingest.pending.table
    table.most_size = 100_000
    bench.outputs.at_once = False
    bench.take(CHANNEL[0])
    large = [update(timestamp=NOW + number) + bytes(50_000) for number in range(3)]
    verdicts = [bench.ingest.receive(message, source) for source, message in enumerate(large, 1)]
    assert verdicts == [Verdict.HELD, Verdict.HELD, Verdict.OWED]
    assert table.size > 100_000
    ((found, _),) = bench.outputs.answers
    found(1)
    assert table.size < 1_000
    assert bench.owed == [(scid(0), UPDATE_1 | UPDATE_2)], "what was not held"


@pytest.mark.parametrize(("size", "room"), [(142, 5), (30_000, 3)])
def test_nodes_that_wait_are_bounded(bench: Bench, size: int, room: int) -> None:
    """The oldest ones make room."""
    bench.ingest.nodes.waiting.table.most, bench.ingest.nodes.waiting.table.most_size = 5, 100_000
    nodes = [node_announcement(number, features=bytes(size - 142)) for number in range(8)]
    assert bench.take(*nodes, nodes[7]) == [*[Verdict.WAITING] * 8, Verdict.REDUNDANT]
    for number in range(0, 8, 2):
        bench.take(announcement(number, number, number + 1), update(number, node=number))
    assert [message for message in bench.records() if message[1] == 1] == nodes[8 - room :]


@pytest.mark.bolt("B7-69")
def test_node_announcement_before_its_channel(bench: Bench) -> None:
    """The announcement waits, unchecked, and of several of one node the last one counts."""
    nodes = [node_announcement(0, NOW - 5), node_announcement(0), node_announcement(1)]
    assert bench.take(*nodes) == [Verdict.WAITING] * 3
    assert bench.signatures.checked == []
    bench.take(*CHANNEL)
    assert bench.records() == [*CHANNEL[:2], *nodes[1:], CHANNEL[2]]
    assert bench.is_as_reopened()


@pytest.mark.bolt("B7-98")
def test_lonely_announcement(bench: Bench) -> None:
    """Written without an update after a while, and once more, before the update, when that comes."""
    bench.take(CHANNEL[0], node_announcement(0))
    bench.ingest.write_lonely(10)
    assert bench.records() == []
    bench.now += 10
    bench.ingest.write_lonely(10)
    assert bench.records() == [CHANNEL[0]]
    bench.signatures.run()
    assert bench.records() == [CHANNEL[0], node_announcement(0)]
    assert bench.timestamps() == [0, NOW]
    bench.take(CHANNEL[1])
    assert bench.records() == [CHANNEL[0], CHANNEL[1], node_announcement(0)]
    assert bench.timestamps() == [NOW] * 3
    bench.take(CHANNEL[2])
    assert bench.records() == [CHANNEL[0], CHANNEL[1], node_announcement(0), CHANNEL[2]]
    assert bench.is_as_reopened()


def test_lonely_announcement_of_a_store_without_amounts(bench: Bench) -> None:
    """Another program's store may lack them."""
    bench.store.append(CHANNEL[0], 0)
    bench.store.close()
    other = Bench(bench.path, *loading.load(bench.path))
    other.take(CHANNEL[1])
    assert other.records() == CHANNEL[:2]
    assert other.is_as_reopened()


# the chain


@pytest.mark.bolt("B7-60")
def test_output(bench: Bench) -> None:
    bench.outputs.at_once = False
    bench.take(*CHANNEL)
    assert bench.outputs.asked == [(scid(0), (BITCOIN_KEYS[0][1], BITCOIN_KEYS[1][1]))]
    assert bench.records() == []
    assert bench.ingest.unfinished == 1
    assert bench.signatures.checked == CHANNEL[:1], "updates are held until the announcement is proven"
    found, _ = bench.outputs.answers.pop()
    found(5_000)
    bench.signatures.run()
    assert bench.records() == CHANNEL
    assert bench.index.amount_sat[bench.index.channels[scid(0)]] == 5_000
    assert bench.ingest.unfinished == 0
    assert bench.is_as_reopened()


@pytest.mark.bolt("B7-60")
def test_output_that_is_not_there(bench: Bench) -> None:
    bench.outputs.at_once = False
    bench.take(*CHANNEL)
    _, missing = bench.outputs.answers.pop()
    missing("its output is spent or was never there")
    assert bench.records() == []
    assert bench.take(CHANNEL[1]) == [Verdict.UNKNOWN_CHANNEL]
    assert bench.faults == [], "the peer may only be ahead of our chain"


# users


def test_what_a_user_hears(bench: Bench) -> None:
    bad = spoilt(CHANNEL[1], 2)
    for message in (CHANNEL[0], bad, CHANNEL[2]):
        bench.ingest.receive(message, USER)
        bench.signatures.run()
    assert bench.settled == [(CHANNEL[0], None), (bad, "channel_update 100x1x0/0: bad signature"), (CHANNEL[2], None)]
    assert bench.faults == []


def test_stored_is_said(bench: Bench) -> None:
    bench.take(CHANNEL[0])
    assert bench.stored == 0
    bench.take(*CHANNEL[1:], node_announcement(0))
    assert bench.stored == 3
