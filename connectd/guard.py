"""The bans and rules that the master has sent last, asked at each step at which a stranger is better known."""

import time

from wire.access import Access, Rule
from wire.address import WireAddr
from wire.control_wire import SetAccess


class Guard:
    """Each question is answered by the reason why somebody is refused, or None."""

    def __init__(self) -> None:
        self._access = Access()

    def obey(self, message: SetAccess) -> None:
        """Put these rules in force."""
        self._access = Access([Rule(*rule) for rule in message.allow], [Rule(*rule) for rule in message.deny])

    def refuses_address(self, address: WireAddr) -> str | None:
        """Before Noise."""
        return self._access.refuses_address(address, time.time())

    def refuses_node(self, address: WireAddr, node_id: bytes) -> str | None:
        """After act three, and before a node is dialled."""
        return self._access.refuses_node(address, node_id, time.time())

    def refuses_features(self, address: WireAddr, node_id: bytes, features: bytes) -> str | None:
        """After INIT."""
        return self._access.refuses_features(address, node_id, features, time.time())
