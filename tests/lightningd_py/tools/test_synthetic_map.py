"""The made-up map: deterministic, validly signed, in an order that a peer accepts."""

import lzma
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.gossmap import Gossmap
from lightningd_py.tools.synthetic_map import (
    TWO_WEEKS,
    Policy,
    SyntheticMap,
    _spread,
    generate,
    main,
    random_edges,
    read_topology,
)
from wire.address import is_routable, read_descriptors
from wire.command import console
from wire.features import Features
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement, decode
from wire.secp256k1 import double_sha256, verify
from wire.types import NETWORKS

NOW = 1_770_000_000
MESSAGES = list(generate(7, 30, 12, NOW))

HEADING = "node1,node2,capacity_sat,d0,c0,m0,b0,p0,x0,d1,c1,m1,b1,p1,x1\n"
TOPOLOGY = (
    HEADING + "5,0,20000,0,144,1000,1,2,9000000,1,34,1,0,7,99000000\n0,3,50000,0,40,0,0,0,50000000,0,80,1,1,1,1\n"
)


@pytest.fixture
def topology(tmp_path: Path) -> Path:
    path = tmp_path / "topology.csv.xz"
    path.write_bytes(lzma.compress(TOPOLOGY.encode()))
    return path


def test_all_signatures_hold_and_updates_follow_their_channel() -> None:
    channels: dict[int, ChannelAnnouncement] = {}
    for raw in MESSAGES:
        match decode(raw):
            case ChannelAnnouncement() as channel:
                digest = double_sha256(raw[258:])
                assert verify(digest, channel.node_signature_1, channel.node_id_1)
                assert verify(digest, channel.node_signature_2, channel.node_id_2)
                assert verify(digest, channel.bitcoin_signature_1, channel.bitcoin_key_1)
                assert verify(digest, channel.bitcoin_signature_2, channel.bitcoin_key_2)
                assert channel.node_id_1 < channel.node_id_2
                channels[channel.short_channel_id] = channel
            case ChannelUpdate() as update:
                channel = channels[update.short_channel_id]
                signer = (channel.node_id_1, channel.node_id_2)[update.channel_flags & 1]
                assert verify(double_sha256(raw[66:]), update.signature, signer)
            case NodeAnnouncement() as node:
                assert verify(double_sha256(raw[66:]), node.signature, node.node_id)
                assert any(node.node_id in (channel.node_id_1, channel.node_id_2) for channel in channels.values())


def test_fields_are_what_bolt_7_asks_for() -> None:
    for raw in MESSAGES:
        message = decode(raw)
        if isinstance(message, ChannelUpdate):
            assert message.message_flags == 1
            assert message.htlc_minimum_msat <= message.htlc_maximum_msat
        if isinstance(message, NodeAnnouncement):
            message.alias.rstrip(b"\0").decode()
            assert Features(message.features).unknown_even() is None
            assert Features(message.features).missing_dependency() is None
        if isinstance(message, ChannelUpdate | NodeAnnouncement):
            assert NOW - TWO_WEEKS < message.timestamp <= NOW
        if isinstance(message, ChannelAnnouncement | ChannelUpdate):
            assert message.chain_hash == NETWORKS["regtest"]


def test_nobody_can_be_dialled_by_mistake() -> None:
    nodes = [message for message in map(decode, MESSAGES) if isinstance(message, NodeAnnouncement)]
    addresses = [address for node in nodes for address in read_descriptors(bytes(node.addresses))]
    assert {address.kind for address in addresses} >= {"ipv4", "torv3"}
    for address in addresses:
        assert address.kind == "torv3" or not is_routable(address) or address.host.endswith(".example")


def test_counts() -> None:
    kinds = [raw[:2] for raw in MESSAGES]
    assert (kinds.count(b"\1\0"), kinds.count(b"\1\1"), kinds.count(b"\1\2")) == (30, 12, 60)


def test_same_seed_same_map() -> None:
    assert list(generate(7, 30, 12, NOW)) == MESSAGES
    assert not set(generate(8, 30, 12, NOW)) & set(MESSAGES)


def test_several_processes_make_the_same_map() -> None:
    assert list(SyntheticMap(random_edges(7, 30, 12), 7, NOW).messages(processes=2)) == MESSAGES


def test_processes_end_at_sigterm_where_their_caller_handles_it() -> None:
    with console.on_end(lambda: None):
        assert set(_spread(signal.getsignal, [signal.SIGTERM] * 200, 2)) == {signal.SIG_DFL}


