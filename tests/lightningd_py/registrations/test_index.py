"""The index that is kept up by increments, against one that is made from everything at once."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from lightningd_py.registrations.index import Index
from lightningd_py.registrations.registered import Refused
from tests.lightningd_py.table import ID, NODE, OTHER, PROGRAMS, Table
from wire.bus.bus_wire import BusChannel, Register, Unregister

NAMES = st.sampled_from(["a", "b", "c"])
NODES = st.sampled_from([ID, NODE, OTHER, PROGRAMS])
CHANNEL_IDS = st.sampled_from([bytes([letter]) * 32 for letter in b"cdefg"])
SCIDS = st.none() | st.integers(1, 3)
TYPES = st.lists(st.sampled_from([32, 33, 40_001]), max_size=2)
CHANNELS = st.lists(st.builds(BusChannel, CHANNEL_IDS, NODES, SCIDS), max_size=3)


def content(index: Index) -> dict[str, Any]:
    """All that can be asked, with the order where it matters."""
    return {
        "nodes": index.nodes,
        "channels": index.channels,
        "takers": index.takers,
        "scids": {scid: index.with_scid(scid) for scid in range(5)},
        "with channels": {node_id: index.with_channels(node_id) for node_id in (ID, NODE, OTHER, PROGRAMS)},
        "all nodes": set(index.all_nodes()),
        "nodes that are in it": {node_id for node_id in (ID, NODE, OTHER, PROGRAMS) if node_id in index},
        "newest": {scid: index.newest_with_scid(scid) for scid in range(5)},
        "all scids": set(index.scids),
    }


class Increments(RuleBasedStateMachine):
    """Services come, register, take back, go, and are forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.table = Table(Path(self.directory.name) / "database")

    def _try(self, name: str, *call: Any) -> None:
        service = self.table.named(name)
        if service is not None and service.ticket:
            try:
                call[0](name, *call[1:])
            except Refused:
                return

    @rule(name=NAMES)
    def arrive(self, name: str) -> None:
        service = self.table.named(name)
        if service is None or not service.ticket:
            self.table.arrive(name)

    @rule(name=NAMES)
    def leave(self, name: str) -> None:
        self._try(name, self.table.leave, "goodbye")

    @rule(name=NAMES)
    def forget(self, name: str) -> None:
        service = self.table.named(name)
        if service is not None and not service.ticket:
            self.table.forget(name)

    @rule(name=NAMES, node_ids=st.lists(NODES, max_size=2), channels=CHANNELS, take=TYPES)
    def register(self, name: str, node_ids: list[bytes], channels: list[BusChannel], take: list[int]) -> None:
        self._try(name, self.table.register, Register(node_ids=node_ids, channels=channels, take=take))

    @rule(name=NAMES, node_ids=st.lists(NODES), channel_ids=st.lists(CHANNEL_IDS), take=TYPES)
    def unregister(self, name: str, node_ids: list[bytes], channel_ids: list[bytes], take: list[int]) -> None:
        self._try(name, self.table.unregister, Unregister(node_ids=node_ids, channel_ids=channel_ids, take=take))

    @invariant()
    def as_if_made_from_everything(self) -> None:
        assert content(self.table._index) == content(Index(self.table))

    def teardown(self) -> None:
        self.table.database.close()
        self.directory.cleanup()


def test_increments() -> None:
    run_state_machine_as_test(Increments, settings=settings(max_examples=40, stateful_step_count=25, deadline=None))
