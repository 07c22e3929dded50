"""The generator of gossip v2: all of it holds, and it is the same for the same seed."""

from collections import Counter

import pytest

from lightningd_py.tools.synthetic_gossip_v2 import main
from wire.gossip_v2.messages import ChannelAnnouncement2, ChannelUpdate2, NodeAnnouncement2
from wire.gossip_v2.records import read_records
from wire.gossip_v2.signatures import holds
from wire.peer_wire import decode

SMALL = ["--channels", "9", "--nodes", "4", "--height", "150"]


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[bytes]:
    main([*SMALL, *arguments])
    return [bytes.fromhex(line) for line in capsys.readouterr().out.splitlines()]


def test_all_of_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """A channel before its updates, nodes last; block heights not above the chain's end."""
    messages = said(capsys)
    assert messages == said(capsys)
    assert Counter(int.from_bytes(raw[:2]) for raw in messages) == {267: 9, 271: 18, 269: 4}
    nodes: dict[int, tuple[bytes, bytes]] = {}
    for raw in messages:
        match decode(raw):
            case ChannelAnnouncement2() as channel:
                nodes[channel.short_channel_id] = channel.node_id_1, channel.node_id_2
                assert holds(raw, b"")
            case ChannelUpdate2() as update:
                direction, scid = update.short_channel_id
                assert holds(raw, nodes[scid][direction])
                assert 101 <= update.block_height <= 150
            case NodeAnnouncement2() as node:
                assert holds(raw, b"")
                assert any(node.node_id in each for each in nodes.values())
                assert node.addresses()


def test_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys) != said(capsys, "--seed", "2")
    assert said(capsys) != said(capsys, "--network", "signet")
    keyless = [raw for raw in said(capsys, "--keyless") if raw[1] == 11 and 12 not in read_records(raw)]
    assert len(keyless) == 2


def test_too_few_channels(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--channels", "3", "--nodes", "9"])
    assert ended.value.code == 2
    assert "a map needs two nodes" in capsys.readouterr().err
