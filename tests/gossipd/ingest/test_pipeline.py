"""Taking gossip in: every rule of BOLT 7 that decides whether a message is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.ingest.updates import MAX_FUTURE
from gossipd.map import loading
from gossipd.verdict import Consequence, PeerFault, Verdict
from tests.gossipd.bench import CHANNEL, CHECKED, PRUNE, TELLER, Bench
from tests.gossipd.messages import (
    KEYS,
    NOW,
    announcement,
    big_map,
    high_s,
    node_announcement,
    spoilt,
    update,
)
from wire.types import NETWORKS


@pytest.mark.bolt("B7-57", "B7-64", "B7-68", "B7-86")
def test_a_channel_and_its_nodes_are_kept(bench: Bench) -> None:
    said = [*CHANNEL, node_announcement(0), node_announcement(1)]
    assert bench.take(*said) == CHECKED * 5
    assert bench.records() == said
    assert bench.timestamps() == [NOW] * 5
    assert bench.faults == []
    assert bench.is_as_reopened()


def test_synthetic_map_all_at_once(bench: Bench) -> None:
    said = big_map(300, 100)
    bench.tell(*said)
    bench.signatures.run()
    assert sorted(bench.records()) == sorted(said)
    assert len(bench.signatures.checked) == len(said)
    assert bench.is_as_reopened()


# signatures


@pytest.mark.bolt("B7-57", "B7-62")
@pytest.mark.parametrize(
    ("at", "name"),
    [(2, "node_signature_1"), (66, "node_signature_2"), (130, "bitcoin_signature_1"), (194, "bitcoin_signature_2")],
)
def test_each_signature_of_an_announcement(bench: Bench, at: int, name: str) -> None:
    for wrong in (spoilt(CHANNEL[0], at + 40), high_s(CHANNEL[0], at)):
        bench.take(wrong)
        assert bench.faults.pop() == (TELLER, f"channel_announcement 100x1x0: bad {name}", Consequence.WARN)
    assert bench.records() == []
    assert bench.ingest.checks.counters["bad"] == 2
    assert bench.take(*CHANNEL) == CHECKED * 3, "a wrong one does not stand in the way of the right one"
    assert bench.records() == CHANNEL


@pytest.mark.bolt("B7-80", "B7-88")
@pytest.mark.parametrize("wrong", [spoilt(CHANNEL[1], 2), high_s(CHANNEL[1]), update(node=1), update(node=5)])
def test_update_with_a_wrong_signature(bench: Bench, wrong: bytes) -> None:
    bench.take(CHANNEL[0], CHANNEL[2], wrong)
    assert bench.faults == [(TELLER, "channel_update 100x1x0/0: bad signature", Consequence.WARN)]
    assert bench.records() == [CHANNEL[0], CHANNEL[2]]
    bench.take(CHANNEL[1])
    assert bench.records() == [CHANNEL[0], CHANNEL[2], CHANNEL[1]]


@pytest.mark.bolt("B7-67", "B7-68", "B7-88")
def test_node_announcement_with_a_wrong_signature(bench: Bench) -> None:
    good = node_announcement(0)
    bench.take(*CHANNEL, spoilt(good, 2), high_s(good))
    text = f"node_announcement {KEYS[0][1].hex()}: bad signature"
    assert bench.faults == [(TELLER, text, Consequence.WARN)] * 2
    bench.take(good)
    assert bench.records() == [*CHANNEL, good]


@pytest.mark.bolt("B7-57", "B7-68", "B1-8")
def test_trailing_bytes_are_signed_and_kept(bench: Bench) -> None:
    extra = b"\xfe\x01\x02\x03\x04 extra"
    said = [announcement(extension=extra), update(extension=extra), node_announcement(extension=extra)]
    bench.take(*said)
    assert bench.records() == said
    bench.take(announcement(1) + b"x", update(direction=1) + b"x", node_announcement(1) + b"x")
    assert [text.partition(":")[2] for _, text, _ in bench.faults] == [
        " bad node_signature_1",
        " bad signature",
        " bad signature",
    ]
    assert bench.records() == said


@pytest.mark.bolt("B7-63")
def test_features_that_nobody_knows_are_stored(bench: Bench) -> None:
    said = [announcement(features=b"\x55" * 300), update(), node_announcement(features=b"\x55" * 300)]
    bench.take(*said)
    assert bench.records() == said


def test_nothing_is_checked_twice(bench: Bench) -> None:
    """While in check, when known, and by whatever peer it comes."""
    said = [*CHANNEL, node_announcement(0)]
    verdicts = bench.tell(*said, *said[:3])
    assert verdicts == [Verdict.CHECKING, Verdict.HELD, Verdict.HELD, Verdict.WAITING, *[Verdict.REDUNDANT] * 3]
    bench.signatures.run()
    assert bench.take(*said) == [Verdict.REDUNDANT] * 4
    assert sorted(bench.signatures.checked) == sorted(said)
    newer = node_announcement(0, NOW + 1)
    assert bench.tell(newer, newer) == [Verdict.CHECKING, Verdict.REDUNDANT]


# what is ignored


@pytest.mark.bolt("B7-58")
@pytest.mark.parametrize(("one", "two"), [(1, 0), (1, 1)])
def test_node_ids_that_do_not_ascend(bench: Bench, one: int, two: int) -> None:
    with pytest.raises(PeerFault, match="100x1x0: node ids are not in ascending order") as fault:
        bench.take(announcement(one=one, two=two))
    assert fault.value.consequence is Consequence.WARN
    assert bench.take(announcement()) == CHECKED


@pytest.mark.bolt("B7-59", "B7-81")
def test_another_chain(bench: Bench) -> None:
    other = NETWORKS["bitcoin"]
    assert bench.take(announcement(chain_hash=other)) == [Verdict.WRONG_CHAIN]
    assert bench.take(update(chain_hash=other)) == [Verdict.WRONG_CHAIN]
    bench.take(CHANNEL[0])
    assert bench.take(update(chain_hash=other)) == [Verdict.WRONG_CHAIN], "it is for a channel that we know"
    bench.take(CHANNEL[1])
    assert bench.take(update(timestamp=NOW + 1, chain_hash=other)) == [Verdict.WRONG_CHAIN]
    assert bench.records() == CHANNEL[:2]


@pytest.mark.bolt("B7-77")
def test_update_before_its_announcement_is_known(bench: Bench) -> None:
    assert bench.take(*CHANNEL) == CHECKED * 3
    assert bench.take(update(3)) == [Verdict.UNKNOWN_CHANNEL]


@pytest.mark.bolt("B7-82", "B7-83")
def test_update_that_is_not_newer(bench: Bench) -> None:
    bench.take(*CHANNEL)
    older = [update(timestamp=NOW - 1), update(cltv_expiry_delta=41), spoilt(CHANNEL[1], 80)]
    assert bench.take(*older[:2]) == [Verdict.REDUNDANT] * 2
    newer = update(timestamp=NOW + 1)
    assert bench.take(newer) == CHECKED
    assert bench.records() == [CHANNEL[0], CHANNEL[2], newer]
    assert bench.is_as_reopened()


def test_of_two_updates_in_check_the_newer_one_stays(bench: Bench) -> None:
    bench.take(*CHANNEL)
    newer, newest = update(timestamp=NOW + 1), update(timestamp=NOW + 2)
    assert bench.tell(newest, newer) == CHECKED * 2
    bench.signatures.run()
    assert bench.records() == [CHANNEL[0], CHANNEL[2], newest]


@pytest.mark.bolt("B7-84", "B7-103")
def test_clock(bench: Bench) -> None:
    bench.take(CHANNEL[0])
    oldest, latest = NOW - int(PRUNE), NOW + MAX_FUTURE
    assert bench.take(update(timestamp=latest + 1), update(timestamp=oldest - 1)) == [Verdict.FUTURE, Verdict.STALE]
    assert bench.take(update(timestamp=oldest), update(timestamp=latest)) == CHECKED * 2


@pytest.mark.bolt("B7-87")
def test_update_that_is_not_to_be_passed_on(bench: Bench) -> None:
    assert bench.take(CHANNEL[0], update(message_flags=3)) == [Verdict.CHECKING, Verdict.DONT_FORWARD]


@pytest.mark.bolt("B7-69")
def test_node_announcement_that_is_not_newer(bench: Bench) -> None:
    bench.take(*CHANNEL, node_announcement(0))
    again = [node_announcement(0), node_announcement(0, NOW - 1), node_announcement(0, features=b"\1")]
    assert bench.take(*again) == [Verdict.REDUNDANT] * 3
    newer = node_announcement(0, NOW + 1)
    assert bench.take(newer) == CHECKED
    assert bench.records() == [*CHANNEL, newer]
    assert bench.is_as_reopened()


@pytest.mark.bolt("B7-69")
def test_first_node_announcement_may_have_timestamp_zero(bench: Bench) -> None:
    first = node_announcement(0, 0)
    bench.take(*CHANNEL)
    assert bench.take(first) == CHECKED
    assert bench.take(node_announcement(0, 0, features=b"\1")) == [Verdict.REDUNDANT]
    assert bench.records() == [*CHANNEL, first]
    assert bench.is_as_reopened()


TWO_HOST_NAMES = b"\5\1a\0\1" * 2
CUT_ADDRESS = b"\1\1\2\3\4\0\1" + b"\2\1\2\3"


@pytest.mark.bolt("B7-71")
def test_unknown_kind_of_address_hides_what_follows(bench: Bench) -> None:
    node = node_announcement(addresses=b"\1\1\2\3\4\0\1" + b"\7 unknown" + TWO_HOST_NAMES)
    bench.take(*CHANNEL, node)
    assert bench.records() == [*CHANNEL, node]


@pytest.mark.bolt("B7-72", "B7-74")
def test_addresses_that_are_wrong(bench: Bench) -> None:
    bench.take(*CHANNEL)
    with pytest.raises(PeerFault, match="addresses: ") as fault:
        bench.take(node_announcement(addresses=CUT_ADDRESS))
    assert fault.value.consequence is Consequence.WARN
    assert bench.take(node_announcement(addresses=TWO_HOST_NAMES)) == [Verdict.TWO_HOST_NAMES]
    bench.take(node_announcement(2, addresses=CUT_ADDRESS), announcement(1, 1, 2), update(1, node=1))
    assert [consequence for _, _, consequence in bench.faults] == [Consequence.WARN]


@pytest.mark.bolt("B1-7")
@pytest.mark.parametrize("message", [CHANNEL[0], CHANNEL[1], node_announcement(addresses=b"\1\1\2\3\4\5\6")])
def test_every_cut_is_too_short(bench: Bench, message: bytes) -> None:
    for size in range(2, len(message)):
        with pytest.raises(PeerFault, match="is too short") as fault:
            bench.tell(message[:size])
        assert fault.value.consequence is Consequence.WARN, "honest peers relay such things unawares"


@given(
    number=st.sampled_from([256, 257, 258]),
    body=st.binary(max_size=600),
    length=st.integers(0, 80),
)
def test_any_bytes_get_a_verdict_or_a_fault(
    tmp_path_factory: pytest.TempPathFactory, number: int, body: bytes, length: int
) -> None:
    """Whatever a stranger sends: an answer, or PeerFault, and no other exception."""
    path = tmp_path_factory.getbasetemp() / "any_bytes"
    bench = Bench(path, *loading.load(path))
    lengths_at = {256: 256, 257: 64, 258: 64}[number]
    body = body[:lengths_at].ljust(lengths_at, b"\0") + length.to_bytes(2, "big") + body
    try:
        bench.take(number.to_bytes(2, "big") + body)
    except PeerFault:
        pass
    finally:
        bench.store.close()
