"""JSON-RPC methods about peer storage: what is kept for peers, and what they keep for us. CLN has none of these."""

from typing import Any

from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.params import INVALID_PARAMETERS, RpcError, hex_bytes, node_id, optional, required, text
from lightningd_py.storage.for_peers import StorageForPeers
from lightningd_py.storage.kept import EXPIRES, Kept, Refusal


class StorageCommands:
    """The methods of one node."""

    def __init__(self, storage: StorageForPeers) -> None:
        self._storage = storage

    def all(self) -> list[Command]:
        """For `Commands`."""
        return [
            Command(
                "listpeerstorage",
                self.listpeerstorage,
                (optional("id", node_id, "this peer's alone"),),
                "Show the backups that are kept for peers, and how many were refused.",
            ),
            Command(
                "delpeerstorage",
                self.delpeerstorage,
                (required("id", node_id, "whose"),),
                "Forget the backup that is kept for a peer.",
            ),
            Command(
                "storewithpeers",
                self.storewithpeers,
                (
                    required("service", text, "whose channels say which peers"),
                    optional("blob", hex_bytes, "at most 65531 bytes, in hex; none: only hear what peers give back"),
                ),
                "Have a service's backup kept by its peers that offer option_provide_storage.",
            ),
        ]

    async def listpeerstorage(self, id: bytes | None) -> dict[str, Any]:
        """`bytes`: what all count towards the quota. `expires` is there for a backup that is of no use now."""
        storage, table = self._storage, self._storage.table
        chosen = table.kept if id is None else {each: table.kept[each] for each in [id] if each in table.kept}
        return {
            "mode": table.mode,
            "bytes": table.bytes,
            "quota": table.quota,
            "received": storage.received,
            "returned": storage.returned,
            "refused": {each.value: storage.refused[each] for each in Refusal if storage.refused[each]},
            "peerstorage": [_entry_json(each, kept, storage.is_waiting(each)) for each, kept in chosen.items()],
        }

    async def delpeerstorage(self, id: bytes) -> dict[str, Any]:
        """The peer is not told: it may send another one."""
        if not self._storage.delete(id):
            raise RpcError(INVALID_PARAMETERS, "id: nothing is kept for this peer")
        return {}

    async def storewithpeers(self, service: str, blob: bytes | None) -> dict[str, Any]:
        """`told`: the connected peers that get it now."""
        try:
            told = self._storage.store_with_peers(service, blob)
        except ValueError as error:
            raise RpcError(INVALID_PARAMETERS, str(error)) from error
        return {"told": [each.hex() for each in told]}


def _entry_json(node_id: bytes, kept: Kept, is_waiting: bool) -> dict[str, Any]:
    """Times in unix seconds."""
    shown = {"id": node_id.hex(), "size": kept.size, "stored": int(kept.stored), "on_disk": not is_waiting}
    return shown if kept.since is None else shown | {"expires": int(kept.since + EXPIRES)}
