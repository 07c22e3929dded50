"""Gossip v2 where a chain is followed: what the outputs must be, and the block heights at its end."""

from pathlib import Path

import pytest

from gossipd.verdict import Verdict
from lightningd_py.tools.synthetic_gossip_v2 import KEYLESS, SyntheticGossip2
from lightningd_py.tools.synthetic_map import SyntheticMap, scid_of
from tests.gossipd.gossipd_process import HEIGHT
from tests.gossipd.messages import NOW
from tests.gossipd.v2.v2_inside import GOSSIP, MADE, OF_ALL_KINDS, UNKNOWN, V2, outputs_of, run, say
from tests.wire.gossip_v2.test_messages import instead
from wire.control.control_wire import NewBlockheight, OutpointsSpent

CHANNEL = GOSSIP.channel(0)


@pytest.mark.bolt("G2-7", "G2-8")
def test_outputs_of_each_kind(tmp_path: Path) -> None:
    """P2WSH, P2TR of both keys, with a merkle root, and of a key that only the chain knows. Each is asked for by its
    own script in the end, so that the chain watches it."""
    outputs = outputs_of(OF_ALL_KINDS)
    messages = list(OF_ALL_KINDS.messages())

    async def story(inside: V2) -> None:
        inside.listen()
        asked = inside.answer(outputs)
        peer = await inside.connect()
        await say(inside, peer, *messages)
        assert inside.kept() == sorted(messages)
        assert dict(asked) == {scid: script for scid, (_, script) in outputs.items()}
        assert sorted(inside.room.watched) == sorted(outputs)
        inside.master.send(OutpointsSpent(HEIGHT, [scid_of(0)]))
        await inside.status()
        assert scid_of(0) not in inside.room.watched
        await say(inside, peer, OF_ALL_KINDS.update(0, 0, HEIGHT))
        assert inside.outcomes(OF_ALL_KINDS.update(0, 0, HEIGHT))[-1] == UNKNOWN

    run(tmp_path, story, check_txout=True)


@pytest.mark.bolt("G2-7", "G2-8")
@pytest.mark.parametrize("number", range(4), ids=OF_ALL_KINDS.fundings)
def test_outputs_that_are_not_so(tmp_path: Path, number: int) -> None:
    """Another script, less than the capacity, and none at all, which alone is no offence."""
    channel, scid = OF_ALL_KINDS.channel(number), scid_of(number)
    outputs: dict[int, tuple[int, bytes]] = {}

    async def story(inside: V2) -> None:
        inside.listen()
        inside.answer(outputs)
        peer = await inside.connect()
        outputs[scid] = channel.capacity_sat, b"\x51\x20" + b"\7" * 32
        await say(inside, peer, channel.announcement)
        assert inside.outcomes(channel.announcement)[-1][0] == "rejected"
        assert inside.room.results["bad"] == 1
        shorter = instead(channel.announcement, 241, b"")  # another message, so that it is looked at
        outputs[scid] = channel.capacity_sat - 1, channel.script
        await say(inside, peer, shorter)
        assert inside.outcomes(shorter)[-1][1].endswith("its output has less than its capacity")
        assert inside.room.results["bad"] == 2
        del outputs[scid]
        again = instead(channel.announcement, 243, b"")
        await say(inside, peer, again)
        assert inside.outcomes(again)[-1][1].endswith("there is none")
        once_more = instead(channel.announcement, 245, b"")
        await say(inside, peer, once_more)
        assert inside.outcomes(once_more)[-1] == ("rejected", "its funding output is not known here")
        assert inside.room.results["bad"] == 2 + (OF_ALL_KINDS.fundings[number] == "tweaked")
        assert inside.kept() == []

    run(tmp_path, story, check_txout=True)


@pytest.mark.bolt("G2-7")
def test_no_bitcoin_keys_and_no_taproot(tmp_path: Path) -> None:
    number = OF_ALL_KINDS.fundings.index(KEYLESS)
    channel = OF_ALL_KINDS.channel(number)

    async def story(inside: V2) -> None:
        inside.listen()
        inside.answer({scid_of(number): (channel.capacity_sat, b"\x00\x20" + bytes(32))})
        await say(inside, await inside.connect(), channel.announcement)
        assert "no P2TR" in inside.outcomes(channel.announcement)[-1][1]

    run(tmp_path, story, check_txout=True)


@pytest.mark.bolt("G2-17")
def test_block_heights_and_the_end_of_the_chain(tmp_path: Path) -> None:
    """2,016 blocks behind, and those few ahead that v1's announcements may be."""

    async def story(inside: V2) -> None:
        inside.listen()
        inside.answer(outputs_of(GOSSIP))
        peer = await inside.connect()
        await say(inside, peer, CHANNEL.announcement)
        heights = {HEIGHT - 2_017: "STALE", HEIGHT - 2_016: "", HEIGHT + 12: "", HEIGHT + 13: "FUTURE"}
        for height, verdict in heights.items():
            before = dict(inside.room.verdicts[271])
            await say(inside, peer, GOSSIP.update(0, 0, height))
            (counted,) = (each for each in Verdict if inside.room.verdicts[271][each] != before[each])
            assert counted.name == (verdict or "CHECKING")
        assert inside.room.kept.height(b"\0" + scid_of(0).to_bytes(8)) == HEIGHT + 12

    run(tmp_path, story, check_txout=True)


def test_an_output_that_is_not_deep_enough_waits(tmp_path: Path) -> None:
    """Beside v1's announcement of the same channel, which waits, too."""
    made = SyntheticMap(MADE.edges[:1], 3, NOW)
    gossip = SyntheticGossip2(made, 103)

    async def story(inside: V2) -> None:
        inside.listen()
        inside.answer(outputs_of(gossip))
        peer = await inside.connect()
        inside.master.send(NewBlockheight(103))
        v2, v1 = gossip.channel(0), made.channel(0)
        await say(inside, peer, v1.announcement, v2.announcement, *v2.updates)
        assert ((await inside.status())["early"], inside.kept()) == (2, [])
        assert inside.outcomes(v2.announcement) == []
        inside.master.send(NewBlockheight(106))
        await inside.settled()
        assert {raw: inside.outcomes(raw) for raw in v2[:1]} == {v2.announcement: [("new", "")]}
        assert inside.kept() == sorted([v2.announcement, *v2.updates])

    run(tmp_path, story, check_txout=True)
