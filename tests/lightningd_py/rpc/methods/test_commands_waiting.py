"""Methods that wait, and those that are there because CLN has them."""

import asyncio

from tests.lightningd_py.bus_services import turn
from tests.lightningd_py.rpc_methods import Rpc


async def test_waitblockheight(rpc: Rpc) -> None:
    rpc.blockheight = 5
    assert await rpc("waitblockheight", blockheight=5) == {"blockheight": 5}
    waiting = asyncio.ensure_future(rpc("waitblockheight", blockheight=7))
    await turn()
    for rpc.blockheight in (6, 7):
        assert not waiting.done()
        rpc.blocks.grown(rpc.blockheight)
        await turn()
    assert await waiting == {"blockheight": 7}
    assert await rpc.code("waitblockheight", blockheight=8, timeout=0) == (2000, "Timed out.")


async def test_what_only_cln_has(rpc: Rpc) -> None:
    assert await rpc("batching", enable=True) == {}
    assert await rpc("listaddresses") == {"addresses": []}


async def test_every_parameter_says_what_it_is(rpc: Rpc) -> None:
    for command in rpc.server.commands:
        shown = (await rpc("help", command=command.name))["help"][0]["parameters"]
        assert [parameter["name"] for parameter in shown] == [parameter.name for parameter in command.parameters]
        assert all(parameter["description"] for parameter in shown), command.name
