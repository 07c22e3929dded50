"""Tells daemons and programs what services have registered, whenever that changes: each what is different for it.

Of thousands of nodes and channels only those are looked at that a change is about; all of them for a fresh daemon.
"""

from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from lightningd_py.daemons.connectiond_control import ConnectiondControl
from lightningd_py.owners.ownership import Ownership, tell
from lightningd_py.peers.access_control import AccessControl
from lightningd_py.registrations.changed import Changed
from lightningd_py.registrations.registrations import Registrations
from wire.bus.told import Told
from wire.control.control_wire import (
    ChangeLocalChannels,
    ChangeNodeRegistrations,
    FeaturesChanged,
    LocalChannel,
    SetFeatures,
    SetMessageRoutes,
)
from wire.features import Features

T = TypeVar("T")


class RegistrationNews:
    """What each of them has been told."""

    def __init__(
        self,
        ownership: Ownership,
        connectiond: ConnectiondControl,
        access: AccessControl,
        nodes_changed: Callable[[Iterable[bytes]], None],
        kept: Collection[bytes] = (),
    ) -> None:
        """`nodes_changed` gets nodes: whether they are registered, or to stay connected, may be different. `kept`:
        those whose peer storage is kept at any moment, whose connections come to the master first, too.

        connectd and gossipd have been told the features of this moment, and `access` is in force.
        """
        self._ownership = ownership
        self._connectiond = connectiond
        self._access = access
        self._nodes_changed = nodes_changed
        self._kept = kept
        table: Registrations = ownership.registrations
        self._table = table
        self._told: dict[str, object] = {"features": table.features, "rules": table.rules(), "routes": []}
        self._nodes: Told[bytes, bool] = Told()
        self._local: Told[int, LocalChannel] = Told()

    def begin(self) -> None:
        """Tell what is registered already, by programs and by services that are away."""
        self.tell_nodes([*self._table.node_ids, *self._kept])
        self._tell_local(self._table.local_scids)
        self._tell_features()
        self.tell_routes()
        self._nodes_changed(self._table.node_ids)

    def fresh_gossipd(self, features: Features) -> None:
        """gossipd was restarted, with these features, and knows nothing else."""
        self._told |= {"features": features, "routes": []}
        self._local.forget()
        self._tell_local(self._table.local_scids)
        self._tell_features()
        self.tell_routes()

    def fresh_connectd(self, features: Features) -> None:
        """The same for connectd; the rules are in force."""
        self._told["features"] = features
        self._nodes.forget()
        self.tell_nodes([*self._table.node_ids, *self._kept])
        self._tell_features()

    def offer_changed(self) -> None:
        """The node itself offers, or hears, something else."""
        self._tell_features()
        self.tell_routes()

    def changed(self, changed: Changed) -> None:
        """Something is different for a service, or for all because of it."""
        if changed.service.ticket:
            self._connectiond.start()
        self.tell_nodes(changed.node_ids)
        self._tell_local(changed.scids)
        if changed.offer:
            self._tell_features()
        if changed.routes:
            self.tell_routes()
        if changed.rules and self._is_new("rules", self._table.rules()):
            self._access.put_in_force()
        self._nodes_changed(changed.node_ids)
        self._connectiond.tell_service(changed)

    def tell_nodes(self, node_ids: Iterable[bytes]) -> None:
        """Whether these may be on the direct path may be different."""

        def is_ours(node_id: bytes) -> bool | None:
            return self._table.is_registered(node_id) or node_id in self._kept or None

        added, removed = self._nodes.news(node_ids, is_ours)
        if added or removed:
            tell(self._ownership.connectd, ChangeNodeRegistrations(list(added), removed))

    def _tell_local(self, scids: Iterable[int]) -> None:
        added, removed = self._local.news(scids, self._table.local_channel)
        if added or removed:
            tell(self._ownership.gossipd, ChangeLocalChannels(list(added.values()), removed))

    def _tell_features(self) -> None:
        if self._is_new("features", features := self._table.features):
            tell(self._ownership.connectd, SetFeatures(features.to_bytes()))
            tell(self._ownership.gossipd, FeaturesChanged(features.to_bytes()))

    def tell_routes(self) -> None:
        """What is done with a message type may be different."""
        if self._is_new("routes", routes := self._table.routes()):
            tell(self._ownership.gossipd, SetMessageRoutes(routes))
            self._connectiond.tell_routes(routes)
            for program in self._ownership.programs.channels():
                tell(program, SetMessageRoutes(routes))

    def _is_new(self, what: str, value: T) -> bool:
        before, self._told[what] = self._told[what], value
        return before != value
