"""Services on the buses of a whole node: what they get, what they may not, and that no other suffers from them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgpack
import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.bus_client import Bus, BusRefused, BusService
from tests.harness.moves import TEMPORARY_ID, is_gone, moves, opening, owner, ping, said
from tests.harness.node import Node, Nodes
from tests.harness.puppeteer import Puppeteer
from tests.harness.waiting import until
from wire.peer_wire import ErrorMessage, OnionMessage
from wire.secp256k1 import public_key

OPEN_CHANNEL, OPEN_CHANNEL2, UPDATE_FEE = 32, 64, 134
ONION_MESSAGE = 513
PROVIDE_STORAGE = 43
PRIVKEY = bytes([9]) * 32
PEER_ID = public_key(PRIVKEY)
CHANNEL, OTHER_CHANNEL = bytes([1]) * 32, bytes([2]) * 32
ALL_CHANNELS = bytes(32)


def about(channel_id: bytes, more: bytes = bytes(4), number: int = UPDATE_FEE) -> bytes:
    """A channel message."""
    return number.to_bytes(2, "big") + channel_id + more


def body(**fields: Any) -> bytes:
    return bytes(msgpack.packb(fields))


RUBBISH = [
    b"",
    b"\xc1",
    b"\xdf\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\x91" * 50_000,
    b"\x81\xa1v" * 1_000,
    body(v=2, type="hello", service="x"),
    body(type="hello", service="x"),
    body(v=1, type="hello"),
    body(v=1, type="no such thing"),
    body(v=1, type=7),
]
"""Bombs, other versions, and what is no message."""


@pytest.fixture
def node(nodes: Nodes) -> Node:
    return nodes.start()


@pytest.fixture
async def service(node: Node) -> AsyncIterator[Callable[..., Any]]:
    """`await service("name", take=[32])`: a service that is here."""
    async with AsyncExitStack() as stack:

        async def join(name: str, *, credit: int = 256, **wanted: Any) -> BusService:
            made = await stack.enter_async_context(BusService(name, node.directory, credit=credit))
            await made.join()
            await made.ask("register", **wanted)
            return made

        yield join


@pytest.fixture
async def peer(node: Node) -> AsyncIterator[ScriptedPeer]:
    async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
        await peer.sync()
        yield peer


async def owned_by(node: Node, peer: ScriptedPeer, name: str) -> bool:
    return await owner(node, peer) == name


async def take(service: BusService, peer: ScriptedPeer, number: int = OPEN_CHANNEL) -> int:
    """The peer opens a channel with this service: the connection's number."""
    await peer.say(opening(number))
    conn_id = int((await service.taken(node_id=peer.node_id))["conn_id"])
    assert await service.hear_peer(conn_id) == opening(number)
    return conn_id


async def test_a_peer_goes_to_a_service_and_back(node: Node, peer: ScriptedPeer, service: Callable[..., Any]) -> None:
    channels = await service("channels", take=[OPEN_CHANNEL])
    conn_id = await take(channels, peer)
    assert await owner(node, peer) == "channels"
    assert await ping(node, peer) == 132
    await peer.say(about(TEMPORARY_ID, b"last words"))
    assert await channels.hear_peer(conn_id) == about(TEMPORARY_ID, b"last words")
    await channels.say(conn_id, about(TEMPORARY_ID, b"farewell"))
    await channels.msg.say("give_back", conn_id=conn_id)
    await channels.msg.hear("peer_given_back", conn_id=conn_id)
    assert (await peer.hear(UPDATE_FEE)).encode() == about(TEMPORARY_ID, b"farewell")
    await until(lambda: owned_by(node, peer, "gossipd"), "gossipd has it")
    await peer.sync()
    assert [move[0] for move in await moves(node, peer)][-2:] == ["master", "gossipd"]
    again = await take(channels, peer)
    assert again == conn_id, "it is the same connection"


@pytest.mark.parametrize("bus", ["ctl", "msg", "chnl"])
async def test_rubbish_gets_a_sentence_and_nobody_else_hears_of_it(
    node: Node, peer: ScriptedPeer, service: Callable[..., Any], bus: str
) -> None:
    channels = await service("channels", take=[OPEN_CHANNEL])
    conn_id = await take(channels, peer)
    async with BusService("stranger", node.directory) as stranger:
        address = {"msg": b"connectiond"}.get(bus, b"lightningd")
        endpoint = channels.welcome["msg"] if bus == "msg" else f"ipc://{node.directory}/{bus}"
        door = Bus(stranger.context, endpoint, address)
        for rubbish in RUBBISH:
            await door.say_raw(rubbish)
            answer = await door.hear()
            assert (answer["type"], "\n" in answer["error"]) == ("error", False)
        door.socket.close()
    await channels.say(conn_id, about(TEMPORARY_ID))
    assert (await peer.hear(UPDATE_FEE)).encode() == about(TEMPORARY_ID)


