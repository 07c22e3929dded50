"""Channels that die, are forgotten and do not come back; the store keeps the order that peers accept."""

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gossipd.gossmap import Gossmap
from gossipd.map.forget import DYING_BLOCKS
from gossipd.serve.queries import answer_scids
from gossipd.store.records import DYING
from tests.gossipd.faults import Crash, failing_pwrite
from tests.gossipd.messages import CHAIN
from tests.gossipd.writer import Writer, content_at, content_of, live_messages, node_id, scid
from wire.encoded import encode_short_ids
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement, QueryShortChannelIds, decode
from wire.scid import block_of


def sendable(writer: Writer) -> list[str]:
    """What a peer with an open filter is sent, in order."""
    names = []
    for raw, _, flags in live_messages(writer.store):
        match decode(raw):
            case ChannelAnnouncement() as message:
                names.append(f"channel {block_of(message.short_channel_id) - 100}")
            case ChannelUpdate() as message:
                names.append(f"update {block_of(message.short_channel_id) - 100}/{message.channel_flags & 1}")
            case NodeAnnouncement() as message:
                names.append(f"node {message.node_id[-1]}")
            case _:
                continue
        if flags & DYING:
            names.pop()
    return names


def check_order(writer: Writer) -> None:
    """B7-98: an announcement goes before its updates, and before its nodes' announcements."""
    announced: set[int] = set()
    nodes: set[bytes] = set()
    for raw, _, flags in live_messages(writer.store):
        match decode(raw):
            case ChannelAnnouncement() as message if not flags & DYING:
                announced.add(message.short_channel_id)
                nodes |= {message.node_id_1, message.node_id_2}
            case ChannelUpdate() as message:
                dying = message.short_channel_id in writer.index.dying
                assert bool(flags & DYING) == dying
                assert dying or message.short_channel_id in announced
            case NodeAnnouncement() as message:
                assert bool(flags & DYING) == (message.node_id not in nodes)
    alive = {number for number in writer.index.channels if number not in writer.index.dying}
    assert announced == alive


@pytest.mark.bolt("B7-102")
def test_forgotten_channel_is_gone_everywhere(writer: Writer, path: Path) -> None:
    writer.full_channel(1, 1, 2, 10)
    writer.full_channel(2, 2, 3, 10)
    for node in (1, 2, 3):
        writer.node(node, 20)
    writer.store.flush()
    with Gossmap(path) as follower:
        assert writer.forgetting.prune([scid(1), scid(7)]) == 1
        writer.store.flush()
        assert follower.refresh()
        assert content_of(follower) == writer.content()
    assert list(writer.index.channels) == [scid(2)]
    assert set(writer.index.nodes) == {node_id(2), node_id(3)}
    assert sendable(writer) == ["channel 2", "update 2/0", "update 2/1", "node 2", "node 3"]
    assert (scid(1) in writer.forgetting.pruned, scid(1) in writer.forgetting.closed) == (True, False)


@pytest.mark.bolt("B7-98")
def test_node_announcement_moves_behind_a_channel_that_is_left(writer: Writer) -> None:
    writer.full_channel(1, 1, 2, 10)
    writer.node(1, 20)
    writer.node(2, 20)
    writer.full_channel(2, 1, 3, 10)
    writer.store.flush()
    writer.forgetting.prune([scid(1)])
    writer.store.flush()
    assert sendable(writer) == ["channel 2", "update 2/0", "update 2/1", "node 1"]
    assert writer.store.timestamp(writer.index.node_announce_off[writer.index.nodes[node_id(1)]]) == 20


@pytest.mark.bolt("B7-98")
def test_spent_channel_is_not_sent_and_goes_after_72_blocks(writer: Writer, path: Path) -> None:
    writer.full_channel(1, 1, 2, 10)
    writer.node(1, 20)
    writer.full_channel(2, 1, 3, 10)
    writer.store.flush()
    assert writer.forgetting.spend([scid(1), scid(9)], 500) == 1
    assert writer.forgetting.spend([scid(1)], 501) == 0
    writer.store.flush()
    assert sendable(writer) == ["channel 2", "update 2/0", "update 2/1", "node 1"]
    assert writer.index.dying[scid(1)][0] == 500 + DYING_BLOCKS
    with Gossmap(path) as gossmap:
        channel = gossmap.channel(scid(1))
        assert channel is not None
        assert (channel.dying_at, channel.is_dying) == (572, True)
    assert writer.forgetting.block(571) == 0
    assert writer.forgetting.block(572) == 1
    writer.store.flush()
    assert list(writer.index.channels) == [scid(2)]
    assert not writer.index.dying
    assert scid(1) in writer.forgetting.closed
    assert scid(9) in writer.forgetting.closed
    assert content_at_end(writer, path)


