"""A node of ours and a real Bitcoin node: channels that are really funded, spent, spliced and reorganised away."""

import asyncio
import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lightningd_py.chain.bitcoind import Bitcoind
from lightningd_py.chain.source import NoOutput, Output
from lightningd_py.config.options import parse
from lightningd_py.database import Database
from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.bitcoin import SEGWIT, Bitcoin, Channel
from tests.harness.node import Node, Nodes
from tests.harness.waiting import until
from wire.scid import scid_to_text

pytestmark = pytest.mark.timeout(600)

NodeModules = Callable[[Sequence[str]], Path]
AMOUNT = 100_000
WINDOW = 1_000
"""What gossipd asks for at a time."""


async def tell(node: Node, messages: Sequence[bytes]) -> None:
    """Gossip from a peer, who stays until it was heard."""
    async with await ScriptedPeer.connect(node.target) as peer:
        for start in range(0, len(messages), 50):
            await peer.say(*messages[start : start + 50])
        await peer.sync(timeout=60)


async def channels(node: Node) -> dict[str, int]:
    """Those that are listed, with their capacities in satoshi."""
    listed = (await node.rpc("listchannels"))["channels"]
    return {entry["short_channel_id"]: entry.get("amount_msat", 0) // 1000 for entry in listed}


async def has(node: Node, *wanted: Channel) -> None:
    names = {scid_to_text(channel.scid) for channel in wanted}

    async def there() -> bool:
        return set(await channels(node)) == names

    await until(there, f"listchannels never becomes {sorted(names)}: {sorted(await channels(node))}")


async def at_height(node: Node, height: int) -> None:
    async def there() -> bool:
        return int((await node.rpc("getinfo"))["blockheight"]) == height

    await until(there, f"getinfo never has height {height}")


async def is_in_sync(node: Node, height: int) -> None:
    """The height is known a moment before it is known that this is the tip."""
    await at_height(node, height)

    async def without_warning() -> bool:
        return "warning_bitcoind_sync" not in await node.rpc("getinfo")

    await until(without_warning, "getinfo warns for ever")


async def is_dying(node: Node, count: int) -> None:
    async def there() -> bool:
        return int((await node.rpc("gossipstatus"))["dying"]) == count

    await until(there, f"{count} channels should be dying")


@pytest.mark.bolt("B7-60", "B7-61")
async def test_two_hundred_channels_and_twenty_that_are_none(bitcoin: Bitcoin, nodes: Nodes) -> None:
    good = [each for block in range(4) for each in bitcoin.fund([Channel(50 * block + n) for n in range(50)])]
    bad = bitcoin.fund([Channel(300 + number) for number in range(16)])
    wrong_key, spent, missing, wrong_script = bad[:4], bad[4:8], bad[8:12], bad[12:]
    for channel in spent:
        bitcoin.spend(channel)
    bitcoin.mine(4)
    early = bitcoin.fund([Channel(400 + number) for number in range(4)])
    bitcoin.mine(4)
    node = nodes.start(*bitcoin.options)
    await is_in_sync(node, bitcoin.height)

    missing = [replace(channel, scid=channel.scid + 100) for channel in missing]
    other = Channel(999).bitcoin_secrets
    announced = [message for channel in (*good, *spent, *missing, *early) for message in channel.gossip()]
    announced += [channel.announcement((channel.bitcoin_secrets[0], other[0])) for channel in wrong_key]
    announced += [channel.announcement(other) for channel in wrong_script]
    await tell(node, announced)
    await has(node, *good)
    assert set((await channels(node)).values()) == {AMOUNT}
    reasons = {
        "its output pays to another script": [*wrong_key, *wrong_script],
        "its output is spent": spent,
        "its transaction has only 17 outputs": missing,
    }
    for reason, refused in reasons.items():
        for channel in refused:
            await node.logged(f"channel {scid_to_text(channel.scid)} is ignored: {reason}$")
    status = await node.rpc("gossipstatus")
    assert status["early"] == len(early)

    await tell(node, [channel.announcement() for channel in spent])
    assert (await node.rpc("gossipstatus"))["no_output"] == len(spent), "not even their signatures are checked again"
    assert bitcoin.mine() == (await wait_for_next(node, bitcoin))
    await has(node, *good, *early)
    await are_exported_with_their_outputs(node, *good, *early)


async def are_exported_with_their_outputs(node: Node, *channels: Channel) -> None:
    """`chan_point` as lnd writes it, beside the running node."""
    funded = {str(channel.scid): f"{channel.txid}:{channel.scid & 0xFFFF}" for channel in channels}

    async def there() -> bool:
        edges = json.loads((await node.cli("export", "describegraph")).stdout)["edges"]
        return {edge["channel_id"]: edge["chan_point"] for edge in edges} == funded

    await until(there, "the export never tells the outputs that the chain has")


async def wait_for_next(node: Node, bitcoin: Bitcoin) -> int:
    await at_height(node, bitcoin.height)
    return bitcoin.height


@pytest.mark.long
@pytest.mark.bolt("B7-66")
async def test_spent_and_spliced(bitcoin: Bitcoin, nodes: Nodes) -> None:
    closed, spliced, stays = bitcoin.fund([Channel(number) for number in range(3)])
    bitcoin.mine(6)
    node = nodes.start(*bitcoin.options)
    await tell(node, [message for channel in (closed, spliced, stays) for message in channel.gossip()])
    await has(node, closed, spliced, stays)

    after = Channel(77)
    bitcoin.spend(closed)
    bitcoin.spend(spliced, into=after.script)
    bitcoin.mine()
    await is_dying(node, 2)
    index = await position(bitcoin, after)
    after = replace(after, scid=index)
    await tell(node, after.gossip())
    bitcoin.mine(5)
    await has(node, closed, spliced, stays, after)
    assert (await channels(node))[scid_to_text(after.scid)] == 90_000
    bitcoin.mine(66)
    await at_height(node, bitcoin.height)
    await has(node, closed, spliced, stays, after)
    bitcoin.mine()
    await has(node, stays, after)
    await tell(node, closed.gossip())
    await has(node, stays, after)


async def position(bitcoin: Bitcoin, channel: Channel) -> int:
    """The scid of an output that is in the last block."""
    found = bitcoin.ask("find", script=channel.script.hex())
    return int(bitcoin.height << 40 | found["transaction"] << 16 | found["output"])


@pytest.mark.long
async def test_reorganised(bitcoin: Bitcoin, nodes: Nodes) -> None:
    one, two = bitcoin.fund([Channel(1), Channel(2)])
    bitcoin.mine(6)
    node = nodes.start(*bitcoin.options)
    await tell(node, [*one.gossip(), *two.gossip()])
    await has(node, one, two)
    fork = bitcoin.height
    bitcoin.spend(one)
    bitcoin.mine(4)
    await at_height(node, bitcoin.height)  # it may have asked when there was only the first of them
    await is_dying(node, 1)
    bitcoin.fork(fork, 6)
    await node.logged("the chain is reorganised: 4 blocks above")
    await is_dying(node, 0)
    await at_height(node, fork + 6)
    bitcoin.mine(80)
    await at_height(node, bitcoin.height)


@pytest.mark.long
async def test_reorganised_deeper_than_is_remembered(bitcoin: Bitcoin, nodes: Nodes) -> None:
    """Of three channels one is spent in the old chain only, and one is funded in the old chain only."""
    stays, spent = bitcoin.fund([Channel(1), Channel(2)])
    fork = bitcoin.mine(6)
    (gone,) = bitcoin.fund([Channel(3)])
    bitcoin.mine(6)
    node = nodes.start(*bitcoin.options)
    await tell(node, [message for channel in (stays, spent, gone) for message in channel.gossip()])
    await has(node, stays, spent, gone)
    bitcoin.spend(spent)
    bitcoin.mine(100)
    await has(node, stays, gone)
    await at_height(node, bitcoin.mine(60))
    bitcoin.fork(fork, 200)
    await node.logged("the chain is reorganised, deeper than is remembered: every channel is looked at again")
    await at_height(node, bitcoin.height)
    await is_dying(node, 1)
    await tell(node, spent.gossip())
    await has(node, stays, spent, gone)
    bitcoin.mine(72)
    await has(node, stays, spent)


@pytest.mark.long
async def test_caught_up_with_after_a_restart(bitcoin: Bitcoin, nodes: Nodes) -> None:
    one, two = bitcoin.fund([Channel(1), Channel(2)])
    bitcoin.mine(6)
    node = nodes.start(*bitcoin.options, name="l1")
    await tell(node, [*one.gossip(), *two.gossip()])
    await has(node, one, two)
    assert node.stop() == 0
    bitcoin.spend(one)
    bitcoin.mine(3)
    again = nodes.start(*bitcoin.options, name="l1")
    await is_dying(again, 1)
    bitcoin.mine(70)
    await has(again, two)


async def test_started_before_its_bitcoin_node(modules: Path, nodes: Nodes, unused_ports: list[int]) -> None:
    port = unused_ports[0]
    node = nodes.start(f"--bitcoin-rpcport={port}", "--bitcoin-rpcuser=x", "--bitcoin-rpcpassword=open sesame")
    info = await node.rpc("getinfo")
    assert info["blockheight"] == 0
    await node.logged(f"bitcoind at 127.0.0.1:{port} cannot be reached: .*: new channels wait until it answers")
    assert "cannot be reached" in (await node.rpc("getinfo"))["warning_bitcoind_sync"]


@pytest.mark.long
async def test_an_outage(modules: Path, nodes: Nodes) -> None:
    """What was asked meanwhile is answered afterwards: here by a node that comes back with another chain."""
    first = Bitcoin(modules)
    first.mine(SEGWIT + 20)
    one, two = first.fund([Channel(1), Channel(2)])
    first.mine(6)
    node = nodes.start(*first.options)
    await tell(node, one.gossip())
    await has(node, one)
    first.end()
    await node.logged("cannot be reached: .*: new channels wait until it answers")
    await tell(node, two.gossip())
    await has(node, one)
    second = Bitcoin(modules, first.port)
    try:
        second.mine(SEGWIT + 80)  # more than the first one had, and not yet so many that a spent channel is forgotten
        await at_height(node, second.height)
        await node.logged(f"channel {scid_to_text(two.scid)} is ignored: its block has only 1 transactions")
        await is_dying(node, 1)
        await is_in_sync(node, second.height)
    finally:
        second.end()


@pytest.mark.long
async def test_map_of_a_node_that_followed_no_chain(bitcoin: Bitcoin, nodes: Nodes) -> None:
    there, gone = bitcoin.fund([Channel(1), Channel(2)])
    never = replace(Channel(3), scid=there.scid + 50)
    bitcoin.spend(gone)
    bitcoin.mine(6)
    node = nodes.start(name="l1")
    assert "no chain is followed" in (await node.rpc("getinfo"))["warning_bitcoind_sync"]
    await tell(node, [message for channel in (there, gone, never) for message in channel.gossip()])
    await has(node, there, gone, never)
    assert all(entry["unchecked"] for entry in (await node.rpc("listchannels"))["channels"])
    assert node.stop() == 0
    again = nodes.start(*bitcoin.options, name="l1")
    await is_dying(again, 2)
    bitcoin.mine(72)
    await has(again, there)
    assert await channels(again) == {scid_to_text(there.scid): AMOUNT}


@pytest.mark.long
async def test_it_is_bitcoind_that_a_first_sync_waits_for(bitcoin: Bitcoin, tmp_path: Path) -> None:
    """At least 4 requests are in flight but for the beginning and the end, and each block is asked for once."""
    blocks = [bitcoin.fund([Channel(150 * block + number) for number in range(150)]) for block in range(60)]
    wanted = [channel for block in blocks for channel in block]
    database = Database(tmp_path / "db")
    options = [option for option in bitcoin.options if not option.startswith("--dev")]
    source = Bitcoind(parse([f"--lightning-dir={tmp_path}", "--network=regtest", *options]), database)
    try:
        busy = await first_sync(source, wanted)
    finally:
        await source.close()
        database.close()
    assert busy >= 0.9


class Ignored:
    """A follower who has nothing to do."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    def new_blockheight(self, blockheight: int) -> None:
        self.begun.set()


async def first_sync(source: Bitcoind, wanted: list[Channel]) -> float:
    """The part of the moments at which one was sent or answered when 4 requests or more were in flight."""
    follower = Ignored()
    source.start(follower)  # type: ignore[arg-type]
    await follower.begun.wait()
    busy = [0, 0]  # counted, not timed, so that a slow machine is no failure: the benchmark `txouts` has the time
    send = source.rpc._post

    def note() -> None:
        busy[source.rpc.in_flight >= 4] += 1

    async def measured(body: bytes) -> tuple[int, bytes]:
        note()
        try:
            return await send(body)
        finally:
            note()

    source.rpc._post = measured  # type: ignore[method-assign]
    left, found = iter(wanted), []
    done = asyncio.Event()

    def ask() -> None:
        if (channel := next(left, None)) is not None:
            source.look_up(channel.scid, channel.script, answered)

    def answered(answer: Output | NoOutput) -> None:
        found.append(answer)
        ask()
        if len(found) == len(wanted):
            done.set()

    for _ in range(WINDOW):
        ask()
    async with asyncio.timeout(60):
        await done.wait()
    assert all(isinstance(answer, Output) and answer.amount_sat == AMOUNT for answer in found)
    return busy[1] / sum(busy)


@pytest.mark.long
@pytest.mark.parametrize("what", ["master", "all"])
async def test_questions_that_are_under_way_at_a_restart_are_answered(
    nodes: Nodes, bitcoin: Bitcoin, what: str
) -> None:
    """The chain hangs while gossipd asks for 30 outputs and the master is another program: then it goes on."""
    funded = bitcoin.fund([Channel(number) for number in range(30)])
    bitcoin.mine(6)
    node = nodes.start(*bitcoin.options)
    await at_height(node, bitcoin.height)
    bitcoin.process.send_signal(signal.SIGSTOP)
    try:
        await tell(node, [message for channel in funded for message in channel.gossip()])
        assert (await node.rpc("restart", what=what))["lost"] == 0
        assert await channels(node) == {}
    finally:
        bitcoin.process.send_signal(signal.SIGCONT)
    await has(node, *funded)
