"""Everything at once: peers that come, go, come again and open channels, while the RPC takes and ends them.

What happens is drawn from a seed; in which order it meets, nobody knows. So only this is asked: that each request is
answered, that nothing of ours breaks, and that nothing is left when all have gone.
"""

import asyncio
import contextlib
import random
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from tests.harness.moves import about_channel, opening
from tests.harness.node import Node, Nodes, RpcError
from tests.harness.waiting import until
from wire.frames import FrameError
from wire.noise import HandshakeError
from wire.secp256k1 import public_key

PROGRAM = Path(__file__).parent.parent / "harness" / "echo_service.py"
KEYS = [bytes([number]) * 32 for number in range(1, 11)]
REGISTERED = public_key(KEYS[0]).hex()
SEED, STEPS = 1, 10
SHUTDOWN, FAIL = about_channel(38), about_channel(136)
LOST = (PeerClosed, OSError, HandshakeError, FrameError, TimeoutError)
"""What a peer may meet whose connection is taken away at any moment."""


async def a_peer(node: Node, key: bytes, chance: random.Random) -> None:
    """Comes again and again; what it says is drawn."""
    for _ in range(STEPS):
        with contextlib.suppress(*LOST):
            async with await ScriptedPeer.connect(node.target, privkey=key, timeout=10) as peer:
                for _ in range(chance.randrange(6)):
                    await peer.say(chance.choice([opening(), SHUTDOWN, FAIL, opening(64), about_channel(34)]))
                    if chance.random() < 0.5:
                        await peer.sync(timeout=5)


async def a_client(node: Node, chance: random.Random) -> None:
    """Does things to peers that may be there."""
    for _ in range(STEPS * 3):
        node_id = public_key(chance.choice(KEYS)).hex()
        calls: list[tuple[str, dict[str, Any]]] = [
            ("takepeer", {"service": "echo", "id": node_id}),
            ("disconnect", {"id": node_id, "force": True}),
            ("disconnect", {"id": node_id}),
            ("connect", {"id": node_id}),
            ("sendcustommsg", {"node_id": node_id, "msg": "8001"}),
            ("listpeers", {}),
        ]
        method, params = chance.choice(calls)
        with contextlib.suppress(RpcError):
            await node.rpc(method, **params)


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_storm(nodes: Nodes) -> None:
    node = nodes.start(
        f"--service=echo={shlex.join([sys.executable, '-P', str(PROGRAM)])}",
        "--service=missing=/no/such/program",
        f"--take=echo=open_channel,channel_reestablish,{REGISTERED}",
        "--take=missing=open_channel2",
    )
    chance = random.Random(SEED)
    async with asyncio.timeout(240):
        await asyncio.gather(
            *(a_peer(node, key, random.Random(chance.random())) for key in KEYS),
            *(a_client(node, random.Random(chance.random())) for _ in range(3)),
        )
    await node.be_alone()

    async def only_daemons() -> bool:
        return set(node.pids()) == {"lightningd", "hsmd", "connectd", "gossipd", "listingd"}

    await until(only_daemons, "programs go on that have no connection")
