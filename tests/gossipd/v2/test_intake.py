"""Gossip v2 with the option: what is kept, what is refused, and who is blamed for it; the map does not change."""

from pathlib import Path

import pytest

from gossipd.store.records import BEGINNING_SIZE
from gossipd.v2 import kept as kept_module
from gossipd.v2 import pending as pending_module
from lightningd_py.tools.synthetic_gossip_v2 import KEYLESS, SyntheticGossip2
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges, scid_of
from tests.gossipd.gossipd_process import EVERYTHING, HEIGHT
from tests.gossipd.messages import NOW
from tests.gossipd.v2.v2_inside import GOSSIP, MADE, OF_ALL_KINDS, UNKNOWN, V2, ask, run, say
from tests.wire.gossip_v2.test_messages import BROKEN, instead
from wire.control.timing import Timing
from wire.gossip_v2.records import read_records
from wire.peer_wire import WarningMessage
from wire.types import NETWORKS

ALL = list(GOSSIP.messages())
CHANNEL = GOSSIP.channel(0)


def badly_signed(raw: bytes) -> bytes:
    return instead(raw, 240, bytes(range(64)))


@pytest.mark.bolt("G2-6", "G2-12", "G2-16", "G2-19")
def test_all_of_a_small_map_is_kept_beside_the_map(tmp_path: Path) -> None:
    """Said in one piece, so that updates and nodes come before their announcements are proven. None of it goes out."""

    async def story(inside: V2) -> None:
        inside.listen()
        other, peer = await inside.connect(), await inside.connect()
        await say(inside, other, EVERYTHING)
        await say(inside, peer, *ALL)
        assert inside.kept() == sorted(ALL)
        assert inside.room.results == {"kept": len(ALL), "bad": 0, "rate_limited": 0}
        assert {tuple(inside.outcomes(raw)) for raw in ALL} == {(("new", ""),)}
        assert await say(inside, peer, *ALL) == []
        assert {tuple(inside.outcomes(raw)) for raw in ALL} == {(("new", ""), ("redundant", ""))}
        status = await inside.status()
        assert (status["channels"], status["nodes"], status["accepted"]) == (0, 0, 0)
        assert status["store_bytes"] == BEGINNING_SIZE
        assert (status["v2_channels"], status["v2_messages"]) == (len(MADE.edges), len(ALL))
        assert inside.gossipd.novel == {}, "who invents channels is worth no more for it"
        assert await other.sync() == []
        late = await inside.connect()
        assert await say(inside, late, EVERYTHING) == []

    run(tmp_path, story, timing=Timing(gossip_flush=1.0))


def test_the_feed_says_what_a_message_is_about(tmp_path: Path) -> None:
    async def story(inside: V2) -> None:
        inside.listen()
        peer = await inside.connect()
        node = GOSSIP.node_announcement(1, HEIGHT)
        await say(inside, peer, CHANNEL.announcement, CHANNEL.updates[1], node, b"\x01\x0fwhatever")
        said = {each.raw: each for each in inside.said_by_feed}
        about = {raw: (each.short_channel_id, each.direction, each.about) for raw, each in said.items()}
        assert about == {
            CHANNEL.announcement: (scid_of(0), None, None),
            CHANNEL.updates[1]: (scid_of(0), 1, None),
            node: (None, None, read_records(node)[4]),
            b"\x01\x0fwhatever": (None, None, None),
        }
        assert said[node].inner_hash != said[node].hash
        assert said[b"\x01\x0fwhatever"].inner_hash == said[b"\x01\x0fwhatever"].hash

    run(tmp_path, story)


@pytest.mark.bolt("G2-4", "G2-5", "G2-9", "G2-10", "G2-13", "G2-14")
def test_each_rule_broken(tmp_path: Path) -> None:
    """Each counts once, the first is told, and nothing of it is kept."""

    async def story(inside: V2) -> None:
        inside.listen()
        peer = await inside.connect()
        warnings = []
        wrong = {case: raw for case, (raw, _) in BROKEN.items()}
        for case, raw in wrong.items():
            heard = await say(inside, peer, raw, raw)
            warnings += heard
            (outcome, reason), again = inside.outcomes(raw)
            assert outcome == "rejected", case
            assert reason.split(": ")[1] != "", case
            assert again == ("rejected", "its signature is wrong"), case
        assert [WarningMessage.decode(each).number for each in warnings] == [1]
        assert inside.room.results["bad"] == len(wrong)
        assert inside.gossipd.peers[peer.conn_id].standing.bad == len(wrong)
        assert inside.kept() == []

    run(tmp_path, story)


