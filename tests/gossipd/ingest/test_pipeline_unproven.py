"""Nothing is judged by what is not proven, and no stranger takes the place of another peer's gossip."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from gossipd.ingest.conflicts import MAX_QUESTIONS
from gossipd.map.writer import MapWriter
from gossipd.verdict import Verdict
from tests.gossipd.bench import Bench
from tests.gossipd.messages import (
    BITCOIN_KEYS,
    KEYS,
    NOW,
    announcement,
    node_announcement,
    scid,
    spoilt,
    update,
)
from wire.encoded import ALL, ANNOUNCEMENT
from wire.peer_wire import ChannelAnnouncement
from wire.secp256k1 import double_sha256, public_key, sign

HONEST, STRANGER, THIRD = 1, 2, 3
CHANNEL = [announcement(), update(direction=0), update(direction=1)]


def forged(channel: int = 0, number: int = 0) -> bytes:
    """A self-signed announcement of a channel that is another's: own node keys, own bitcoin keys."""
    secrets = [KEYS[4][0], KEYS[5][0], bytes([200 + number]) * 32, bytes([230]) * 32]
    message = ChannelAnnouncement.decode(announcement(channel))
    keys = [public_key(secret) for secret in secrets]
    message = replace(message, node_id_1=keys[0], node_id_2=keys[1], bitcoin_key_1=keys[2], bitcoin_key_2=keys[3])
    digest = double_sha256(message.encode()[258:])
    names = ("node_signature_1", "node_signature_2", "bitcoin_signature_1", "bitcoin_signature_2")
    return replace(
        message, **{name: sign(secret, digest) for name, secret in zip(names, secrets, strict=True)}
    ).encode()


def say(bench: Bench, source: int, *messages: bytes) -> list[Verdict]:
    verdicts = []
    for message in messages:
        verdicts.append(bench.ingest.receive(message, source))
        bench.signatures.run()
    return verdicts


def blamed(bench: Bench) -> list[int]:
    return [source for source, _, _ in bench.faults]


@pytest.mark.bolt("B7-60", "B7-80")
def test_a_forged_announcement_costs_its_sender_alone(bench: Bench) -> None:
    bench.outputs.at_once = False
    say(bench, STRANGER, forged())
    assert say(bench, HONEST, *CHANNEL) == [Verdict.REDUNDANT, Verdict.HELD, Verdict.HELD]
    ((_, wrong),) = bench.outputs.answers
    assert bench.outputs.asked[0][1] != (BITCOIN_KEYS[0][1], BITCOIN_KEYS[1][1])
    wrong("its output pays to another script", forged=True)
    assert blamed(bench) == [STRANGER]
    assert bench.owed == [(scid(0), ALL)], "the true one is asked for again"
    bench.outputs.at_once = True
    assert say(bench, HONEST, *CHANNEL) == [Verdict.CHECKING] * 3
    assert bench.records() == CHANNEL
    assert blamed(bench) == [STRANGER]


def test_a_badly_signed_announcement_does_not_judge_what_comes_behind_it(bench: Bench) -> None:
    bench.ingest.receive(spoilt(CHANNEL[0], 10), STRANGER)
    assert [bench.ingest.receive(message, HONEST) for message in CHANNEL[1:]] == [Verdict.HELD] * 2
    bench.signatures.run()
    assert blamed(bench) == [STRANGER]
    assert bench.owed == [(scid(0), ALL)]
    assert bench.signatures.checked == [spoilt(CHANNEL[0], 10)], "updates were not looked at with its keys"


def test_a_forged_update_takes_no_others_place_while_it_is_held(bench: Bench) -> None:
    bench.ingest.receive(CHANNEL[0], HONEST)
    for age in range(10):
        bench.ingest.receive(spoilt(update(timestamp=NOW + age), 5), STRANGER)
    assert bench.ingest.receive(CHANNEL[1], HONEST) is Verdict.HELD
    bench.signatures.run()
    assert bench.records() == CHANNEL[:2]
    assert set(blamed(bench)) == {STRANGER}


@pytest.mark.bolt("B7-69")
def test_a_forged_node_announcement_takes_no_others_place_while_it_waits(bench: Bench) -> None:
    right, wrong = node_announcement(0), spoilt(node_announcement(0, NOW + 5), 5)
    assert say(bench, HONEST, right) + say(bench, STRANGER, wrong) == [Verdict.WAITING] * 2
    say(bench, THIRD, *CHANNEL)
    assert bench.records() == [*CHANNEL[:2], right, CHANNEL[2]]
    assert blamed(bench) == [STRANGER]


def test_a_peer_is_worth_what_gets_onto_the_map(bench: Bench) -> None:
    bench.outputs.at_once = False
    say(bench, STRANGER, *[announcement(number) for number in range(20)])
    for _, wrong in bench.outputs.answers:
        wrong("its output is spent")
    assert (bench.good, bench.ingest.checks.novel, bench.faults) == ([], {}, [])
    bench.outputs.at_once = True
    say(bench, HONEST, announcement(30), update(30))
    assert bench.good == [HONEST, HONEST]