@given(nodes=st.integers(2, 40), more=st.integers(0, 40), seed=st.integers(0, 9))
def test_graph_is_connected(nodes: int, more: int, seed: int) -> None:
    edges = random_edges(seed, nodes - 1 + more, nodes)
    reached, rest = {0}, edges
    while joined := [edge for edge in rest if (edge.node1 in reached) != (edge.node2 in reached)]:
        reached |= {node for edge in joined for node in (edge.node1, edge.node2)}
    assert reached == set(range(nodes))
    assert all(edge.node1 != edge.node2 for edge in edges)


@pytest.mark.parametrize(("channels", "nodes"), [(5, 1), (5, 7), (0, 0)])
def test_impossible_graph(channels: int, nodes: int) -> None:
    with pytest.raises(ValueError, match="a map needs"):
        random_edges(1, channels, nodes)


def test_topology_file(topology: Path) -> None:
    edges = read_topology(topology)
    assert [(edge.node1, edge.node2, edge.capacity_sat) for edge in edges] == [(5, 0, 20_000), (0, 3, 50_000)]
    assert edges[0].policies == (Policy(0, 144, 1000, 1, 2, 9_000_000), Policy(1, 34, 1, 0, 7, 99_000_000))
    plain = topology.with_suffix("")
    plain.write_text(TOPOLOGY)
    assert read_topology(plain) == edges


def test_policies_turn_with_the_sorted_nodes(topology: Path) -> None:
    for seed in range(6):
        made = SyntheticMap(read_topology(topology), seed, NOW)
        channel = next(made.channels())
        announced = ChannelAnnouncement.decode(channel.announcement)
        node5 = next(
            node.node_id
            for node in map(NodeAnnouncement.decode, made.node_announcements())
            if node.alias.rstrip(b"\0").endswith(b"5")
        )
        for update in map(ChannelUpdate.decode, channel.updates):
            source = (announced.node_id_1, announced.node_id_2)[update.channel_flags & 1]
            # No htlc_maximum is above the capacity, whatever the file says.
            expected = (144, 9_000_000, 0) if source == node5 else (34, 20_000_000, 2)
            assert (update.cltv_expiry_delta, update.htlc_maximum_msat, update.channel_flags & 2) == expected


@pytest.mark.parametrize("content", [b"not xz", lzma.compress(b"heading\n1,2,x\n"), lzma.compress(b"heading\n1\n")])
def test_what_is_no_topology(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "topology.xz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"topology\.xz is no topology file"):
        read_topology(path)


def test_tool_writes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "gossip_store"
    main(["--channels", "30", "--nodes", "12", "--seed", "7", "--now", str(NOW), "--store", str(path)])
    with Gossmap(path) as gossmap:
        channels = list(gossmap.channels())
        assert [channel.announcement for channel in channels] == [raw for raw in MESSAGES if raw[:2] == b"\1\0"]
        assert all(channel.capacity_sat for channel in channels)
        assert len(list(gossmap.nodes())) == 12


def test_tool_writes_hex(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--channels", "30", "--nodes", "12", "--seed", "7", "--now", str(NOW), "--hex"]
    main([*arguments, "-"])
    assert [bytes.fromhex(line) for line in capsys.readouterr().out.splitlines()] == MESSAGES
    path = tmp_path / "hex"
    main([*arguments, str(path)])
    assert path.read_text().split() == [raw.hex() for raw in MESSAGES]


def test_tool_takes_the_first_rows_of_a_topology(
    topology: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--topology", str(topology), "--channels", "1", "--network", "signet", "--hex", "-"])
    messages = [decode(bytes.fromhex(line)) for line in capsys.readouterr().out.splitlines()]
    assert [type(message) for message in messages] == [
        ChannelAnnouncement,
        *[ChannelUpdate] * 2,
        *[NodeAnnouncement] * 2,
    ]
    assert isinstance(messages[0], ChannelAnnouncement)
    assert messages[0].chain_hash == NETWORKS["signet"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--channels", "2", "--nodes", "9", "--hex", "-"], "a map needs two nodes"),
        (["--topology", "/nowhere", "--hex", "-"], "No such file"),
        (["--topology", "/nowhere", "--nodes", "3", "--hex", "-"], "--nodes cannot be given with --topology"),
        (["--store", "/dev/null"], "/dev/null exists already"),
        ([], "one of the arguments --store --hex is required"),
    ],
)
def test_tool_says_what_is_wrong(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err
