"""What daemons are told by increments of what services register, against the whole: each with its real receiver."""

import asyncio
from collections.abc import Iterable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from connectd.connectiond.registrations import ServiceRegistrations
from gossipd.local_channels import LocalChannels
from lightningd_py.peers.staying_connected import StayingConnected
from lightningd_py.peers.wanted_nodes import WantedNodes
from lightningd_py.registrations.registered import Refused, Registered
from tests.lightningd_py.bus_services import BusServices, turn
from tests.lightningd_py.ownership_among_fakes import PRIVILEGED
from tests.lightningd_py.table import ID, NODE, OTHER
from wire.bus.bus_wire import BusChannel, Register, Unregister
from wire.control import control_wire
from wire.control.control_message import ControlMessage
from wire.control.control_wire import LocalChannel
from wire.control.timing import Timing

NAMES = st.sampled_from(["a", "b", "c"])
NODES = (ID, NODE, OTHER, PRIVILEGED)
SERVICES_NODES = st.lists(st.sampled_from(NODES[:3]), max_size=2)
CHANNEL_IDS = tuple(bytes([letter]) * 32 for letter in b"cdefg")
TYPES = (33, 34, 40_001)
CHANNELS = st.lists(
    st.builds(BusChannel, st.sampled_from(CHANNEL_IDS), st.sampled_from(NODES[:3]), st.none() | st.integers(1, 3)),
    max_size=3,
)
ALLOWED = OTHER


class Receivers:
    """connectd, gossipd and connectiond, as far as they know registrations."""

    def __init__(self) -> None:
        self.fresh_connectd()
        self.fresh_gossipd()
        self.fresh_connectiond()

    def fresh_connectd(self) -> None:
        self.registered: set[bytes] = set()

    def fresh_gossipd(self) -> None:
        nothing: Any = None
        self.local = LocalChannels(bytes(33), nothing)
        self.channels: dict[int, LocalChannel] = {}
        self.wanted: set[bytes] = set()

    def fresh_connectiond(self) -> None:
        self.services = ServiceRegistrations()

    def hear(self, message: ControlMessage) -> None:
        match message:
            case control_wire.ChangeNodeRegistrations(added=added, removed=removed):
                change(self.registered, added, removed)
            case control_wire.ChangeWantedNodes(added=added, removed=removed):
                change(self.wanted, added, removed)
            case control_wire.ChangeLocalChannels(added=channels, removed=scids):
                assert all(scid in self.local for scid in scids), "it is taken back once"
                self.local.change(channels, scids)
                self.channels = {scid: known for scid, known in self.channels.items() if scid not in scids}
                self.channels |= {channel.short_channel_id: channel for channel in channels}
            case control_wire.ChangeServiceRegistrations():
                self.services.change(message)


def change(nodes: set[bytes], added: Iterable[bytes], removed: Iterable[bytes]) -> None:
    """Nothing is said twice."""
    assert nodes.isdisjoint(added)
    assert nodes.issuperset(removed)
    nodes.difference_update(removed)
    nodes.update(added)