@pytest.mark.bolt("G2-6", "G2-12", "G2-16")
def test_bad_signatures(tmp_path: Path) -> None:
    async def story(inside: V2) -> None:
        inside.listen()
        peer = await inside.connect()
        await say(inside, peer, badly_signed(CHANNEL.announcement), *CHANNEL.updates)
        assert inside.outcomes(badly_signed(CHANNEL.announcement))[0][1].endswith(": bad signature")
        assert inside.outcomes(CHANNEL.updates[0]) == [UNKNOWN], "which had waited for it"
        await say(inside, peer, CHANNEL.announcement)
        node = GOSSIP.node_announcement(MADE.edges[0].node1, HEIGHT)
        for raw in (*CHANNEL.updates, node):
            await say(inside, peer, badly_signed(raw))
            assert inside.outcomes(badly_signed(raw))[0][1].endswith("_2: bad signature")
        assert inside.kept() == [CHANNEL.announcement]
        assert inside.room.results["bad"] == 4
        assert (await inside.status())["bad"] == 4
        assert inside.gossipd.peers[peer.conn_id].standing.bad == 4

    run(tmp_path, story)


def test_who_says_much_that_is_bad_is_ignored(tmp_path: Path) -> None:
    async def story(inside: V2) -> None:
        inside.listen()
        peer = await inside.connect()
        bad = [instead(CHANNEL.announcement, 240, bytes([number]) * 64) for number in range(200)]
        await say(inside, peer, *bad[:100])
        await say(inside, peer, CHANNEL.announcement)
        assert inside.outcomes(CHANNEL.announcement) == [("rejected", "its sender is ignored for a while")]
        assert inside.kept() == []

    run(tmp_path, story)


def test_another_announcement_of_the_channel(tmp_path: Path) -> None:
    other = SyntheticGossip2(SyntheticMap(random_edges(4, 3, 3), 4, NOW), HEIGHT).channel(0)

    async def story(inside: V2) -> None:
        inside.listen()
        peer = await inside.connect()
        await say(inside, peer, CHANNEL.announcement)
        await say(inside, peer, other.announcement)
        assert inside.outcomes(other.announcement) == [("rejected", "its channel has another announcement")]
        await say(inside, await inside.connect(address="192.0.2.1:9735"), other.updates[0])
        assert inside.outcomes(other.updates[0]) == [("rejected", "channel_update_2: bad signature")]
        assert inside.room.results["bad"] == 0, "the announcement may be the forged one"
        await say(inside, peer, other.updates[1])
        assert inside.room.results["bad"] == 1, "it had said that the channel is another one's"
        assert inside.kept() == [CHANNEL.announcement]

    run(tmp_path, story)


@pytest.mark.bolt("G2-3", "G2-17", "G2-18")
def test_what_is_not_wanted_is_no_offence(tmp_path: Path) -> None:
    elsewhere = SyntheticGossip2(SyntheticMap(MADE.edges, 3, NOW, NETWORKS["bitcoin"]), HEIGHT).channel(0)

    async def story(inside: V2) -> None:
        inside.listen()
        peer = await inside.connect()
        node = GOSSIP.node_announcement(MADE.edges[0].node1, HEIGHT)
        for raw in (CHANNEL.updates[0], node):
            await say(inside, peer, raw)
            assert inside.outcomes(raw) == [UNKNOWN]
        keyless = OF_ALL_KINDS.channel(OF_ALL_KINDS.fundings.index(KEYLESS)).announcement
        for raw in (elsewhere.announcement, elsewhere.updates[0], keyless):
            await say(inside, peer, raw)
        assert inside.outcomes(elsewhere.announcement) == [("rejected", "it is for another chain")]
        assert inside.outcomes(elsewhere.updates[0]) == [("rejected", "it is for another chain")]
        assert inside.outcomes(keyless) == [("rejected", "its funding output is not known here")]
        assert (inside.kept(), inside.room.results["bad"]) == ([], 0)

    run(tmp_path, story)


@pytest.mark.bolt("G2-17")
def test_the_newest_block_height_counts(tmp_path: Path) -> None:
    async def story(inside: V2) -> None:
        inside.listen()
        peer = await inside.connect()
        heights = [500, 502, 501, 502, 503]
        updates = [GOSSIP.update(0, 1, height) for height in heights]
        nodes = [GOSSIP.node_announcement(MADE.edges[0].node1, height) for height in heights]
        await say(inside, peer, CHANNEL.announcement)
        for raw in (*updates, *nodes):
            await say(inside, peer, raw)
        assert inside.kept() == sorted([CHANNEL.announcement, updates[-1], nodes[-1]])
        assert inside.outcomes(updates[2]) == [("redundant", "")]
        assert inside.outcomes(updates[1]) == [("new", ""), ("redundant", "")]

    run(tmp_path, story)


