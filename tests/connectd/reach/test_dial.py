"""reach_peer: where it looks, in which order, and what it says when it fails."""

import asyncio
import contextlib
import gc
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from connectd.connection import ConnectionEnded
from connectd.one_per_node import OnePerNode
from connectd.reach.addresses import AddressBook
from connectd.reach.dial import MAX_DIALS, Dialler
from connectd.strangers import Established
from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.conftest import Dial
from tests.connectd.connectd_process import ConnectdProcess
from wire.address import WireAddr
from wire.control.control_wire import PeerAddrhint, PeerReconnected
from wire.control.timing import Timing
from wire.features import Features
from wire.peer_wire import Init, WarningMessage
from wire.secp256k1 import public_key

PRIVKEY = bytes([2]) * 32
PEER_ID = public_key(PRIVKEY)


@pytest.fixture
def refusing() -> Iterator[str]:
    """An address at which no process listens, for as long as the test runs."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{sock.getsockname()[1]}"


@pytest.fixture
def deaf() -> Iterator[str]:
    """An address that never answers a SYN: its backlog is full."""
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.socket())
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
        yield f"127.0.0.1:{sock.getsockname()[1]}"


async def test_no_address(connectd: ConnectdProcess) -> None:
    assert await connectd.refused(connectd.reaching(PEER_ID)) == (400, [])
    assert connectd.asked_for_addresses == [PEER_ID]


async def test_reasons_come_in_the_order_of_trying(connectd: ConnectdProcess, refusing: str) -> None:
    connectd.announced[PEER_ID] = ["x" * 70, "a" * 56 + ".onion:9735", refusing]
    code, errors = await connectd.refused(connectd.reaching(PEER_ID, refusing, "no-such-host.invalid", refusing))
    assert code == 401
    assert [address for address, _ in errors] == [
        refusing,
        "no-such-host.invalid:19846",
        "x" * 70,
        "a" * 56 + ".onion:9735",
    ]
    reasons = [reason for _, reason in errors]
    assert reasons[0] == "Connection refused"
    assert reasons[1].startswith("cannot be resolved: ")
    assert "host name" in reasons[2]
    assert reasons[3] == "needs a proxy"


async def test_timeout(new_connectd: Callable[[], ConnectdProcess], deaf: str) -> None:
    connectd = new_connectd()
    await connectd.start(timing=Timing(connection_timeout=0.3))
    assert await connectd.refused(connectd.reaching(PEER_ID, deaf)) == (401, [(deaf, "Connection timed out")])


@pytest.mark.bolt("B7-75")
async def test_init_failure(connectd: ConnectdProcess) -> None:
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        reaching = connectd.reaching(PEER_ID, listener.address)
        async with await listener.accept_silent() as peer:
            await peer.shake_hands()
            await peer.say(Init(b"", Features.of([1000]).to_bytes()))
            assert [type(message) for message in await peer.hangs_up()] == [Init, WarningMessage]
        reason = "init: Unsupported feature 1000 (option_unknown_1000/even)"
        assert await connectd.refused(reaching) == (401, [(listener.address, reason)])


async def test_what_the_peer_said_is_the_reason(connectd: ConnectdProcess) -> None:
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        reaching = connectd.reaching(PEER_ID, listener.address)
        async with await listener.accept_silent() as peer:
            await peer.shake_hands()
            await peer.say(WarningMessage(bytes(32), b"no room"))
            await peer.hangs_up()
        assert await connectd.refused(reaching) == (401, [(listener.address, "init: peer said: no room")])


@pytest.mark.parametrize("source", ["request", "hint", "gossip", "name"])
async def test_every_source_of_addresses(connectd: ConnectdProcess, refusing: str, source: str) -> None:
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        hints = [refusing]
        match source:
            case "request":
                hints.append(listener.address)
            case "hint":
                connectd.master.send(PeerAddrhint(node_id=PEER_ID, address=listener.address))
            case "gossip":
                connectd.announced[PEER_ID] = [listener.address]
            case "name":
                hints.append("localhost:" + listener.address.rpartition(":")[2])
        reaching = connectd.reaching(PEER_ID, *hints)
        async with await listener.accept():
            assert (await reaching).address == listener.address
            await (await connectd.owner()).ends()


async def test_the_last_success_is_remembered(connectd: ConnectdProcess) -> None:
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        for hints in ([listener.address], []):
            reaching = connectd.reaching(PEER_ID, *hints)
            async with await listener.accept():
                await reaching
                await (await connectd.owner()).ends()
    assert connectd.asked_for_addresses == []


async def test_a_live_peer_is_an_answer_at_once(connectd: ConnectdProcess, dial: Dial) -> None:
    _, owner = await dial(privkey=PRIVKEY)
    assert await connectd.reach(PEER_ID) == owner.info
    assert connectd.asked_for_addresses == []


async def test_requests_for_one_node_share_one_attempt(connectd: ConnectdProcess) -> None:
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        reaching = [connectd.reaching(PEER_ID, listener.address) for _ in range(3)]
        async with await listener.accept():
            owner = await connectd.owner()
            assert await asyncio.gather(*reaching) == [owner.info] * 3
            await owner.ends()
        with pytest.raises(TimeoutError):
            await listener.accept_silent(timeout=0.05)


async def test_a_second_request_brings_its_hint_to_the_attempt(connectd: ConnectdProcess) -> None:
    async with (
        await ScriptedPeer.listen(privkey=PRIVKEY) as deadlocked,
        await ScriptedPeer.listen(privkey=PRIVKEY) as listener,
    ):
        first = connectd.reaching(PEER_ID, deadlocked.address)
        silent = await deadlocked.accept_silent()
        second = connectd.reaching(PEER_ID, listener.address)
        await connectd.barrier()
        await silent.close()
        async with await listener.accept():
            assert (await first).address == (await second).address == listener.address
            await (await connectd.owner()).ends()


async def test_the_node_connects_while_we_dial(connectd: ConnectdProcess) -> None:
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        reaching = connectd.reaching(PEER_ID, listener.address)
        async with (
            await listener.accept_silent() as silent,
            await ScriptedPeer.connect(connectd.target(), privkey=PRIVKEY),
        ):
            owner = await connectd.owner()
            assert await reaching == owner.info
            assert owner.info.incoming
            await silent.hangs_up()
            await owner.ends()
    await connectd.lives()


async def test_a_waiting_connection_is_waited_for(connectd: ConnectdProcess, dial: Dial) -> None:
    _, old = await dial(privkey=PRIVKEY)
    async with await ScriptedPeer.connect(connectd.target(), privkey=PRIVKEY):
        await connectd.hear(PeerReconnected)
        reaching = connectd.reaching(PEER_ID)
        await connectd.barrier()
        assert not reaching.done()
        await old.ends()
        owner = await connectd.owner()
        assert await reaching == owner.info
        await owner.ends()


@pytest.mark.parametrize(("node_id", "reason"), [("ours", "own id"), ("none", "no point on the curve")])
async def test_ids_that_cannot_be_reached(connectd: ConnectdProcess, node_id: str, reason: str) -> None:
    wanted = connectd.node_id if node_id == "ours" else b"\2" + b"\xff" * 32
    code, errors = await connectd.refused(connectd.reaching(wanted, connectd.bindings[0]))
    assert (code, len(errors)) == (401, 1)
    assert reason in errors[0][1]


async def test_ten_dials_at_a_time_and_the_rest_in_order(connectd: ConnectdProcess) -> None:
    keys = [bytes([number]) * 32 for number in range(10, 12 + MAX_DIALS)]
    async with contextlib.AsyncExitStack() as stack:
        listeners = [await stack.enter_async_context(await ScriptedPeer.listen(privkey=key)) for key in keys]
        reaching = [connectd.reaching(listener.node_id, listener.address) for listener in listeners]
        first = [await stack.enter_async_context(await listener.accept_silent()) for listener in listeners[:MAX_DIALS]]
        with pytest.raises(TimeoutError):
            await listeners[MAX_DIALS].accept_silent(timeout=0.05)
        await first[7].close()
        eleventh = await stack.enter_async_context(await listeners[MAX_DIALS].accept_silent())
        await eleventh.close()
        twelfth = await stack.enter_async_context(await listeners[MAX_DIALS + 1].accept_silent())
        for peer in (*first, twelfth):
            await peer.close()
        assert [code for code, _ in [await connectd.refused(one) for one in reaching]] == [401] * len(keys)


async def test_a_dial_that_fails_at_the_end_is_no_bug_of_ours() -> None:
    """The attempt is cancelled, and in the same turn the connection that it waits for ends."""
    said: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: said.append(context))
    ended, began = loop.create_future(), asyncio.Event()

    async def dial(node_id: bytes, address: WireAddr) -> None:
        began.set()
        await ended

    async def announced(node_id: bytes) -> list[str]:
        return []

    table = OnePerNode(b"\2" * 33, lambda *_: None, lambda _: None, Established())
    ways_out: Any = SimpleNamespace(refuses=lambda address: None, needs_proxy=lambda address: True)
    dialler = Dialler(table, AddressBook(), ways_out, dial, announced, port=1)
    reaching = asyncio.create_task(dialler.reach(PEER_ID, ["127.0.0.1:1"]))
    await began.wait()
    _, attempt = dialler._attempts[PEER_ID]
    attempt.cancel()
    ended.set_exception(ConnectionEnded("the daemon ends"))
    with pytest.raises(asyncio.CancelledError):
        await reaching
    await asyncio.sleep(0)
    del reaching, attempt
    gc.collect()
    assert said == []
