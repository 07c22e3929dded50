"""Whom the node dials again: those that the operator wants, and those of services while these are here."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from lightningd_py.database import FILE_NAME, Database
from lightningd_py.owners.peers import Event, Peers
from lightningd_py.peers.staying_connected import MOST_DIALS, StayingConnected
from tests.lightningd_py.bus_services import turn
from wire.control.control_wire import PeerInfo
from wire.control.timing import Timing


def node(number: int) -> bytes:
    return bytes([2]) + number.to_bytes(32, "big")


class KeptNodes:
    """Who is dialled, and when they answer."""

    def __init__(self, database: Database) -> None:
        self.peers = Peers()
        self.dialled: list[bytes] = []
        self._dials: asyncio.Queue[bytes] = asyncio.Queue()
        self._seen = 0
        self.kept: set[bytes] = set()
        """What has been said of them so far."""
        self.of_services: set[bytes] = set()
        self.answers = asyncio.Event()
        self.staying = StayingConnected(
            database,
            self.peers,
            self.reach,
            self._kept_changed,
            lambda node_id: node_id in self.of_services,
            Timing(),
            lambda: 0.0,
            dial=True,
        )

    def _kept_changed(self, node_ids: Iterable[bytes]) -> None:
        for node_id in node_ids:
            (self.kept.add if node_id in self.staying.core else self.kept.discard)(node_id)

    def keep_for_services(self, node_ids: Iterable[bytes]) -> None:
        """These and no others are what services want."""
        before, self.of_services = self.of_services, set(node_ids)
        self.staying.services_changed(sorted(before ^ self.of_services))

    async def reach(self, node_id: bytes, addresses: list[str]) -> None:
        self.dialled.append(node_id)
        self._dials.put_nowait(node_id)
        await self.answers.wait()
        info = PeerInfo(node_id, len(self.dialled), "5.6.7.8:9735", False, None, b"", [])
        self.staying.came(self.peers.begin(info, Event.PEER_TAKEN, "gossipd"))

    async def until_dialled(self, count: int) -> None:
        """So many in all."""
        while self._seen < count:
            await self._dials.get()
            self._seen += 1


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[KeptNodes]:
    database = Database(tmp_path / FILE_NAME)
    nodes = KeptNodes(database)
    yield nodes
    nodes.staying.close()
    database.close()


async def test_nodes_of_services_are_dialled_while_these_are_here(nodes: KeptNodes) -> None:
    """Not before the node dials anybody; who is kept for another reason is kept on."""
    nodes.keep_for_services([node(1), node(2)])
    await turn()
    assert (nodes.dialled, nodes.kept) == ([], {node(1), node(2)})
    nodes.staying.start([node(2), node(3)])
    await nodes.until_dialled(3)
    nodes.keep_for_services([node(4)])
    await nodes.until_dialled(4)
    assert nodes.kept == {node(2), node(3), node(4)}
    nodes.staying.keep(node(4))
    nodes.staying.let_go(node(2))
    nodes.keep_for_services([])
    assert nodes.kept == {node(3), node(4)}


async def test_operator_lets_go_of_what_a_service_wants(nodes: KeptNodes) -> None:
    """The node stays as long as the service is here."""
    nodes.staying.start([])
    nodes.staying.keep(node(1))
    nodes.keep_for_services([node(1)])
    nodes.staying.let_go(node(1))
    assert nodes.kept == {node(1)}
    nodes.keep_for_services([])
    assert nodes.kept == set()


async def test_few_are_dialled_at_a_time(nodes: KeptNodes) -> None:
    """A node that is let go of while it waits for its turn is not dialled."""
    nodes.staying.start([])
    nodes.keep_for_services(node(number) for number in range(3 * MOST_DIALS))
    await nodes.until_dialled(MOST_DIALS)
    await turn()
    assert len(nodes.dialled) == MOST_DIALS
    left = nodes.dialled[:1]
    nodes.keep_for_services(left)
    nodes.answers.set()
    await turn()
    await turn()
    assert len(nodes.dialled) == MOST_DIALS


async def test_lost_peers_are_dialled_again(nodes: KeptNodes) -> None:
    """Once, and few at a time; not those that are back, nor those that are dialled in their time."""
    lost = [node(number) for number in range(2 * MOST_DIALS)]
    nodes.staying.dial_again(lost)
    await turn()
    assert nodes.dialled == [], "the node does not dial yet"
    nodes.staying.start([node(0)])
    await nodes.until_dialled(1)
    nodes.staying.dial_again(lost)
    await nodes.until_dialled(MOST_DIALS)
    await turn()
    assert nodes.dialled == lost[:MOST_DIALS]
    nodes.peers.begin(PeerInfo(lost[-1], 1_000, "5.6.7.8:9735", True, None, b"", []), Event.PEER_TAKEN, "gossipd")
    nodes.answers.set()
    await nodes.until_dialled(2 * MOST_DIALS - 1)
    await turn()
    assert nodes.dialled == lost[:-1]


async def test_who_is_connected_is_not_dialled(nodes: KeptNodes) -> None:
    nodes.peers.begin(PeerInfo(node(1), 1, "5.6.7.8:9735", False, None, b"", []), Event.PEER_TAKEN, "gossipd")
    nodes.staying.start([])
    nodes.keep_for_services([node(1), node(2)])
    await nodes.until_dialled(1)
    assert nodes.dialled == [node(2)]
