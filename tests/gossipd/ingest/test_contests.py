"""Without a chain nothing is proven: of two versions of a channel the one that more networks say is on the map."""

import pytest

from gossipd.ingest.contests import LONGEST, MAX_CONTESTS, MAX_MISFITS, MAX_OPEN, MAX_OWED, MAX_VERSIONS, MAX_WITNESSES
from gossipd.map.writer import MapWriter
from gossipd.verdict import Verdict
from tests.gossipd.bench import CONTEST, Bench, forged, say
from tests.gossipd.messages import KEYS, announcement, node_announcement, scid, update
from wire.encoded import ANNOUNCEMENT, NODE_1, NODE_2, UPDATE_1, UPDATE_2
from wire.gossip_layout import channel_keys

HONEST, STRANGER, THIRD = 1, 2, 3
CHANNEL = [announcement(), update(direction=0), update(direction=1)]
LIE = [forged(), update(node=4)]


@pytest.fixture
def chainless(bench: Bench) -> Bench:
    bench.outputs.asks = False
    return bench


def decided(bench: Bench) -> Bench:
    """So long after it began, that what is contested now is decided."""
    bench.now += CONTEST
    bench.ingest.tick()
    return bench


def asked(bench: Bench, *peers: int) -> list[tuple[int, int]]:
    """What these are asked in the next tick."""
    bench.witnesses = dict.fromkeys(peers, 0)
    bench.asked.clear()
    bench.ingest.tick()
    return bench.asked.copy()


def test_the_version_with_more_witnesses_is_on_the_map(chainless: Bench) -> None:
    say(chainless, STRANGER, *LIE)
    assert chainless.records() == LIE
    assert say(chainless, 10, CHANNEL[0]) == [Verdict.CHECKING]
    assert say(chainless, 10, CHANNEL[0]) == [Verdict.CONFLICT]
    decided(chainless)
    assert chainless.records() == LIE, "one witness does not decide, nor by saying so twice"
    say(chainless, STRANGER, forged())
    assert say(chainless, 11, CHANNEL[0]) == [Verdict.CONFLICT]
    assert chainless.records() == CHANNEL[:1], "what comes later counts as well"
    assert say(chainless, 11, *CHANNEL[1:]) == [Verdict.CHECKING] * 2
    assert chainless.records() == CHANNEL
    assert chainless.faults == []
    assert chainless.is_as_reopened()


def test_it_is_not_decided_before_others_could_be_asked(chainless: Bench) -> None:
    """What was known to all before there was a contest has no witnesses yet."""
    say(chainless, HONEST, *CHANNEL)
    for stranger in range(20, 23):
        say(chainless, stranger, forged())
    assert chainless.records() == CHANNEL
    for peer in range(10, 13):
        say(chainless, peer, CHANNEL[0])
    assert decided(chainless).records() == CHANNEL


def test_each_network_that_has_not_spoken_is_asked_once(chainless: Bench) -> None:
    say(chainless, STRANGER, *LIE)
    say(chainless, HONEST, CHANNEL[0])
    expected = [(peer, scid(0)) for peer in (STRANGER, *range(10, 60))]
    assert asked(chainless, HONEST, STRANGER, *range(10, 60)) == expected
    chainless.asked.clear()
    chainless.ingest.tick()
    assert chainless.asked == []
    decided(chainless)
    assert asked(chainless, 70) == [], "it is decided"


def test_a_network_that_had_not_spoken_opens_it_again(chainless: Bench) -> None:
    """Whatever strangers have done before: they cannot use up what is asked."""
    say(chainless, STRANGER, *LIE)
    for peer in range(30, 35):
        say(chainless, peer, forged(number=1), forged())
    decided(chainless)
    assert asked(chainless, 10) == []
    say(chainless, HONEST, CHANNEL[0])
    assert asked(chainless, *range(10, 16)) == [(peer, scid(0)) for peer in range(10, 16)]
    for peer in range(10, 16):
        say(chainless, peer, CHANNEL[0])
    assert decided(chainless).records() == CHANNEL[:1]


def test_what_was_said_while_another_one_was_looked_at_is_not_lost(chainless: Bench) -> None:
    chainless.tell(forged())
    assert chainless.ingest.receive(CHANNEL[0], HONEST) is Verdict.REDUNDANT
    chainless.signatures.run()
    chainless.now += 100
    chainless.ingest.write_lonely(10)
    assert chainless.records() == LIE[:1]
    assert asked(chainless, HONEST, THIRD) == [(HONEST, scid(0)), (THIRD, scid(0))]


def test_its_nodes_and_updates_come_with_it(chainless: Bench) -> None:
    node = node_announcement(0)
    say(chainless, HONEST, node)
    say(chainless, STRANGER, *LIE)
    chainless.owed.clear()
    for peer in (HONEST, THIRD):
        say(chainless, peer, CHANNEL[0])
    decided(chainless)
    chainless.signatures.run()
    assert chainless.records() == [CHANNEL[0], node]
    assert chainless.owed == [(scid(0), UPDATE_1 | UPDATE_2 | NODE_1 | NODE_2)]
    assert chainless.owed_to[-1] == THIRD, "they are asked of a peer that has said so"