async def test_a_name_and_a_ticket_are_needed(node: Node, service: Callable[..., Any]) -> None:
    channels = await service("channels", take=[OPEN_CHANNEL])
    async with BusService("channels", node.directory) as second:
        with pytest.raises(BusRefused, match="is here already"):
            await second.hello()
    async with BusService("gossipd", node.directory) as daemon:
        with pytest.raises(BusRefused, match="gossipd"):
            await daemon.hello()
    async with BusService("thief", node.directory) as thief:
        await thief.hello()
        door = Bus(thief.context, channels.welcome["msg"], b"connectiond")
        await door.say("hello", service="channels", ticket=thief.ticket)
        assert (await door.hear())["type"] == "error"
        door.socket.close()


async def test_what_one_has_registered_no_other_can(node: Node, service: Callable[..., Any]) -> None:
    channels = await service("channels", take=[OPEN_CHANNEL], node_ids=[PEER_ID])
    other = await service("other", take=[OPEN_CHANNEL2])
    for wanted in ({"take": [OPEN_CHANNEL]}, {"node_ids": [PEER_ID]}):
        with pytest.raises(BusRefused, match="channels"):
            await other.ask("register", **wanted)
    await channels.ask("register", take=[OPEN_CHANNEL], node_ids=[PEER_ID])
    registered = {entry["service"]: entry for entry in (await other.ask("list_registrations"))["services"]}
    assert registered["channels"]["take"] == [OPEN_CHANNEL]
    assert registered["channels"]["node_ids"] == [PEER_ID]
    assert registered["other"]["node_ids"] == []


async def test_another_ones_peer_cannot_be_spoken_to(
    node: Node, peer: ScriptedPeer, service: Callable[..., Any]
) -> None:
    channels = await service("channels", take=[OPEN_CHANNEL])
    thief = await service("thief", take=[OPEN_CHANNEL2])
    conn_id = await take(channels, peer)
    for kind, more in (
        ("message", {"seq": 1, "message": about(TEMPORARY_ID, b"stolen")}),
        ("give_back", {}),
        ("disconnect", {}),
        ("credit", {"messages": 1}),
    ):
        await thief.msg.say(kind, conn_id=conn_id, **more)
        assert (await thief.msg.hear())["type"] == "error"
    await channels.say(conn_id, about(TEMPORARY_ID, b"mine"))
    assert (await peer.hear(UPDATE_FEE)).encode() == about(TEMPORARY_ID, b"mine")


@pytest.mark.parametrize("seq", [0, 2, 7])
async def test_a_gap_closes_that_connection_only(
    node: Node, peer: ScriptedPeer, service: Callable[..., Any], seq: int
) -> None:
    channels = await service("channels", take=[OPEN_CHANNEL])
    async with await ScriptedPeer.connect(node.target) as bystander:
        conn_id, other = await take(channels, peer), await take(channels, bystander)
        await channels.msg.say("message", conn_id=conn_id, seq=seq, message=about(TEMPORARY_ID))
        assert (await channels.msg.hear("peer_disconnected"))["conn_id"] == conn_id
        assert said(await peer.hangs_up()) == []
        await until(lambda: is_gone(node, peer), "it is still listed")
        await channels.say(other, about(TEMPORARY_ID))
        await bystander.hear(UPDATE_FEE)


async def test_more_than_the_credit_closes_the_connection(
    node: Node, peer: ScriptedPeer, service: Callable[..., Any]
) -> None:
    """The peer does not read, so no credit is renewed, and the service goes on all the same."""
    channels = await service("channels", take=[OPEN_CHANNEL])
    await peer.say(opening())
    taken = await channels.taken()
    conn_id, credit = taken["conn_id"], taken["credit"]
    await channels.say(conn_id, *[about(TEMPORARY_ID, bytes(60_000))] * (credit * 4))
    gone = await channels.msg.hear("peer_disconnected", conn_id=conn_id)
    assert "credit" in gone["reason"]


async def test_a_service_that_does_not_take_what_its_peer_says(
    node: Node, peer: ScriptedPeer, service: Callable[..., Any]
) -> None:
    """The peer is read no more, for as long as that lasts; the service's other peers and other services go on."""
    slow = await service("slow", take=[OPEN_CHANNEL], credit=10)
    other = await service("other", take=[OPEN_CHANNEL2])
    async with await ScriptedPeer.connect(node.target) as bystander:
        conn_id = await take(other, bystander, OPEN_CHANNEL2)
        held = await take(slow, peer)
        updates = [about(TEMPORARY_ID, number.to_bytes(4, "big")) for number in range(1_000)]
        await peer.say(*updates)
        await other.say(conn_id, about(TEMPORARY_ID))
        await bystander.hear(UPDATE_FEE)
        for update in updates[:9]:
            assert (await slow.msg.hear("message"))["message"] == update
        async with await ScriptedPeer.connect(node.target) as quick:
            await take(slow, quick)
            await slow.msg.say("credit", conn_id=held, messages=1_000)
            for update in updates[9:]:
                assert (await slow.msg.hear("message"))["message"] == update
        await peer.sync()


