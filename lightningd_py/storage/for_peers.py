"""Peer storage: what the node does about the blobs of its peers, on the loop.

An owner passes copies of peer_storage up; the newest blob of a peer is kept (`kept.py`), waits (`pending.py`) and is
written (`writing.py`). A node whose blob is kept is not on the direct path: its connection comes to the master first,
which encrypts peer_storage_retrieval behind our init before any owner has the connection (B1-41). What our services
keep with peers is in `ours.py`.
"""

import asyncio
import contextlib
import importlib
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import field
from pathlib import Path

from lightningd_py.errors import DatabaseError
from lightningd_py.owners.ownership import MASTER, Ownership
from lightningd_py.owners.peers import Peer
from lightningd_py.owners.teller import Teller
from lightningd_py.storage.file import FILE_NAME, BlobFile
from lightningd_py.storage.kept import NONE, Kept, KeptTable, Refusal
from lightningd_py.storage.ours import FEATURE, OurBackups, OursLeft
from lightningd_py.storage.writing import Writing
from wire.address import network_group
from wire.control.control_wire import PeerInfo
from wire.control.status import Status
from wire.crypto_state import PeerState
from wire.cursor import WireError
from wire.features import Features, feature_bit
from wire.peer_wire import PeerStorage, PeerStorageRetrieval, decode
from wire.start.late_dataclass import dataclass

HOUR = 3_600.0
CIPHER = "wire.frames"
"""Imported in a thread when the first blob is kept: most nodes keep none."""

status = Status("storage")


@dataclass(frozen=True, slots=True)
class StorageLeft:
    """For the next program of this process. `pending`: (node_id, blob, seconds until it is to be written), and what the
    table says of it: (size, stored, since, network).
    """

    pending: list[tuple[bytes, bytes, float]] = field(default_factory=list, repr=False)
    kept: list[tuple[bytes, Kept]] = field(default_factory=list)
    ours: OursLeft = field(default_factory=OursLeft)


