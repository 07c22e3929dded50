"""This node as others see it: id, alias, color and features, where it listens, and where it can be reached."""

from collections.abc import Iterable

from lightningd_py.config.options import Options
from lightningd_py.database import Database
from lightningd_py.peers.own_address import Discovery
from lightningd_py.registrations.registrations import Registrations
from wire.address import DEFAULT_PORTS, WireAddr
from wire.control.control_wire import PeerInfo
from wire.control.status import Status
from wire.features import Features

status = Status("lightningd")


class OwnNode:
    """What init, node_announcement and getinfo say. `node_id` is the 33-byte compressed key."""

    def __init__(self, options: Options, registrations: Registrations, database: Database, node_id: bytes) -> None:
        self.node_id = node_id
        self.bindings: list[str] = []
        """Where connectd listens."""
        self.announced: list[str] = []
        """What the operator has said of where we can be reached, and onion services that connectd has made."""
        self._options = options
        self._registrations = registrations
        self._database = database
        self._discovery = Discovery(
            options.announce_addr_discovered_port or DEFAULT_PORTS[options.network],
            database.discovered(),
            any_address=options.dev_allow_localhost,
        )

    @property
    def features(self) -> Features:
        """What init and node_announcement say now."""
        return self._registrations.features

    @property
    def alias(self) -> str:
        """The name that the operator chose, or one made of the id."""
        return self._options.alias or f"lightningd-py-{self.node_id.hex()[:8]}"

    @property
    def color(self) -> bytes:
        """Red, green, blue: chosen, or the first bytes of the id, as CLN does."""
        return self._options.rgb or self.node_id[:3]

    @property
    def addresses(self) -> list[str]:
        """Where the world can reach us: what the operator has said, and what peers have told us."""
        when = self._options.announce_addr_discovered
        wanted = when == "true" or (when == "auto" and not self.announced)
        if self._options.always_use_proxy:  # what peers see is the proxy's, or a Tor exit's
            wanted = False
        found = self._discovery.agreed if wanted else []
        return self.announced + [address for address in found if address not in self.announced]

    def listens(self, bindings: list[str], announceable: list[str]) -> None:
        """connectd has bound these. An onion service ends with the connectd that has made it."""
        kept = [address for address in self.announced if ".onion" not in address]
        self.bindings, self.announced = bindings, list(dict.fromkeys([*kept, *announceable]))

    def announce(self, before: Iterable[WireAddr]) -> None:
        """The operator says something else than `before`: what connectd has found besides stays."""
        found = [address for address in self.announced if address not in {str(each) for each in before}]
        said = [str(address) for address in self._options.announce_addr]
        self.announced = list(dict.fromkeys([*said, *found]))

    def heard(self, peer: PeerInfo) -> bool:
        """A peer has said in its init where it sees us. True if `addresses` has changed by that."""
        if peer.remote_addr is None:
            return False
        before = self.addresses
        self._discovery.heard(peer)
        after = self.addresses
        if after == before:
            return False
        status.info(f"peers see us at {', '.join(after[len(self.announced) :])}")
        self._database.remember_discovered(self._discovery.agreed)
        return True