def content_at_end(writer: Writer, path: Path) -> bool:
    """The store says, read again, what the index says."""
    content = writer.content()
    writer.close()
    return content_at(path) == content


def test_dying_survives_a_restart(writer: Writer, path: Path) -> None:
    writer.full_channel(1, 1, 2, 10)
    writer.node(1, 20)
    writer.forgetting.spend([scid(1)], 500)
    writer.close()
    again = Writer(path)
    again.node(2, 20)
    again.update(1, 0, 30)
    again.full_channel(2, 1, 3, 10)
    again.store.flush()
    assert sendable(again) == ["channel 2", "update 2/0", "node 1", "update 2/1"]
    assert again.forgetting.block(600) == 1
    again.close()


def test_node_whose_channels_all_die_is_not_sent_until_it_has_another(writer: Writer) -> None:
    writer.full_channel(1, 1, 2, 10)
    writer.node(1, 20)
    writer.store.flush()
    writer.forgetting.spend([scid(1)], 500)
    writer.node(2, 20)
    writer.node(1, 21)
    writer.store.flush()
    assert sendable(writer) == []
    writer.full_channel(2, 1, 3, 10)
    writer.store.flush()
    assert sendable(writer) == ["channel 2", "update 2/0", "node 1", "update 2/1"]
    check_order(writer)


def test_channel_is_there_or_not_wherever_the_writer_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = set()
    for at in range(40):
        path = tmp_path / str(at)
        writer = Writer(path)
        writer.full_channel(1, 1, 2, 10)
        writer.node(1, 20)
        writer.full_channel(2, 1, 3, 10)
        writer.store.flush()
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", failing_pwrite(at, 1.0, Crash()))
            with contextlib.suppress(Crash):
                writer.forgetting.prune([scid(1)])
                writer.store.flush()
                at = -1
            with contextlib.suppress(Crash):
                writer.close()
        contents.add(frozenset(content_at(path)))
        again = Writer(path)
        check_order(again)
        again.close()
        if at < 0:
            break
    assert at < 0
    whole = {f"channel {scid(1)}", f"channel {scid(2)}", *(f"node {node_id(node).hex()}" for node in (1, 2, 3))}
    gone = whole - {f"channel {scid(1)}", f"node {node_id(2).hex()}"}
    assert contents == {frozenset(whole), frozenset(gone)}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["channel", "update", "node", "prune", "spend", "block", "flush"]),
        st.integers(0, 5),
        st.integers(0, 3),
    ),
    max_size=40,
)


def take(writer: Writer, step: tuple[str, int, int], number: int) -> None:
    """One step that gossipd might take, if it makes sense."""
    what, channel, choice = step
    known = scid(channel) in writer.index.channels
    match what:
        case "channel" if not known:
            writer.full_channel(channel, channel % 3, 3 + choice % 2, number)
        case "update" if known:
            writer.update(channel, choice % 2, number)
        case "node" if node_id(channel) in writer.index.nodes:
            writer.node(channel, number)
        case "prune":
            writer.forgetting.prune([scid(channel), scid(choice)])
        case "spend":
            writer.forgetting.spend([scid(channel)], number)
        case "block":
            writer.forgetting.block(number + 20 * choice)
        case "flush":
            writer.store.flush()