class StorageForPeers:
    """All of it."""

    def __init__(
        self,
        mode: str,
        quota: int,
        directory: Path,
        ownership: Ownership,
        teller: Teller,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`quota` in bytes, `clock`: unix seconds. A file that cannot be used is said, and nothing is kept then."""
        self._ownership = ownership
        self._registrations = ownership.registrations
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        file = _open(mode, directory / FILE_NAME)
        self.table = KeptTable(NONE if file is None else mode, quota, self._has_channel)
        self.writing = None if file is None else Writing(file, self.table.kept)
        self._teller = teller
        self.ours = OurBackups(ownership, teller)
        self.kept_changed: Callable[[Iterable[bytes]], None] = lambda node_ids: None
        """Gets nodes whose blob is kept now, or no more."""
        self.routes_changed: Callable[[], None] = lambda: None
        """Called when copies of other messages are wanted."""
        self.refused: Counter[Refusal] = Counter()
        self.received = self.returned = 0
        self._connected: Counter[bytes] = Counter()
        self._expiry: asyncio.TimerHandle | None = None
        self._cipher: asyncio.Future[object] | None = None
        for node_id, kept in file.kept.items() if file is not None else ():
            self.table.add(node_id, kept)
        if file is None and mode != NONE:
            self._offer_nothing()
        ownership.hears |= {PeerStorage.number: self._store, PeerStorageRetrieval.number: self._given_back}
        self._set_routes()

    def _has_channel(self, node_id: bytes) -> bool:
        return bool(self._registrations.with_channels(node_id))

    def _offer_nothing(self) -> None:
        bits = self._registrations.base_features.bits()
        self._registrations.base_features = Features.of(bit for bit in bits if bit & ~1 != feature_bit(FEATURE))

    def begin(self, left: StorageLeft | None) -> None:
        """Registrations and connections are known from here on. `left`: by the program before us, if there was one."""
        if left is not None:
            self._resume(left)
        self._connected.update(peer.info.node_id for peer in self._ownership.peers)
        self._ownership.came.append(self._came)
        self._ownership.went.append(self._went)
        self._ownership.greet = self._greet
        self._look(self.table.kept)
        self._expire()
        if self.table.kept:
            self._load_cipher()

    def _resume(self, left: StorageLeft) -> None:
        if self.writing is not None:
            for node_id, kept in left.kept:
                self.table.drop(node_id)
                self.table.add(node_id, kept)
            self.writing.resume(left.pending)
        self.ours.resume(left.ours)
        self._set_routes()

    @property
    def is_ours(self) -> bool:
        """Whether the node itself keeps blobs now: a service that is here and offers the feature does it instead."""
        services = (each for each in self._registrations if each.here)
        return self.writing is not None and not any(_offers(each.offer) for each in services)

    def is_waiting(self, node_id: bytes) -> bool:
        """Whether its newest blob is not written yet."""
        return self.writing is not None and self.writing.pending.get(node_id) is not None

    @property
    def waiting_bytes(self) -> int:
        """Of blobs that are not written yet."""
        return 0 if self.writing is None else self.writing.pending.size

    # what peers say

    def _store(self, peer: Peer, message: bytes) -> None:
        """A peer_storage."""
        if self.is_ours:
            self._keep(peer, _blob(message))

    def _given_back(self, peer: Peer, message: bytes) -> None:
        """A peer_storage_retrieval."""
        if (blob := _blob(message)) is not None:
            self.ours.given_back(peer.info.node_id, blob)

    def _keep(self, peer: Peer, blob: bytes | None) -> None:
        assert self.writing is not None
        node_id, network = peer.info.node_id, network_group(peer.info.address)
        if blob is None:
            self._refuse(peer, Refusal.MALFORMED)
            return
        if not self.writing.pending.has_room(node_id, len(blob)):
            self._refuse(peer, Refusal.DISK)
            return
        is_new = node_id not in self.table.kept
        refusal, gone = self.table.put(node_id, len(blob), network, self._clock())
        if refusal is not None:
            self._refuse(peer, refusal)
            return
        self.received += 1
        self._forget(gone)
        self.writing.put(node_id, blob)
        if is_new:
            self._load_cipher()
            self.kept_changed([node_id])

    def _refuse(self, peer: Peer, refusal: Refusal) -> None:
        """Peers without a channel are no news in mode `channels`."""
        self.refused[refusal] += 1
        text = f"its peer_storage is not kept: {refusal.value}"
        if refusal is Refusal.NO_CHANNEL:
            status.debug(text, peer.info.node_id)
        else:
            status.by_stranger("storage", text, peer.info.node_id, peer.info.address)

    # connections

    def _greet(self, info: PeerInfo, state: PeerState) -> PeerState:
        """The state of a connection that is fresh from INIT, with what its peer is to be told before anything else."""
        message = self._retrieval(info.node_id)
        if message is None:
            return state
        from wire.frames import Frames  # with its cipher: loaded by now

        frames = Frames(state.crypto, state.unread, state.traffic)
        told = frames.export(state.unsent + frames.encrypt(message))
        told.gossip, told.read_at_ns = state.gossip, state.read_at_ns
        return told

    def _retrieval(self, node_id: bytes) -> bytes | None:
        if node_id not in self.table.kept or self.writing is None or not self.is_ours:
            return None
        blob = self.writing.read(node_id)
        if blob is None:
            return None
        self.returned += 1
        return PeerStorageRetrieval(blob).encode()

    def _came(self, peer: Peer) -> None:
        """On the direct path only if connectd had not heard yet that a blob is kept: then it is said a moment later."""
        node_id = peer.info.node_id
        self._connected[node_id] += 1
        self._look([node_id])
        if peer.owner != MASTER and (message := self._retrieval(node_id)) is not None:
            self._teller.say(peer, message)
        self._loop.call_soon(self.ours.offer, node_id)  # it has an owner then

    def _went(self, peer: Peer, reason: str) -> None:
        node_id = peer.info.node_id
        self._connected[node_id] -= 1
        if not self._connected[node_id]:
            del self._connected[node_id]
        self._look([node_id])

    def nodes_changed(self, node_ids: Iterable[bytes]) -> None:
        """What services have registered of these may be different."""
        looked_at = list(node_ids)
        self._look(looked_at)
        self.ours.nodes_changed(looked_at)
        self._set_routes()

    def _look(self, node_ids: Iterable[bytes]) -> None:
        now, here = self._clock(), self._connected
        changed = [node_id for node_id in node_ids if self.table.look(node_id, now, connected=node_id in here)]
        if changed and self.writing is not None:
            self.writing.change(changed)

    # for services

    def store_with_peers(self, service: str, blob: bytes | None) -> list[bytes]:
        """A service's blob, for its peers; with none it only wants to hear what they give back. The nodes that get it
        now. Raises ValueError: which of the two is wrong, and how.
        """
        registered = self._registrations.named(service)
        if registered is None:
            raise ValueError(f"service: there is no service '{service}'")
        told = self.ours.store(registered, blob)
        self._set_routes()
        return told

    def _set_routes(self) -> None:
        wanted = {PeerStorage.number} if self.writing is not None else set()
        wanted |= {PeerStorageRetrieval.number} if self.ours.asked else set()
        copies = self._registrations.own_copies - {PeerStorage.number, PeerStorageRetrieval.number} | wanted
        if copies != self._registrations.own_copies:
            self._registrations.own_copies = copies
            self.routes_changed()

    # for operators

    def delete(self, node_id: bytes) -> bool:
        """Forget what is kept of a node; False if there is nothing."""
        if not self.table.drop(node_id):
            return False
        self._forget([node_id])
        return True

    def _forget(self, node_ids: list[bytes]) -> None:
        """They are not in the table any more."""
        if node_ids and self.writing is not None:
            self.writing.forget(node_ids)
            self.kept_changed(node_ids)

    def _expire(self) -> None:
        self._expiry = self._loop.call_later(HOUR, self._expire)
        self._forget(self.table.expired(self._clock()))

    # the end

    def leave(self) -> StorageLeft:
        """What is not in the file, for the next program of this process."""
        if self.writing is None:
            return StorageLeft(ours=self.ours.leave())
        pending = self.writing.pending.leave(self._loop.time())
        kept = [(node_id, self.table.kept[node_id]) for node_id, _, _ in pending]
        return StorageLeft(pending, kept, self.ours.leave())

    def close(self, *, moved: bool = False) -> None:
        """Write all that waits, unless it has `moved` to the next program of this process, and end."""
        if self._expiry is not None:
            self._expiry.cancel()
        self.ours.close()
        if self.writing is not None:
            self.writing.close(moved=moved)

    def _load_cipher(self) -> None:
        if self._cipher is None:
            self._cipher = self._loop.run_in_executor(None, importlib.import_module, CIPHER)


def _open(mode: str, path: Path) -> BlobFile | None:
    """None if nothing is to be kept, or cannot be."""
    if mode == NONE:
        return None
    try:
        return BlobFile(path)
    except DatabaseError as error:
        status.unusual(f"{error}; the node runs on, and keeps no backups of peers")
        return None


def _blob(message: bytes) -> bytes | None:
    """What a peer_storage or a peer_storage_retrieval holds; None for what is neither: a program may say anything."""
    with contextlib.suppress(WireError):
        decoded = decode(message)
        assert isinstance(decoded, PeerStorage | PeerStorageRetrieval)
        return decoded.blob
    return None


def _offers(features: Iterable[str]) -> bool:
    return any(name.startswith(f"{FEATURE}/") for name in features)