def test_the_first_update_of_a_channel_is_its_own_senders_merit(bench: Bench) -> None:
    say(bench, HONEST, announcement(30))
    say(bench, THIRD, update(30))
    assert (bench.good, bench.ingest.checks.novel) == ([HONEST, THIRD], {HONEST: 1, THIRD: 1})


@pytest.mark.parametrize("bound", ["pending", "nodes"])
def test_a_stranger_that_fills_a_place_loses_its_own(bench: Bench, bound: str) -> None:
    bench.outputs.at_once = False
    table = bench.ingest.pending.table if bound == "pending" else bench.ingest.nodes.waiting.table
    make: Callable[[int], bytes] = (
        announcement if bound == "pending" else (lambda number: node_announcement(number % 8, NOW - number))
    )
    table.most = 6
    honest = [make(number) for number in range(2)]
    say(bench, HONEST, *honest)
    say(bench, STRANGER, *[make(number) for number in range(2, 8)])
    say(bench, THIRD, make(20))
    assert len(table) <= 6
    assert {table.source(key) for key in table} == {HONEST, STRANGER, THIRD}
    assert sum(table.source(key) == HONEST for key in table) == 2


# chain none: nothing can be proven


def test_without_a_chain_the_version_with_more_witnesses_is_on_the_map(bench: Bench) -> None:
    bench.outputs.asks = False
    say(bench, STRANGER, forged(), update(node=4))
    assert bench.records() == [forged(), update(node=4)]
    assert say(bench, 10, CHANNEL[0]) == [Verdict.CHECKING]
    assert bench.owed == [(scid(0), ALL)], "others are asked what they have"
    assert bench.records() == [forged(), update(node=4)], "one witness does not decide"
    assert say(bench, 10, CHANNEL[0]) == [Verdict.CONFLICT], "nor does it by saying so twice"
    say(bench, STRANGER, forged())
    assert say(bench, 11, CHANNEL[0]) == [Verdict.CONFLICT]
    assert bench.records()[0] == CHANNEL[0]
    assert say(bench, 11, *CHANNEL[1:]) == [Verdict.CHECKING] * 2
    assert bench.records() == CHANNEL
    assert bench.faults == []
    assert bench.is_as_reopened()


def test_without_a_chain_an_update_that_does_not_fit_is_held_against_no_peer(bench: Bench) -> None:
    """The announcement may be the forged one: the peer is asked for its own, and the update is not refused later."""
    bench.outputs.asks = False
    say(bench, STRANGER, forged(), update(node=4))
    say(bench, HONEST, *CHANNEL[1:])
    assert blamed(bench) == []
    assert (bench.owed[-1], bench.owed_to[-1]) == ((scid(0), ANNOUNCEMENT), HONEST)
    say(bench, HONEST, CHANNEL[0])
    say(bench, THIRD, *CHANNEL)
    assert bench.records() == CHANNEL


@pytest.mark.bolt("B7-80")
def test_with_a_chain_a_badly_signed_update_is_its_senders_fault(bench: Bench) -> None:
    say(bench, HONEST, *CHANNEL)
    say(bench, STRANGER, spoilt(update(timestamp=NOW + 1), 5))
    assert blamed(bench) == [STRANGER]


def test_without_a_chain_several_peers_are_asked_which_version_they_have(bench: Bench) -> None:
    bench.outputs.asks = False
    say(bench, STRANGER, forged(), update(node=4))
    say(bench, HONEST, CHANNEL[0])
    bench.owed.clear()
    for _ in range(100):
        bench.ingest.tick()
        bench.ingest.tick()
        bench.now += 1
    assert bench.owed == [(scid(0), ANNOUNCEMENT)] * (MAX_QUESTIONS - 1)


def test_without_a_chain_many_connections_of_one_network_are_one_witness(bench: Bench) -> None:
    bench.outputs.asks = False
    bench.ingest.around.group_of = lambda source: source // 100
    say(bench, 1, *CHANNEL)
    for source in range(200, 300):
        say(bench, source, forged())
    assert bench.records() == CHANNEL


def test_without_a_chain_a_stranger_cannot_crowd_the_true_version_out(bench: Bench) -> None:
    bench.outputs.asks = False
    say(bench, STRANGER, forged(), update(node=4))
    say(bench, 10, CHANNEL[0])
    say(bench, STRANGER, *[forged(number=number) for number in range(1, 20)])
    say(bench, 11, CHANNEL[0])
    assert bench.records() == CHANNEL[:1]


def test_without_a_chain_no_witnesses_take_our_own_channel_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MapWriter, "our_id", KEYS[0][1])
    bench.outputs.asks = False
    say(bench, HONEST, *CHANNEL)
    for source in range(10, 20):
        assert say(bench, source, forged()) == [Verdict.CONFLICT]
    assert bench.records() == CHANNEL


def test_with_a_chain_what_is_on_the_map_is_proven(bench: Bench) -> None:
    say(bench, HONEST, *CHANNEL)
    for source in range(10, 20):
        assert say(bench, source, forged()) == [Verdict.CONFLICT]
    assert bench.records() == CHANNEL
