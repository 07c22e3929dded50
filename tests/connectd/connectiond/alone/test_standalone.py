"""connectiond inside of another program: `run` in a thread of it, buses by inproc in its own ZMQ context."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq
import zmq.asyncio

from connectd.connectiond.alone import standalone
from connectd.connectiond.alone.options import UsageError
from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.bus_client import BusService

ODD = bytes.fromhex("9c41") + b"odd"


async def test_a_program_embeds_it(tmp_path: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[Callable[[], None]] = loop.create_future()
    door = tmp_path / "door"
    arguments = ["--listen", str(door), "--network", "regtest", "--dir", str(tmp_path), "--threaded"]
    arguments += ["--msg", "inproc://msg", "--ctl", "inproc://ctl"]

    def is_ready(stop: Callable[[], None]) -> None:
        loop.call_soon_threadsafe(ready.set_result, stop)

    running = asyncio.create_task(asyncio.to_thread(standalone.run, arguments, context, is_ready))
    stop = await ready
    async with BusService("inside", "inproc://ctl", context=zmq.asyncio.Context(context)) as service:
        welcome = await service.join()
        assert welcome["msg"] == "inproc://msg"
        async with await ScriptedPeer.connect(f"{welcome['node_id'].hex()}@{door}") as peer:
            conn_id = (await service.msg.hear("take_peer"))["conn_id"]
            await service.say(conn_id, ODD)
            assert (await peer.hear()).encode() == ODD
            stop()
            await peer.hangs_up()
        assert (await service.msg.hear("peer_disconnected"))["conn_id"] == conn_id
    assert await running == 0
    assert threading.active_count() - _workers() == 1
    assert not door.exists()
    context.term()


def _workers() -> int:
    """Threads of the loop's own pool, which stay for the next call."""
    return sum(thread.name.startswith("asyncio_") for thread in threading.enumerate())


async def test_what_is_wrong_is_the_callers_to_tell() -> None:
    with pytest.raises(UsageError):
        standalone.run(["--listen"])