def test_both_at_once_of_one_height(tmp_path: Path) -> None:
    """Two are being checked at a time: the second one is found not to be newer."""
    one = GOSSIP.update(0, 1, 500)
    wider = SyntheticMap([MADE.edges[0]._replace(policies=MADE.edges[0].policies[::-1])], 3, NOW)
    two = SyntheticGossip2(wider, HEIGHT).update(0, 1, 500)

    async def story(inside: V2) -> None:
        inside.listen()
        peer = await inside.connect()
        await say(inside, peer, CHANNEL.announcement)
        await say(inside, peer, one, two, two)
        assert inside.outcomes(one) == [("new", "")]
        assert sorted(inside.outcomes(two)) == [("redundant", ""), ("redundant", "")]

    run(tmp_path, story)


def test_too_many_updates(tmp_path: Path) -> None:
    """As many at once as of v1's: ten of a direction, then one a minute."""

    async def story(inside: V2) -> None:
        peer = await inside.connect()
        await say(inside, peer, CHANNEL.announcement)
        for height in range(1_000, 1_012):
            await say(inside, peer, GOSSIP.update(0, 0, height))
        assert inside.room.results == {"kept": 11, "bad": 0, "rate_limited": 2}

    run(tmp_path, story)


# bounds


def test_a_flood_takes_its_own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From one address, over two connections: what another one has brought stays, and so does the bound."""
    monkeypatch.setattr(kept_module.Kept.__init__, "__defaults__", (20, 32_000_000))

    async def story(inside: V2) -> None:
        honest = await inside.connect(address="192.0.2.1:9735")
        await say(inside, honest, CHANNEL.announcement, *CHANNEL.updates)
        flood = SyntheticGossip2(SyntheticMap(random_edges(9, 60, 20), 9, NOW), HEIGHT)
        for start in (1, 30):
            peer = await inside.connect(address=f"198.51.100.7:{start}")
            await say(inside, peer, *(flood.channel(number).announcement for number in range(start, start + 29)))
            assert len(inside.room.kept.table) == 20
        assert {CHANNEL.announcement, *CHANNEL.updates} < set(inside.kept())
        assert (await inside.status())["v2_messages"] == 20

    run(tmp_path, story)


def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Announcements whose outputs are not answered for, and what is held for one of them."""
    monkeypatch.setattr(pending_module, "MOST", 3)

    async def story(inside: V2) -> None:
        inside.listen()
        peer, other = await inside.connect(), await inside.connect(address="192.0.2.1:9735")
        announcements = [GOSSIP.channel(number).announcement for number in range(5)]
        for raw in announcements:
            await ask(inside, peer, raw)
        table = inside.room._pending.table
        assert list(table) == announcements[:3]
        assert inside.outcomes(announcements[4]) == [("rejected", "too many announcements of its source wait already")]
        await ask(inside, other, announcements[4])
        assert list(table) == [*announcements[1:3], announcements[4]], "the greedier source makes room"
        updates = [GOSSIP.update(1, 0, height) for height in range(900, 920)]
        await ask(inside, peer, *updates, updates[0])
        await ask(inside, other, *updates[10:])
        (held,) = {pending.keys[0]: pending.held for pending in table.values.values() if pending.held}.values()
        assert [source for _, source in held] == [peer.conn_id] * 4 + [other.conn_id] * 4
        assert inside.outcomes(updates[4]) == [("rejected", "there was no room for it")]
        assert inside.outcomes(updates[0]) == [("redundant", "")]
        assert table.size == sum(len(raw) for raw in table) + sum(len(raw) for raw, _ in held)

    run(tmp_path, story, check_txout=True)


# without the option, and after a restart


@pytest.mark.bolt("G2-19")
def test_without_the_option_nothing_is_judged(tmp_path: Path) -> None:
    async def story(inside: V2) -> None:
        inside.listen()
        peer = await inside.connect()
        assert await say(inside, peer, *ALL, badly_signed(CHANNEL.announcement), b"\x01\x0bwhatever") == []
        assert {(each.outcome, each.reason) for each in inside.said_by_feed} == {
            ("rejected", "gossip v2 is not judged yet")
        }
        assert (await inside.status())["bad"] == 0

    run(tmp_path, story, gossip_v2=False)
    assert not list(tmp_path.glob("gossip_store_v2*"))


def test_what_is_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    async def first(inside: V2) -> None:
        await say(inside, await inside.connect(), *ALL)

    async def second(inside: V2) -> None:
        assert inside.kept() == sorted(ALL)
        inside.listen()
        await say(inside, await inside.connect(), *ALL, GOSSIP.update(0, 0, HEIGHT + 1))
        assert {each.outcome for each in inside.said_by_feed} == {"redundant", "new"}
        assert len(inside.kept()) == len(ALL)

    run(tmp_path, first)
    run(tmp_path, second)
