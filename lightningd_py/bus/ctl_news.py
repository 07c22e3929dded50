"""What services hear on CTL without asking: connections that come, move and go, and copies of what peers say."""

from collections import Counter

from lightningd_py.owners.ownership import Ownership
from lightningd_py.owners.peers import Peer
from lightningd_py.registrations.registrations import Registrations
from lightningd_py.storage.for_peers import StorageForPeers
from wire.bus import bus_wire
from wire.bus.bus_message import BusMessage
from wire.bus.bus_wire import BusPeer, OnionField
from wire.bus.sessions import MAX_QUEUED_BYTES, Session, Sessions
from wire.control import control_wire
from wire.control.status import Status

MAX_QUEUED_COPIES = 500
"""Messages in the queue of a service beyond which it gets no copies."""
MAX_QUEUED_COPY_BYTES = MAX_QUEUED_BYTES // 2
"""Bytes of them."""

status = Status("bus")


def shown(peer: Peer) -> BusPeer:
    """A connection as the buses show it."""
    info = peer.info
    return BusPeer(info.node_id, info.conn_id, peer.owner, info.address, info.incoming, info.features)


class CtlNews:
    """Who hears of connections, and how many copies each has lost."""

    def __init__(
        self, sessions: Sessions, ownership: Ownership, registrations: Registrations, storage: StorageForPeers
    ) -> None:
        self._sessions = sessions
        self._listening: set[str] = set()
        self._lost: Counter[str] = Counter()
        self._onions_lost: Counter[str] = Counter()
        ownership.came.append(self._came)
        ownership.moved.append(self._moved)
        ownership.went.append(self._went)
        registrations.copy_to = self._copy
        registrations.remote_update_to = self._remote_update
        registrations.msg_lost = self._msg_lost
        storage.ours.to_service = self._storage_given_back

    def tell(self, service: str) -> None:
        """A service hears of all connections from now on."""
        self._listening.add(service)

    def tell_no_more(self, service: str) -> None:
        """A service hears of them no more."""
        self._listening.discard(service)

    def forget(self, service: str) -> None:
        """Its session has ended."""
        self._listening.discard(service)
        del self._lost[service], self._onions_lost[service]

    def _came(self, peer: Peer) -> None:
        if self._listening:
            self._to_all(bus_wire.PeerConnected(shown(peer)))

    def _moved(self, peer: Peer) -> None:
        if self._listening:
            self._to_all(bus_wire.PeerOwner(peer.info.node_id, peer.info.conn_id, peer.owner))

    def _went(self, peer: Peer, reason: str) -> None:
        if self._listening:
            self._to_all(bus_wire.PeerDisconnected(peer.info.node_id, peer.info.conn_id, reason))

    def _to_all(self, event: BusMessage) -> None:
        """One that does not read is cut off when its queue is full: it would know less than it thinks."""
        for session in self._sessions:
            if session.service in self._listening:
                self._sessions.send(session, event)

    def _copy(self, service: str, copy: control_wire.PeerMessage) -> None:
        """What finds no room is lost, and the next one that does says how many."""
        session = self._sessions.named(service)
        if session is not None and self._has_room(session, self._lost, "copies"):
            lost = self._lost.pop(service, 0)
            about = (copy.node_id, copy.conn_id, copy.message_type, copy.channel_id)
            self._sessions.send(session, bus_wire.PeerMessage(*about, copy.message, lost))

    def onion(self, service: str, message: control_wire.OnionForUs) -> None:
        """An onion message that is for this service; one that finds no room is lost, likewise."""
        session = self._sessions.named(service)
        if session is not None and self._has_room(session, self._onions_lost, "onion messages"):
            fields = [OnionField(*each) for each in message.fields]
            own = message.service is not None
            about = (message.reply_path, message.path_key, own, message.context, self._onions_lost.pop(service, 0))
            self._sessions.send(session, bus_wire.OnionMessage(fields, *about))

    def _has_room(self, session: Session, lost: Counter[str], what: str) -> bool:
        """Whether the service reads; one more is lost if it does not."""
        if len(session.queue) < MAX_QUEUED_COPIES and session.queued < MAX_QUEUED_COPY_BYTES:
            return True
        lost[session.service] += 1
        if lost[session.service].bit_count() == 1:  # the 1st, 2nd, 4th, 8th ...
            status.unusual(f"service {session.service} takes no {what}: {lost[session.service]} are lost so far")
        return False

    def _storage_given_back(self, service: str, node_id: bytes, blob: bytes) -> None:
        session = self._sessions.named(service)
        if session is not None and self._has_room(session, self._lost, "copies"):
            self._sessions.send(session, bus_wire.PeerStorageRetrieval(node_id, blob))

    def _remote_update(self, service: str, update: control_wire.RemoteChannelUpdate) -> None:
        session = self._sessions.named(service)
        if session is not None:
            told = bus_wire.RemoteChannelUpdate(update.node_id, update.short_channel_id, update.channel_update)
            self._sessions.send(session, told)

    def _msg_lost(self, service: str) -> None:
        session = self._sessions.named(service)
        if session is not None:
            self._sessions.send(session, bus_wire.Error("connectiond has died: say hello on MSG again"))
