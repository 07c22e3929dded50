"""Blobs of our services, which peers are to keep: `store_with_peers`, and what the peers give back.

A blob goes to each peer that offers option_provide_storage and has a channel with the service (a program's: whose
connection the program has), once, and again when it has changed: now or at the next connection, at most once a minute
for a peer. What a peer gives back goes to the services that have asked: to those with a channel with it if there are
any, else to all, for a service that has lost everything does not know its channels. docs/peer-storage.md.
"""

import asyncio
import math
from collections.abc import Callable, Iterable
from dataclasses import field
from functools import partial
from hashlib import sha256

from lightningd_py.owners.ownership import Ownership
from lightningd_py.owners.peers import Peer
from lightningd_py.owners.teller import Teller
from lightningd_py.registrations.registered import Registered
from wire.features import Features
from wire.peer_wire import PeerStorage
from wire.start.late_dataclass import dataclass

MINUTE = 60.0
MOST_BYTES = 65_531
FEATURE = "option_provide_storage"


@dataclass(frozen=True, slots=True)
class OursLeft:
    """For the next program of this process. `blobs` by service; `told`: (node_id, SHA256 of its blob, seconds ago)."""

    blobs: list[tuple[str, bytes]] = field(default_factory=list, repr=False)
    asked: list[str] = field(default_factory=list)
    told: list[tuple[bytes, bytes, float]] = field(default_factory=list)


class OurBackups:
    """The blobs, by service. `to_service` gets (service, node_id, blob) for each that a peer gives back."""

    def __init__(self, ownership: Ownership, teller: Teller) -> None:
        self._ownership = ownership
        self._registrations = ownership.registrations
        self._teller = teller
        self._blobs: dict[str, bytes] = {}
        self.asked: dict[str, None] = {}
        """Services that want to hear what peers give back."""
        self._told: dict[bytes, tuple[bytes, float]] = {}
        """What a node was told last, of those with a channel, and when."""
        self._later: dict[bytes, asyncio.TimerHandle] = {}
        self._loop = asyncio.get_running_loop()
        self.to_service: Callable[[str, bytes, bytes], None] = lambda service, node_id, blob: None

    def store(self, service: Registered, blob: bytes | None) -> list[bytes]:
        """A service asks; with a blob it is to be kept by its peers. The nodes that get it now.

        Raises ValueError for one that is too long.
        """
        if blob is not None and len(blob) > MOST_BYTES:
            raise ValueError(f"blob: it has {len(blob)} bytes, and {MOST_BYTES} are the most that a peer keeps")
        self.asked[service.name] = None
        if blob is None:
            return []
        self._blobs[service.name] = blob
        owned = (peer.info.node_id for peer in self._ownership.peers.owned_by(service.name))
        node_ids = dict.fromkeys([*service.wanted_nodes, *owned])
        return [node_id for node_id in node_ids if self.offer(node_id)]

    def forget_services(self) -> None:
        """Those that are no more have no blob."""
        for name in [name for name in self.asked if self._registrations.named(name) is None]:
            del self.asked[name]
            self._blobs.pop(name, None)

    def nodes_changed(self, node_ids: Iterable[bytes]) -> None:
        """These may have channels with other services than before."""
        self.forget_services()
        for node_id in node_ids if self._blobs else ():
            self.offer(node_id)

    def offer(self, node_id: bytes) -> bool:
        """Tell the node the blob that it is to keep, if it has not got it: whether that is done now."""
        if not self._blobs or (peer := self._ownership.peers.of_node(node_id)) is None:
            return False
        blob = self._blob_for(peer)
        if blob is None or not Features(peer.info.features).offers(FEATURE):
            return False
        now, digest = self._loop.time(), sha256(blob).digest()
        told, at = self._told.get(node_id, (b"", -math.inf))
        if told == digest or node_id in self._later:
            return False
        if now - at < MINUTE:
            self._offer_later(node_id, at + MINUTE)
            return False
        self._told[node_id] = digest, now
        self._teller.say(peer, PeerStorage(blob).encode(), partial(self._said, node_id))
        return True

    def _offer_later(self, node_id: bytes, at: float) -> None:
        self._later[node_id] = self._loop.call_at(at, self._offer_again, node_id)

    def _offer_again(self, node_id: bytes) -> None:
        self._later.pop(node_id, None)
        self.offer(node_id)

    def _said(self, node_id: bytes, told: bool) -> None:
        """Otherwise the next connection is the next try; or in a minute, for a peer that does not read now."""
        if told:
            return
        self._told[node_id] = b"", self._loop.time()
        if node_id not in self._later:
            self._offer_later(node_id, self._loop.time() + MINUTE)

    def _blob_for(self, peer: Peer) -> bytes | None:
        """Of the first service that has a channel with it, or of the program that has its connection."""
        names = [service.name for service in self._registrations.with_channels(peer.info.node_id)]
        return next((self._blobs[name] for name in (*names, peer.owner) if name in self._blobs), None)

    def given_back(self, node_id: bytes, blob: bytes) -> None:
        """A peer says what it has kept for us; unasked, if no service wants to hear it: then nothing comes of it."""
        names = [service.name for service in self._registrations.with_channels(node_id) if service.name in self.asked]
        for name in names or self.asked:
            self.to_service(name, node_id, blob)

    def leave(self) -> OursLeft:
        """All of it."""
        now = self._loop.time()
        told = [(node_id, digest, now - at) for node_id, (digest, at) in self._told.items()]
        return OursLeft(list(self._blobs.items()), list(self.asked), told)

    def resume(self, left: OursLeft) -> None:
        """Go on with what the program before us has left."""
        now = self._loop.time()
        self._blobs, self.asked = dict(left.blobs), dict.fromkeys(left.asked)
        self._told = {node_id: (digest, now - ago) for node_id, digest, ago in left.told}

    def close(self) -> None:
        """Tell no one any more."""
        for timer in self._later.values():
            timer.cancel()
