"""Honest peers beside each known attack: none is late, lost or charged a point, and all that is true is on the map.

`make torture` lets each attack run alone and for longer.
"""

import time

import pytest

from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.harness.bitcoin import Bitcoin, Channel
from tests.harness.node import Nodes
from tests.harness.siege.attack import ATTACKS
from tests.harness.siege.siege import besiege
from tests.harness.siege.truth import true_gossip

SECONDS = 4.0
TOGETHER = {
    "lies": [
        "self_signed_announcements",
        "forged_updates_and_nodes",
        "updates_of_channels_that_do_not_exist",
        "one_bad_message_in_an_honest_map",
    ],
    "held up": ["drip", "empty_replies"],
    "questions": ["ranges_with_checksums", "filters_that_match_nothing", "one_id_repeated", "odd_tlvs"],
    "floods": ["sixty_floods"],
    "crowds": ["huge_inits", "connect_and_leave", "silent_crowd", "half_handshakes"],
    "rude": ["slow_readers", "warnings_and_errors", "small_warnings", "empty_frames"],
}
"""Attacks that run at the same time against one node: a start of a node for each would take longer than they do."""
WITH_A_CHAIN = {"announcements_without_outputs"}


def test_each_attack_is_tried() -> None:
    assert sorted([*WITH_A_CHAIN, *(name for names in TOGETHER.values() for name in names)]) == sorted(ATTACKS)


@pytest.mark.long
@pytest.mark.parametrize("together", TOGETHER)
async def test_honest_peers_beside(nodes: Nodes, together: str) -> None:
    truth = true_gossip(SyntheticMap(random_edges(1, 60, 25), seed=1, now=int(time.time())))
    node = nodes.start("--bind-addr=ws:127.0.0.1:0")
    (web,) = (text.removeprefix("ws:") for text in node.bindings if text.startswith("ws:"))
    outcome = await besiege(node, truth, TOGETHER[together], SECONDS, web)
    print(outcome)
    assert outcome.harm() == []


@pytest.mark.long
async def test_honest_peers_beside_announcements_without_outputs(bitcoin: Bitcoin, nodes: Nodes) -> None:
    channels = bitcoin.fund([Channel(number) for number in range(30)])
    bitcoin.mine(6)
    node = nodes.start(*bitcoin.options)
    truth = [message for channel in channels for message in channel.gossip()]
    outcome = await besiege(node, truth, list(WITH_A_CHAIN), SECONDS)
    print(outcome)
    assert outcome.harm() == []
    status = await node.rpc("gossipstatus")
    assert status["channels"] == len(channels)
