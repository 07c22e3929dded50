"""The first peers: whom a node that knows no other asks, in which order, and when it stops."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from lightningd_py.errors import UsageError
from lightningd_py.peers.bootstrap import FIRST_PEERS, MOST_LINES, Bootstrap, Candidate, read_peers
from wire.control.control_channel import ChannelClosed, RequestFailed
from wire.control.control_wire import BootstrapReply, PeerInfo, ReachPeerReplyfail
from wire.secp256k1 import public_key

IDS = [public_key(bytes([number]) * 32) for number in range(1, 11)]


class SeedsAndNodes:
    """What can be asked and reached."""

    def __init__(self, *, seeded: Sequence[Candidate] = (), alive: Sequence[bytes] = (), rounds: int = 1) -> None:
        self.seeded = seeded
        self.alive = alive
        self.rounds = rounds
        self.asked: list[Sequence[str]] = []
        self.tried: list[bytes] = []

    async def ask_seeds(self, seeds: Sequence[str]) -> BootstrapReply:
        self.asked.append(seeds)
        errors = [] if self.seeded else [(seed, "no answer") for seed in seeds]
        return BootstrapReply(list(self.seeded), errors)

    async def reach(self, node_id: bytes, addresses: list[str]) -> PeerInfo:
        self.tried.append(node_id)
        if node_id in self.alive:
            return PeerInfo(node_id, 1, addresses[0], False, None, b"", [])
        raise RequestFailed(ReachPeerReplyfail(error="x", code=401, errors=[(addresses[0], "Connection refused")]))

    def knows_a_node(self) -> bool:
        self.rounds -= 1
        return self.rounds < 0

    async def look(self, *, seeds: Sequence[str] = ("seed.example",), fallback: Sequence[Candidate] = ()) -> None:
        await Bootstrap(seeds, fallback, self.ask_seeds, self.reach, self.knows_a_node, pause=0.0).run()


def at(ids: Sequence[bytes]) -> list[Candidate]:
    return [(node_id, "8.8.8.8:9735") for node_id in ids]


async def test_who_knows_a_node_asks_no_seed() -> None:
    network = SeedsAndNodes(rounds=0)
    await network.look(fallback=at(IDS))
    assert (network.asked, network.tried) == ([], [])


async def test_no_more_are_tried_than_are_needed() -> None:
    network = SeedsAndNodes(seeded=at(IDS), alive=IDS)
    await network.look(fallback=at(IDS))
    assert len(network.tried) == FIRST_PEERS
    assert network.asked == [("seed.example",)]


async def test_those_that_fail_are_made_up_for() -> None:
    network = SeedsAndNodes(seeded=at(IDS), alive=IDS[:1])
    await network.look(fallback=at(IDS))
    assert sorted(network.tried) == sorted(IDS)


async def test_the_file_is_used_when_the_seeds_lead_to_nobody() -> None:
    for seeded in ([], at(IDS[:2])):
        network = SeedsAndNodes(seeded=seeded, alive=IDS[5:])
        await network.look(fallback=at(IDS[5:6]))
        assert network.tried[-1] == IDS[5]
        assert len(network.tried) == len(seeded) + 1


async def test_it_goes_on_until_somebody_is_known(caplog: pytest.LogCaptureFixture) -> None:
    network = SeedsAndNodes(rounds=3)
    await network.look(fallback=at(IDS[:1]))
    assert (len(network.asked), network.tried) == (3, IDS[:1] * 3)
    assert "DNS seed seed.example: no answer" in caplog.text
    assert "no node is known that could tell of others" in caplog.text


async def test_without_seeds_and_file_there_is_nothing_to_do() -> None:
    network = SeedsAndNodes(rounds=5)
    await network.look(seeds=())
    assert network.rounds == 5


async def test_the_end_of_connectd_ends_it() -> None:
    network = SeedsAndNodes(rounds=5)

    async def gone(seeds: Sequence[str]) -> BootstrapReply:
        raise ChannelClosed("gone")

    await Bootstrap(["seed.example"], [], gone, network.reach, network.knows_a_node).run()


def test_the_file(tmp_path: Path) -> None:
    file = tmp_path / "peers"
    file.write_text(f"# ours\n\n{IDS[0].hex()}@8.8.8.8 # old\n {IDS[1].hex()}@[::1]:7\n{IDS[2].hex()}@a.example\n")
    assert read_peers(file, 9735) == [(IDS[0], "8.8.8.8:9735"), (IDS[1], "[::1]:7"), (IDS[2], "a.example:9735")]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"8.8.8.8:9735\n", "peers:1: '8.8.8.8:9735' is no node id"),
        (b"\n" + IDS[0].hex().encode(), "has no address"),
        (b"\n\n" + IDS[0].hex().encode() + b"@1.2.3.4:x", "peers:3: 'x' is no port"),
        (b"\xff", "it is no text"),
        (b"\n" * (MOST_LINES + 1), "has more than 1000 lines"),
    ],
)
def test_one_clear_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "peers").write_bytes(content)
    with pytest.raises(UsageError) as failed:
        read_peers(tmp_path / "peers", 9735)
    assert str(failed.value).startswith("--fallback-peers: ")
    assert sentence in str(failed.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file or directory"):
        read_peers(tmp_path / "peers", 9735)
