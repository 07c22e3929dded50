"""connectiond alone between LDK and a bus client in Python (pyzmq and msgpack), who dials whom, in both modes.

LDK says open_channel, which has a long way: its socket, connectiond's process or thread for it, connectiond, the MSG
bus, the client. The refusal goes back, LDK's channel has failed with the client's words, and the connection lives on.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.harness.bus_client import BusService
from tests.harness.connectionds import Connectiond, Connectionds
from tests.interop.conftest import pins
from tests.interop.ldks import PACKAGE, Ldk
from tests.interop.test_pyln_proto import CUSTOM as PYLN_CUSTOM
from tests.interop.test_pyln_proto import OUR_INIT as PYLN_INIT
from tests.interop.test_pyln_proto import PONG, ping
from wire.peer_wire import ErrorMessage, channel_id_of

MODES = {"processes": (), "threads": ("--threaded",)}
OPEN_CHANNEL = 32
ROUNDS = 7
"""LDK pings before each, and hangs up when more than four pongs are missing."""
REFUSAL = "this service opens no channels"
CUSTOM = bytes.fromhex("9c41") + b"an odd message that LDK does not know"


@pytest.fixture
async def ldk(node_modules: Callable[[Sequence[str]], Path], tmp_path: Path) -> AsyncIterator[Ldk]:
    """One that can open channels."""
    ldk = await Ldk.start(node_modules(pins(PACKAGE)), tmp_path / "ldk.log", "channels")
    yield ldk
    await ldk.stop()


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """A process for each connection, or a thread."""
    return MODES[request.param]


async def refuse_a_channel(ldk: Ldk, ours: Connectiond, service: BusService, *, incoming: bool) -> None:
    """The whole conversation, on a connection that is there or about to be."""
    status = await ldk("wait", peers=1)
    assert status["peers"] == [ours.node_id]
    taken = await service.msg.hear("take_peer")
    conn_id = taken["conn_id"]
    assert (taken["node_id"].hex(), taken["incoming"]) == (status["node_id"], incoming)
    for attempt in range(1, ROUNDS + 1):  # all but the first on a connection that has lived on
        await ldk("tick")
        opened = (await ldk("open_channel", node_id=ours.node_id, satoshis=1_000_000))["channel_id"]
        message = await next_of_type(service, conn_id, OPEN_CHANNEL)
        channel_id = channel_id_of(message)
        assert channel_id is not None and channel_id.hex() == opened
        await service.say(conn_id, CUSTOM, ErrorMessage(channel_id, REFUSAL.encode()).encode())
        await ldk("wait", peers=1, closed_channels=attempt)
        closed = (await ldk("closed_channels"))["closed"][-1]
        assert (closed["channel_id"], closed["peer_message"]) == (opened, REFUSAL)
    assert [peer["conn_id"] for peer in (await service.ask("list_peers"))["peers"]] == [conn_id]
    assert (await ldk("status"))["peers"] == [ours.node_id]


async def next_of_type(service: BusService, conn_id: int, number: int) -> bytes:
    """Gossip comes over the bus, too, if LDK has any to say."""
    while int.from_bytes((message := await service.hear_peer(conn_id))[:2], "big") != number:
        pass
    return message


async def test_ldk_dials_connectiond(ldk: Ldk, connectionds: Connectionds, mode: tuple[str, ...]) -> None:
    ours = connectionds.start("--listen", "127.0.0.1:0", *mode)
    async with ours.service() as service:
        await service.join()
        await ldk.connect(ours.node_id, ours.port)
        await refuse_a_channel(ldk, ours, service, incoming=True)


async def test_connectiond_dials_ldk(ldk: Ldk, connectionds: Connectionds, mode: tuple[str, ...]) -> None:
    ldk_id, port = await ldk.listen()
    ours = connectionds.start("--connect", f"{ldk_id}@127.0.0.1:{port}", *mode)
    async with ours.service() as service:
        await service.join()
        await refuse_a_channel(ldk, ours, service, incoming=False)
        assert ours.stop() == 0
    await ldk("wait", peers=0)


async def test_pyln_proto_dials_connectiond(
    pyln: Callable[..., Any], connectionds: Connectionds, mode: tuple[str, ...]
) -> None:
    """What it says comes to the client, what the client says comes to it, and its pings are answered meanwhile."""
    ours = connectionds.start("--listen", "127.0.0.1:0", *mode)
    ask = pyln("peer.py").answer
    async with ours.service() as service:
        await service.join()
        await ask("connect", node_id=ours.node_id, host="127.0.0.1", port=ours.port)
        await ask("send", messages=[PYLN_INIT])
        taken = await service.msg.hear("take_peer")
        assert taken["node_id"].hex() == await ask("node_id")
        message = f"{PYLN_CUSTOM:04x}ff"
        for _ in range(6):  # past a rotation of the keys, and never more at a time than there is credit for
            await ask("send", messages=[message, ping(3)] * 100)
            for _ in range(100):
                assert (await service.hear_peer(taken["conn_id"])).hex() == message
                await service.say(taken["conn_id"], bytes.fromhex(message))
            assert await ask("receive", number=PYLN_CUSTOM, count=100) == [message] * 100
            assert len(await ask("receive", number=PONG, count=100)) == 100
        await ask("close")
        assert (await service.msg.hear("peer_disconnected"))["conn_id"] == taken["conn_id"]
