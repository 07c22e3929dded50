"""Which strangers are dialled when there are too few peers."""

from pathlib import Path

import pytest

from lightningd_py.database import FILE_NAME, Database
from lightningd_py.owners.peers import Event, Peers
from lightningd_py.peers import staying_connected
from lightningd_py.peers.staying_connected import Seeking
from wire.control.control_channel import ChannelClosed, RequestFailed
from wire.control.control_wire import PeerInfo, ReachPeerReplyfail

US = bytes([3]) * 33


def node(number: int) -> bytes:
    return bytes([2]) + bytes([number]) * 32


def at(number: int) -> list[str]:
    return [f"5.6.7.{number}:9735"]


class Strangers:
    """A map, and those who can be reached."""

    def __init__(self, database: Database, wanted: int, *, any_address: bool = False) -> None:
        self.database = database
        self.known: list[tuple[bytes, list[str]]] = []
        self.dialled: list[bytes] = []
        self.unreachable: set[bytes] = set()
        self.asked: list[int] = []
        self.peers = Peers()
        self.seeking = Seeking(database, self.peers, self.reach, self.random_nodes, US, wanted, any_address=any_address)

    async def random_nodes(self, count: int) -> list[tuple[bytes, list[str]]]:
        self.asked.append(count)
        return list(self.known)

    async def reach(self, node_id: bytes, addresses: list[str]) -> None:
        self.dialled.append(node_id)
        if node_id in self.unreachable:
            raise RequestFailed(ReachPeerReplyfail("no", 401, []))
        self.connect(node_id)

    def connect(self, node_id: bytes) -> None:
        info = PeerInfo(node_id, len(self.peers) + 1, "5.6.7.8:9735", False, None, b"", [])
        self.peers.begin(info, Event.PEER_TAKEN, "gossipd")

    async def seek(self) -> list[bytes]:
        self.dialled.clear()
        await self.seeking.seek()
        return list(self.dialled)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / FILE_NAME)


async def test_as_many_as_are_missing(database: Database) -> None:
    strangers = Strangers(database, 4)
    strangers.connect(node(1))
    strangers.known = [(node(number), at(number)) for number in range(1, 20)]
    assert await strangers.seek() == [node(2), node(3), node(4)]
    assert await strangers.seek() == []
    assert len(strangers.asked) == 1, "no peer is missing"
    database.close()


async def test_not_ourselves_nor_whom_nobody_can_reach(database: Database) -> None:
    strangers = Strangers(database, 4)
    strangers.known = [(US, at(1)), (node(2), ["10.0.0.1:9735"]), (node(3), ["10.0.0.1:9735", *at(3)])]
    assert await strangers.seek() == [node(3)]
    there = Strangers(database, 4, any_address=True)
    there.known = strangers.known
    assert await there.seek() == [node(2), node(3)]
    database.close()


async def test_who_could_not_be_reached_is_left_alone(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staying_connected, "MOST_TRIED", 1)
    strangers = Strangers(database, 1)
    strangers.unreachable = {node(1), node(2)}
    strangers.known = [(node(1), at(1))]
    assert [await strangers.seek() for _ in range(2)] == [[node(1)], []]
    strangers.known = [(node(2), at(2))]
    assert await strangers.seek() == [node(2)]
    strangers.known = [(node(1), at(1))]
    assert await strangers.seek() == [node(1)], "forgotten: the list is bounded"
    database.close()


async def test_peers_of_before_come_after_the_map(database: Database) -> None:
    database.remember_address(node(7), at(7)[0], 5.0)
    database.remember_hint(node(8), at(8)[0])
    strangers = Strangers(database, 3)
    strangers.known = [(node(1), at(1))]
    assert await strangers.seek() == [node(1), node(7)]
    database.close()


async def test_gossipd_is_gone(database: Database) -> None:
    async def gone(count: int) -> list[tuple[bytes, list[str]]]:
        raise ChannelClosed("gone")

    strangers = Strangers(database, 3)
    strangers.seeking = Seeking(database, strangers.peers, strangers.reach, gone, US, 3, any_address=False)
    assert await strangers.seek() == []
    database.close()
