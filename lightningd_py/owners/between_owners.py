"""A connection in the master's hands, between two owners: for the length of one step."""

import os
from dataclasses import dataclass

from wire.control.control_message import Fd
from wire.control.control_wire import GossipState
from wire.frames import PeerState


@dataclass(slots=True)
class Held:
    """What moves. While it is here nobody answers the peer's pings."""

    state: PeerState
    peer_fd: Fd
    gossip_fd: Fd | None
    gossip_state: GossipState | None = None

    def close(self) -> None:
        """End it."""
        os.close(self.peer_fd)
        if self.gossip_fd is not None:
            os.close(self.gossip_fd)
