"""Tells daemons and programs what services have registered, whenever that changes: each what is different for it."""

from collections.abc import Callable
from typing import TypeVar

from lightningd_py.daemons.connectiond_control import ConnectiondControl
from lightningd_py.owners.ownership import Ownership, tell
from lightningd_py.peers.access_control import AccessControl
from lightningd_py.registrations.registered import Registered
from lightningd_py.registrations.registrations import Registrations
from wire.control.control_wire import (
    FeaturesChanged,
    LocalChannels,
    SetFeatures,
    SetMessageRoutes,
    SetNodeRegistrations,
)
from wire.features import Features

T = TypeVar("T")


class RegistrationNews:
    """What each of them has been told last."""

    def __init__(
        self,
        ownership: Ownership,
        connectiond: ConnectiondControl,
        access: AccessControl,
        nodes_changed: Callable[[list[bytes]], None],
    ) -> None:
        """`nodes_changed` gets the nodes of bus services that take connections now: they are to stay connected.

        connectd and gossipd have been told the features of this moment, and `access` is in force.
        """
        self._ownership = ownership
        self._connectiond = connectiond
        self._access = access
        self._nodes_changed = nodes_changed
        table: Registrations = ownership.registrations
        self._table = table
        self._told: dict[str, object] = {"features": table.features, "rules": table.rules(), "routes": [], "local": []}

    def begin(self) -> None:
        """Tell what is registered already, by programs and by services that are away."""
        self._tell_all()

    def fresh_gossipd(self, features: Features) -> None:
        """gossipd was restarted, with these features, and knows nothing else."""
        self._told |= {"features": features, "routes": [], "local": []}
        self._tell_all()

    def fresh_connectd(self, features: Features) -> None:
        """The same for connectd; the rules are in force."""
        self._told |= {"features": features, "nodes": None}
        self._tell_all()

    def changed(self, service: Registered) -> None:
        """Something is different for this service, or for all because of it."""
        if service.ticket:
            self._connectiond.start()
        self._tell_all()
        self._connectiond.tell_service(service)

    def _tell_all(self) -> None:
        table = self._table
        self._if_new("nodes", table.node_ids, lambda nodes: tell(self._ownership.connectd, SetNodeRegistrations(nodes)))
        self._if_new("features", table.features, lambda features: self._tell_features(features.to_bytes()))
        self._if_new("routes", table.routes(), self._tell_routes)
        self._if_new("local", table.local_channels(), lambda local: tell(self._ownership.gossipd, LocalChannels(local)))
        self._if_new("rules", table.rules(), lambda rules: self._access.put_in_force())
        kept = [
            node_id
            for service in table
            if service.program is None and service.present
            for node_id in service.wanted_nodes
        ]
        self._if_new("kept", (kept, table.node_ids), lambda both: self._nodes_changed(both[0]))

    def _if_new(self, what: str, value: T, say: Callable[[T], None]) -> None:
        if self._told.get(what) != value:
            self._told[what] = value
            say(value)

    def _tell_features(self, features: bytes) -> None:
        tell(self._ownership.connectd, SetFeatures(features))
        tell(self._ownership.gossipd, FeaturesChanged(features))

    def _tell_routes(self, routes: list[tuple[int, str]]) -> None:
        tell(self._ownership.gossipd, SetMessageRoutes(routes))
        self._connectiond.tell_routes(routes)
        for program in self._ownership.programs.channels():
            tell(program, SetMessageRoutes(routes))