async def test_copies_come_over_ctl_and_the_connection_stays(
    node: Node, peer: ScriptedPeer, service: Callable[..., Any]
) -> None:
    onions = await service("onions", copy=[ONION_MESSAGE])
    onion = OnionMessage(PEER_ID, bytes(100)).encode()
    await peer.say(onion)
    copy = await onions.ctl.hear("peer_message")
    assert (copy["message"], copy["message_type"], copy["node_id"], copy["lost"]) == (
        onion,
        ONION_MESSAGE,
        PEER_ID,
        0,
    )
    assert await owner(node, peer) == "gossipd"
    await onions.ask("send_message", node_id=PEER_ID, message=onion)
    assert (await peer.hear(ONION_MESSAGE)).encode() == onion


async def test_a_feature_is_offered_while_its_service_is_here(nodes: Nodes) -> None:
    node = nodes.start("--peer-storage=none")

    async def offered() -> bool:
        async with await ScriptedPeer.connect(node.target) as peer:
            assert peer.their_init is not None
            bits = int.from_bytes(peer.their_init.features, "big")
            return bool(bits >> PROVIDE_STORAGE & 1)

    assert not await offered()
    async with BusService("storage", node.directory) as storage:
        await storage.join()
        await storage.ask("register", offer=["option_provide_storage"], copy=[7, 9])
        await until(offered, "peer storage is not offered")

    async def no_longer() -> bool:
        return not await offered()

    await until(no_longer, "peer storage is still offered")


async def test_an_error_for_all_channels_goes_to_everybody(node: Node, service: Callable[..., Any]) -> None:
    first = await service("first", channels=[{"channel_id": CHANNEL, "node_id": PEER_ID}])
    second = await service("second", channels=[{"channel_id": OTHER_CHANNEL, "node_id": PEER_ID}])
    async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
        conn_id = (await first.taken())["conn_id"]
        await second.taken()
        error = ErrorMessage(ALL_CHANNELS, b"all is lost").encode()
        await peer.say(error)
        assert await first.hear_peer(conn_id) == error
        assert await second.hear_peer(conn_id) == error


async def test_a_program_and_a_bus_service_side_by_side(nodes: Nodes, tmp_path: Path) -> None:
    strings = tmp_path / "strings"
    node = nodes.start(Puppeteer.service("puppet", strings), "--take=puppet=open_channel2")
    async with (
        Puppeteer(strings) as puppets,
        BusService("channels", node.directory) as channels,
        await ScriptedPeer.connect(node.target) as peer,
    ):
        await channels.join()
        with pytest.raises(BusRefused, match="puppet"):
            await channels.ask("register", take=[OPEN_CHANNEL2])
        await channels.ask("register", take=[OPEN_CHANNEL])
        conn_id = await take(channels, peer)
        await channels.msg.say("give_back", conn_id=conn_id)
        await channels.msg.hear("peer_given_back", conn_id=conn_id)
        await peer.say(opening(OPEN_CHANNEL2))
        puppet = await puppets.next()
        assert puppet.about["message"] == opening(OPEN_CHANNEL2).hex()
        assert await owner(node, peer) == "puppet"
        await puppet("give_back")
        await peer.sync()
        assert await take(channels, peer) == conn_id


async def test_a_service_asks_for_a_peer_and_hears_of_others(
    node: Node, peer: ScriptedPeer, service: Callable[..., Any]
) -> None:
    watcher = await service("watcher", events=True)
    listed = (await watcher.ask("list_peers"))["peers"]
    assert [(each["node_id"], each["owner"]) for each in listed] == [(PEER_ID, "gossipd")]
    await watcher.ask("release_peer", node_id=PEER_ID)
    conn_id = (await watcher.taken())["conn_id"]
    assert (await watcher.ctl.hear("peer_owner", owner="watcher"))["conn_id"] == conn_id
    async with await ScriptedPeer.connect(node.target) as other:
        came = await watcher.ctl.hear("peer_connected")
        assert came["peer"]["node_id"] == other.node_id
    assert (await watcher.ctl.hear("peer_disconnected"))["node_id"] == other.node_id
    async with await ScriptedPeer.listen() as listener:
        await watcher.ctl.say("connect", id="dial", node_id=listener.node_id, address=listener.address)
        async with await listener.accept() as dialled:
            assert (await watcher.ctl.hear(id="dial"))["peer"]["node_id"] == listener.node_id
            await watcher.ask("disconnect", node_id=listener.node_id)
            await dialled.hangs_up()