def test_an_update_that_does_not_fit_is_held_against_no_peer(chainless: Bench) -> None:
    """The announcement may be the forged one: the peer is asked for its own, and the update is not refused later."""
    say(chainless, STRANGER, *LIE)
    say(chainless, HONEST, *CHANNEL[1:])
    assert chainless.faults == []
    assert (chainless.owed, chainless.owed_to) == ([(scid(0), ANNOUNCEMENT)], [HONEST])
    say(chainless, HONEST, CHANNEL[0], *CHANNEL[1:])
    assert len(chainless.owed) == 1, "once, or its answer would be a reason to ask"
    say(chainless, THIRD, CHANNEL[0])
    decided(chainless)
    say(chainless, THIRD, *CHANNEL)
    assert chainless.records() == CHANNEL


def test_many_connections_of_one_network_are_one_witness(chainless: Bench) -> None:
    chainless.ingest.around.group_of = lambda source: source // 100
    say(chainless, 1, *CHANNEL)
    for source in range(200, 300):
        say(chainless, source, forged())
    assert decided(chainless).records() == CHANNEL


def test_a_stranger_cannot_crowd_the_true_version_out(chainless: Bench) -> None:
    say(chainless, STRANGER, *LIE)
    say(chainless, 10, CHANNEL[0])
    say(chainless, STRANGER, *[forged(number=number) for number in range(1, 20)])
    say(chainless, 11, CHANNEL[0])
    assert decided(chainless).records() == CHANNEL[:1]


def test_no_witnesses_take_our_own_channel_away(chainless: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MapWriter, "our_id", KEYS[0][1])
    say(chainless, HONEST, *CHANNEL)
    for source in range(10, 20):
        assert say(chainless, source, forged()) == [Verdict.CONFLICT]
    assert decided(chainless).records() == CHANNEL


def test_what_has_no_room_waits_and_networks_take_turns(chainless: Bench) -> None:
    known(chainless, 4 * MAX_OPEN)
    contests = chainless.ingest.conflicts.contests
    for number in range(3 * MAX_OPEN):
        contests.open(scid(number), STRANGER)
    for number in range(3 * MAX_OPEN, 4 * MAX_OPEN):
        contests.open(scid(number), HONEST)
    assert {number for _, number in asked(chainless, 10)} == {scid(number) for number in range(MAX_OPEN)}
    decided(chainless)
    numbers = {number for _, number in asked(chainless, 10)}
    assert len(numbers) == MAX_OPEN
    assert len(numbers & {scid(number) for number in range(3 * MAX_OPEN, 4 * MAX_OPEN)}) == MAX_OPEN // 2


def test_an_announcement_that_finds_no_room_is_not_forgotten(chainless: Bench) -> None:
    say(chainless, STRANGER, *LIE)
    chainless.ingest.checks.suspended = True
    assert say(chainless, HONEST, CHANNEL[0]) == [Verdict.OWED]
    chainless.ingest.checks.suspended = False
    chainless.ingest.tick()
    assert asked(chainless, HONEST) == [(HONEST, scid(0))]


def known(bench: Bench, count: int) -> None:
    """So many channels on the map."""
    message = announcement()
    for number in range(count):
        bench.ingest.around.writer.write_channel(message, scid(number), channel_keys(message)[:2], 0, 0)


def test_everything_has_a_bound(chainless: Bench) -> None:
    contests = chainless.ingest.conflicts.contests
    known(chainless, MAX_CONTESTS + MAX_OPEN)
    for number in range(MAX_CONTESTS + MAX_OPEN):
        contests.open(scid(number), HONEST)
        if number % MAX_OPEN == 0:
            decided(chainless)
    assert len(contests.of) <= MAX_CONTESTS
    for number in range(MAX_OWED + 10):
        contests.owe(scid(number), STRANGER)
        contests.misfit(scid(number), STRANGER)
    assert (len(contests._owed), len(contests._misfits)) == (MAX_OWED, MAX_MISFITS)
    for source in range(100, 130):
        contests.add(scid(0), forged(number=source - 100), source)
    for source in range(1_000, 1_000 + 2 * MAX_WITNESSES):
        contests.witness(scid(0), channel_keys(forged(number=29)), source)
    versions = contests.of.values[scid(0)].versions.values()
    assert len(versions) == MAX_VERSIONS
    assert max(len(version.networks) for version in versions) == MAX_WITNESSES


def test_a_version_of_60_kb_is_not_kept(chainless: Bench) -> None:
    say(chainless, HONEST, *CHANNEL)
    message = forged()
    large = message[:258] + (LONGEST).to_bytes(2, "big") + bytes(LONGEST) + message[260:]
    assert say(chainless, STRANGER, large) == [Verdict.CONFLICT]


def test_what_is_not_decided_moves_to_another_gossipd(chainless: Bench) -> None:
    say(chainless, STRANGER, *LIE)
    say(chainless, HONEST, CHANNEL[0])
    assert chainless.ingest.conflicts.contests.wanted() == [(scid(0), ANNOUNCEMENT, 0)]
