"""RPC about peer storage: what is kept, forgetting it, and a service's blob for its peers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.rpc.jsonrpc import RpcServer
from lightningd_py.rpc.methods.storage_commands import StorageCommands
from lightningd_py.rpc.params import RpcError
from lightningd_py.storage.kept import EXPIRES
from tests.lightningd_py.storage.storage_bench import QUOTA, StorageBench
from tests.lightningd_py.table import ID, NODE, OTHER


class Rpc:
    """The methods, called as a client does."""

    def __init__(self, bench: StorageBench) -> None:
        self.bench = bench
        self.server = RpcServer(StorageCommands(bench.storage).all())

    async def __call__(self, method: str, **params: object) -> Any:
        return await self.server.call(method, params)

    async def refused(self, method: str, **params: object) -> str:
        with pytest.raises(RpcError) as error:
            await self.server.call(method, params)
        return error.value.message


@pytest.fixture
async def rpc(tmp_path: Path) -> AsyncIterator[Rpc]:
    bench = StorageBench(tmp_path)
    yield Rpc(bench)
    bench.close()


async def test_listpeerstorage(rpc: Rpc) -> None:
    here, away = rpc.bench.connects(NODE), rpc.bench.connects(OTHER, 2)
    rpc.bench.stores(here, bytes(5_000))
    rpc.bench.stores(away, b"")
    rpc.bench.says(away, bytes.fromhex("0007ffff"))
    rpc.bench.now += 5
    rpc.bench.leaves(away)
    listed = await rpc("listpeerstorage")
    entries = {
        NODE: {"id": NODE.hex(), "size": 5_000, "stored": 1_000, "on_disk": False},
        OTHER: {"id": OTHER.hex(), "size": 0, "stored": 1_000, "on_disk": False, "expires": int(1_005 + EXPIRES)},
    }
    assert listed == {
        "mode": "all",
        "bytes": 5_000 + 4_096,
        "quota": QUOTA,
        "received": 2,
        "returned": 0,
        "refused": {"malformed": 1},
        "peerstorage": [entries[NODE], entries[OTHER]],
    }
    assert (await rpc("listpeerstorage", id=OTHER.hex()))["peerstorage"] == [entries[OTHER]]
    assert (await rpc("listpeerstorage", id=ID.hex()))["peerstorage"] == []


async def test_delpeerstorage(rpc: Rpc) -> None:
    rpc.bench.stores(rpc.bench.connects(NODE), b"blob")
    assert await rpc("delpeerstorage", id=NODE.hex()) == {}
    assert await rpc.refused("delpeerstorage", id=NODE.hex()) == "id: nothing is kept for this peer"
    assert (await rpc("listpeerstorage"))["peerstorage"] == []


async def test_storewithpeers(rpc: Rpc) -> None:
    rpc.bench.has_channel(NODE)
    rpc.bench.connects(NODE)
    assert await rpc("storewithpeers", service="s") == {"told": []}
    assert await rpc("storewithpeers", service="s", blob="cafe") == {"told": [NODE.hex()]}
    assert await rpc.refused("storewithpeers", service="x") == "service: there is no service 'x'"
    refusal = await rpc.refused("storewithpeers", service="s", blob="00" * 65_532)
    assert refusal == "blob: it has 65532 bytes, and 65531 are the most that a peer keeps"
