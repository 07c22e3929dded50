"""What connectd consists of, as soon as it has been told who we are."""

from connectd.arrivals import Arrivals
from connectd.connections import Connections
from connectd.doors.tor import OnionServices
from connectd.doors.websocket_door import WebSocketDoor
from connectd.hand_over import HandOver
from connectd.handshake import Handshake
from connectd.one_per_node import OnePerNode
from connectd.reach.addresses import AddressBook
from connectd.reach.dial import Dialler
from wire.control.access import Access
from wire.net.sockman.sockman import SockMan
from wire.start.late_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What exists after `connectd_init`."""

    connections: Connections
    access: Access
    handshake: Handshake
    websockets: WebSocketDoor | None
    onions: OnionServices
    one_per_node: OnePerNode
    book: AddressBook
    hand_over: HandOver
    arrivals: Arrivals
    dialler: Dialler
    use_dns: bool
    routable_only: bool
    """Addresses that no stranger could have are of no use to us: not so in tests."""

    @property
    def doors(self) -> list[SockMan]:
        """All that accepts strangers."""
        return [door for door in (self.connections, self.websockets) if door is not None]