@given(steps=STEPS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_order_holds_whatever_happens(tmp_path: Path, steps: list[tuple[str, int, int]]) -> None:
    path = tmp_path / os.urandom(8).hex()
    writer = Writer(path)
    with Gossmap(path) as follower:
        for number, step in enumerate(steps, 1):
            take(writer, step, number)
        writer.store.flush()
        check_order(writer)
        follower.refresh()
        assert content_of(follower) == writer.content()
    content, dead = writer.content(), writer.store.dead_bytes
    writer.close()
    again = Writer(path)
    assert (again.content(), again.store.dead_bytes) == (content, dead)
    again.close()


@pytest.mark.parametrize("place", [3, 12, 70], ids=["length", "message", "further on"])
@pytest.mark.parametrize("what", ["channel", "update", "node"])
def test_what_is_damaged_is_not_served_but_forgotten(writer: Writer, path: Path, what: str, place: int) -> None:
    writer.full_channel(1, 1, 2, 10)
    writer.node(1, 20)
    writer.full_channel(2, 2, 3, 10)
    writer.store.flush()
    row, index = writer.index.channels[scid(1)], writer.index
    node = index.nodes[node_id(1)]
    offset = {"channel": index.announce_off, "update": index.update_off[0], "node": index.node_announce_off}[what][
        node if what == "node" else row
    ]
    with path.open("r+b") as file:
        file.seek(offset + place)
        file.write(b"\x99")
    left = {
        "channel": ["update 1/0", "update 1/1", "node 1"],
        "update": ["channel 1", "update 1/1", "node 1"],
        "node": ["channel 1", "update 1/0", "update 1/1"],
    }
    for _ in range(2):
        assert sendable(writer) == [*left[what], "channel 2", "update 2/0", "update 2/1"], "as served first, and later"
    ((start, stop),) = writer.store.damaged
    assert start == offset
    assert writer.forgetting.lose(start, stop) == 1
    writer.store.flush()
    check_order(writer)
    assert (scid(1) in writer.index.channels) == (what != "channel")
    assert content_at_end(writer, path)


@pytest.mark.parametrize("place", [3, 12, 70], ids=["length", "message", "further on"])
@pytest.mark.parametrize("what", ["channel", "update", "node"])
def test_an_answer_has_nothing_that_is_damaged(writer: Writer, path: Path, what: str, place: int) -> None:
    """Nor does a query find the damage a second time before it is forgotten."""
    for number in (1, 2):
        writer.full_channel(number, number, number + 1, 10)
        writer.node(number, 20)
    writer.store.flush()
    index, dead = writer.index, writer.store.dead_bytes
    row = index.channels[scid(1)]
    offset = {
        "channel": index.announce_off[row],
        "update": index.update_off[0][row],
        "node": index.node_announce_off[index.nodes[node_id(1)]],
    }[what]
    lost = writer.store.read(offset)
    query = QueryShortChannelIds(CHAIN, encode_short_ids([scid(1), scid(2)]))
    whole = list(answer_scids(query, CHAIN, index, writer.store))
    with path.open("r+b") as file:
        file.seek(offset + place)
        file.write(b"\x99")
    for _ in range(2):
        assert list(answer_scids(query, CHAIN, index, writer.store)) == [each for each in whole if each != lost]
    ((start, stop),) = writer.store.damaged
    assert (start, writer.store.dead_bytes) == (offset, dead + stop - start)
    assert writer.forgetting.lose(start, stop) == 1


def test_an_answer_from_a_file_that_is_cut(writer: Writer, path: Path) -> None:
    """Without a look at what is missing, which would end the process."""
    writer.full_channel(1, 1, 2, 10)
    writer.full_channel(2, 2, 3, 10)
    writer.store.flush()
    query = QueryShortChannelIds(CHAIN, encode_short_ids([scid(1), scid(2)]))
    whole = list(answer_scids(query, CHAIN, writer.index, writer.store))
    os.truncate(path, writer.index.announce_off[writer.index.channels[scid(2)]] + 20)
    writer.store.mend()
    assert list(answer_scids(query, CHAIN, writer.index, writer.store)) == [*whole[:3], whole[-1]]
    assert list(answer_scids(query, CHAIN, writer.index, writer.store)) == [*whole[:3], whole[-1]]


def test_file_that_is_cut_from_outside(writer: Writer, path: Path) -> None:
    writer.full_channel(1, 1, 2, 10)
    writer.node(1, 20)
    writer.full_channel(2, 2, 3, 10)
    writer.node(3, 20)
    writer.store.flush()
    os.truncate(path, writer.index.announce_off[writer.index.channels[scid(2)]] + 20)
    assert sendable(writer) == ["channel 1", "update 1/0", "update 1/1", "node 1"]
    for start, stop in writer.store.damaged:
        assert writer.forgetting.lose(start, stop) == 4
    writer.full_channel(3, 1, 2, 30)
    writer.store.flush()
    assert sorted(writer.index.channels) == [scid(1), scid(3)]
    check_order(writer)
    assert content_at_end(writer, path)
