"""Nothing is judged by what is not proven, and no stranger takes the place of another peer's gossip."""

from collections.abc import Callable
from typing import Any

import pytest

from gossipd.verdict import Verdict
from tests.gossipd.bench import Bench, forged, say
from tests.gossipd.messages import (
    BITCOIN_KEYS,
    NOW,
    announcement,
    node_announcement,
    scid,
    spoilt,
    update,
)
from wire.control.shares import Shares
from wire.encoded import ALL

HONEST, STRANGER, THIRD = 1, 2, 3
CHANNEL = [announcement(), update(direction=0), update(direction=1)]


def blamed(bench: Bench) -> list[int]:
    return [source for source, _, _ in bench.faults]


def test_an_update_that_is_checked_while_its_channel_goes_and_is_said_again(bench: Bench) -> None:
    """The update is held until the announcement is proven again."""
    say(bench, HONEST, *CHANNEL)
    bench.ingest.receive(update(direction=0, timestamp=NOW + 1), HONEST)
    bench.forgetting.drop([scid(0)], "damaged")
    bench.ingest.receive(announcement(), HONEST)
    bench.signatures.run()
    row = bench.index.channels[scid(0)]
    assert (bench.index.update_ts[0][row], blamed(bench)) == (NOW + 1, [])


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
    pending, nodes = bench.ingest.pending.table, bench.ingest.nodes.waiting.table
    table: Shares[Any, Any] = pending if bound == "pending" else nodes
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


def test_what_its_output_could_not_be_looked_up_for_is_owed(bench: Bench) -> None:
    """The chain was not to be had: the announcement is dropped, and asked for again of its peer."""
    bench.outputs.at_once = False
    say(bench, HONEST, *CHANNEL)
    ((_, failed),) = bench.outputs.answers
    failed("the chain does not answer", dropped=True)
    assert (bench.owed, bench.owed_to, bench.faults) == ([(scid(0), ALL)], [HONEST], [])
    bench.outputs.at_once = True
    say(bench, HONEST, *CHANNEL)
    assert bench.records() == CHANNEL


@pytest.mark.bolt("B7-80")
def test_with_a_chain_a_badly_signed_update_is_its_senders_fault(bench: Bench) -> None:
    say(bench, HONEST, *CHANNEL)
    say(bench, STRANGER, spoilt(update(timestamp=NOW + 1), 5))
    assert blamed(bench) == [STRANGER]


def test_with_a_chain_what_is_on_the_map_is_proven(bench: Bench) -> None:
    say(bench, HONEST, *CHANNEL)
    for source in range(10, 20):
        assert say(bench, source, forged()) == [Verdict.CONFLICT]
    assert bench.records() == CHANNEL