class Increments(RuleBasedStateMachine):
    """Services come, register, take back and go, and daemons are restarted."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.chosen: set[bytes] = set()
        """By the operator."""
        self.receivers = Receivers()
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        self.bus = bus = BusServices()
        database: Any = self
        self.table = table = bus.registrations
        self.staying = StayingConnected(
            database,
            bus.ownership.peers,
            self._reach,
            lambda node_ids: self.wanted.look_again(node_ids),
            table.is_to_stay,
            Timing(),
            lambda: 0.0,
            dial=False,
        )
        self.wanted = WantedNodes(
            lambda: [*self.staying.core.nodes, ALLOWED, *table.node_ids],
            lambda node_id: node_id in self.staying.core or node_id == ALLOWED or table.is_registered(node_id),
            bus.gossipd.send,
        )
        bus.nodes_changed = self._nodes_changed
        bus.news.fresh_connectd(table.features)
        self.wanted.fresh_gossipd()

    def keep_node(self, node_id: bytes, *, keep: bool) -> None:
        """As the database has it."""
        (self.chosen.add if keep else self.chosen.discard)(node_id)

    async def _reach(self, node_id: bytes, addresses: list[str]) -> None:
        raise AssertionError("it does not dial")

    def _nodes_changed(self, node_ids: Iterable[bytes]) -> None:
        self.staying.services_changed(node_ids)
        self.wanted.look_again(node_ids)

    def _do(self, deed: Any, *arguments: Any) -> None:
        async def done() -> None:
            try:
                deed(*arguments)
            except Refused:
                return
            finally:
                await turn()

        self.runner.run(done())

    def _is_here(self, name: str) -> bool:
        service = self.table.named(name)
        return service is not None and bool(service.ticket)

    @rule(name=NAMES)
    def arrive(self, name: str) -> None:
        if not self._is_here(name):
            self._do(self.table.arrive, name)

    @rule(name=NAMES, here=st.booleans())
    def present(self, name: str, here: bool) -> None:
        self._do(self.table.present, name, here)

    @rule(name=NAMES)
    def leave(self, name: str) -> None:
        if self._is_here(name):
            self._do(self.table.leave, name, "goodbye")

    @rule(name=NAMES)
    def forget(self, name: str) -> None:
        self._do(self.table.forget, name)

    @rule(name=NAMES, node_ids=SERVICES_NODES, channels=CHANNELS, take=st.lists(st.sampled_from(TYPES), max_size=2))
    def register(self, name: str, node_ids: list[bytes], channels: list[BusChannel], take: list[int]) -> None:
        if self._is_here(name):
            self._do(self.table.register, name, Register(node_ids=node_ids, channels=channels, take=take))

    @rule(
        name=NAMES,
        node_ids=SERVICES_NODES,
        channel_ids=st.lists(st.sampled_from(CHANNEL_IDS)),
        take=st.lists(st.sampled_from(TYPES)),
    )
    def unregister(self, name: str, node_ids: list[bytes], channel_ids: list[bytes], take: list[int]) -> None:
        if self._is_here(name):
            asked = Unregister(node_ids=node_ids, channel_ids=channel_ids, take=take)
            self._do(self.table.unregister, name, asked)

    @rule(node_id=st.sampled_from(NODES), keep=st.booleans())
    def operator_keeps(self, node_id: bytes, keep: bool) -> None:
        self._do(self.staying.keep if keep else self.staying.let_go, node_id)

    @rule()
    def restart_connectd(self) -> None:
        self._hear()
        self.receivers.fresh_connectd()
        self._do(self.bus.news.fresh_connectd, self.table.features)

    @rule()
    def restart_gossipd(self) -> None:
        self._hear()
        self.receivers.fresh_gossipd()
        self._do(self.bus.news.fresh_gossipd, self.table.features)
        self._do(self.wanted.fresh_gossipd)

    @rule()
    def restart_connectiond(self) -> None:
        self._hear()
        self.receivers.fresh_connectiond()
        self._do(self.bus.control.ended)
        self.runner.run(self._started())

    async def _started(self) -> None:
        await self.bus.control.restart()
        await turn()

    def _hear(self) -> None:
        for channel in (self.bus.connectd, self.bus.gossipd, self.bus.puppet):
            for message in channel.take():
                self.receivers.hear(message)

    @invariant()
    def told_the_whole(self) -> None:
        self._hear()
        receivers, services = self.receivers, list(self.table)
        registered = {node_id for service in services for node_id in service.wanted_nodes}
        stay = {node for service in services if stays(service) for node in service.wanted_nodes}
        assert receivers.registered == registered
        assert set(self.staying.core.nodes) == stay | self.chosen
        assert receivers.wanted == registered | stay | self.chosen | {ALLOWED}
        for scid in range(5):
            assert receivers.channels.get(scid) == whole_local_channel(services, scid)
            assert (scid in receivers.local) == (scid in receivers.channels)
        self._connectiond_was_told([service for service in services if service.program is None])

    def _connectiond_was_told(self, services: list[Registered]) -> None:
        """All of it, in one word for each."""
        whole, told = ServiceRegistrations(), self.receivers.services
        if self.bus.starts:
            for service in services:
                channels = [(channel.channel_id, channel.node_id) for channel in service.channels.values()]
                whole.change(
                    control_wire.ChangeServiceRegistrations(
                        service.name, service.ticket, list(service.node_ids), channels, list(service.take)
                    )
                )
        for node_id in NODES:
            assert told.of_node(node_id) == whole.of_node(node_id)
            assert set(told.concerned(node_id)) == set(whole.concerned(node_id))
            for channel_id in CHANNEL_IDS:
                assert told.of_channel(node_id, channel_id) == whole.of_channel(node_id, channel_id)
        assert [told.of_type(number) for number in TYPES] == [whole.of_type(number) for number in TYPES]
        for service in services:
            assert told.ticket_is(service.name, service.ticket) == bool(service.ticket and self.bus.starts)

    def teardown(self) -> None:
        self.runner.close()


def stays(service: Registered) -> bool:
    return service.program is None and service.present


def whole_local_channel(services: list[Registered], scid: int) -> LocalChannel | None:
    """The newest of that short_channel_id, if a service says nonsense."""
    found = None
    for service in services:
        for channel in service.channels.values():
            if channel.short_channel_id == scid:
                found = LocalChannel(scid, channel.node_id, service.name)
    return found


def test_increments() -> None:
    run_state_machine_as_test(Increments, settings=settings(max_examples=40, stateful_step_count=25, deadline=None))
