"""Two scripted peers against each other: what the tests of others stand on."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedListener, ScriptedPeer
from wire.features import Features
from wire.message import UnknownMessage
from wire.noise import HandshakeError
from wire.peer_wire import GossipTimestampFilter, Ping, Pong, WarningMessage
from wire.types import NETWORKS

FILTER = GossipTimestampFilter(NETWORKS["regtest"], 0, 0xFFFFFFFF)


@pytest.fixture
async def listener() -> AsyncIterator[ScriptedListener]:
    async with await ScriptedPeer.listen(privkey=bytes([7]) * 32) as listener:
        yield listener


@pytest.fixture
async def pair(listener: ScriptedListener) -> AsyncIterator[tuple[ScriptedPeer, ScriptedPeer]]:
    dialled, accepted = await asyncio.gather(ScriptedPeer.connect(listener.target), listener.accept())
    async with dialled, accepted:
        yield dialled, accepted


Pair = tuple[ScriptedPeer, ScriptedPeer]


async def test_both_know_each_other_after_the_handshake(pair: Pair) -> None:
    dialled, accepted = pair
    assert dialled.their_id == accepted.node_id
    assert accepted.their_id == dialled.node_id
    assert dialled.their_init is not None
    assert dialled.their_init.networks == [NETWORKS["regtest"]]


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0", "unix"])
async def test_listens_on_any_socket(address: str, tmp_path: Path) -> None:
    where = str(tmp_path / "peer") if address == "unix" else address
    async with await ScriptedPeer.listen(where) as listener:
        dialled, accepted = await asyncio.gather(
            ScriptedPeer.connect(listener.target, networks=[], features=Features.of([1, 9])), listener.accept()
        )
        async with dialled, accepted:
            assert accepted.their_init is not None
            assert accepted.their_init.networks is None
            assert Features(accepted.their_init.features) == Features.of([1, 9])


async def test_says_messages_and_bytes_in_order(pair: Pair) -> None:
    dialled, accepted = pair
    await dialled.say(FILTER, bytes.fromhex("80010203"), FILTER)
    assert await accepted.hear() == FILTER
    assert await accepted.hear(0x8001) == UnknownMessage(0x8001, b"\2\3")
    assert await accepted.hear(GossipTimestampFilter) == FILTER


async def test_hear_keeps_what_it_passes_over(pair: Pair) -> None:
    dialled, accepted = pair
    await dialled.say(bytes.fromhex("8001"), bytes.fromhex("8003"), FILTER)
    assert await accepted.hear(GossipTimestampFilter) == FILTER
    assert [message.number for message in accepted.heard] == [0x8001, 0x8003]
    assert (await accepted.hear()).number == 0x8001


async def test_sync_is_a_barrier(pair: Pair) -> None:
    dialled, accepted = pair

    async def reaction() -> None:
        await accepted.hear(0x8001)
        await accepted.say(FILTER)
        with pytest.raises(PeerClosed):
            await accepted.hear(GossipTimestampFilter)

    reacting = asyncio.create_task(reaction())
    await dialled.say(bytes.fromhex("8001"))
    assert await dialled.sync() == [FILTER]
    await dialled.close()
    await reacting


@pytest.mark.bolt("B1-37")
async def test_answers_pings_by_the_book(pair: Pair) -> None:
    dialled, accepted = pair
    await dialled.say(Ping(65532, b""), Ping(3, b"xx"))
    waiting = asyncio.create_task(accepted.hear(0x8001))
    assert await dialled.hear(Pong) == Pong(bytes(3))
    await dialled.say(bytes.fromhex("8001"))
    await waiting


async def test_hear_gives_up_in_time(pair: Pair) -> None:
    with pytest.raises(TimeoutError):
        await pair[0].hear(timeout=0.01)


async def test_last_warning_is_in_the_exception(pair: Pair) -> None:
    dialled, accepted = pair
    await accepted.say(WarningMessage(bytes(32), b"go away"))
    await accepted.close()
    with pytest.raises(PeerClosed, match="go away"):
        await dialled.hear(FILTER.number)
    assert [type(message) for message in await dialled.hangs_up()] == [WarningMessage]


@pytest.mark.parametrize("spoilt", ["act one", "act two", "act three"])
@pytest.mark.bolt("B8-45")
async def test_acts_can_be_spoilt(listener: ScriptedListener, spoilt: str) -> None:
    def spoil(act: str, data: bytes) -> bytes:
        return b"\1" + data[1:] if act == spoilt else data

    async def shake(peer: ScriptedPeer) -> None:
        try:
            await peer.shake_hands(spoil)
        finally:
            await peer.close()

    dialled, accepted = await asyncio.gather(ScriptedPeer.dial(listener.target), listener.accept_silent())
    results = await asyncio.gather(shake(dialled), shake(accepted), return_exceptions=True)
    assert [str(error) for error in results if isinstance(error, HandshakeError)] == [f"{spoilt}: bad version 1"]


async def test_raw_bytes_go_both_ways(listener: ScriptedListener) -> None:
    async with await ScriptedPeer.dial(listener.target) as dialled, await listener.accept_silent() as accepted:
        await dialled.send_raw(b"hello")
        assert await accepted.read_raw(5) == b"hello"
        await accepted.close()
        assert await dialled.hangs_up() == []


async def test_target_needs_an_address() -> None:
    with pytest.raises(ValueError, match="no address"):
        await ScriptedPeer.dial("02" + "11" * 32)


async def test_from_the_shell(listener: ScriptedListener) -> None:
    process = await asyncio.to_thread(
        subprocess.Popen,
        [sys.executable, "-m", "lightningd_py.tools.scripted_peer", listener.target, "--say", "8001aa"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    async with await listener.accept() as peer:
        assert await peer.hear() == UnknownMessage(0x8001, b"\xaa")
        await peer.say(FILTER)
        await peer.sync()
    output, errors = await asyncio.to_thread(process.communicate)
    assert output.splitlines()[1] == str(FILTER)
    assert errors.strip() == "PeerClosed: the peer hung up"
    assert process.returncode == 1
