"""Onion messages through a node: peers on each side of it, whose keys are at hand, and services that hear and speak."""

import os
import shlex
import signal
import sys
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.bus_client import BusRefused, BusService
from tests.harness.node import NETWORK, Node, Nodes
from tests.harness.waiting import until
from wire.features import feature_bit
from wire.onion.blinding import BlindedPath, blind, path_to, read_path
from wire.onion.keys import keys_of_onion
from wire.onion.message import Final, Forward, open_message, read_message, seal, write_message
from wire.onion.payloads import REPLY_PATH, RecipientData, encode_data
from wire.peer_wire import OnionMessage
from wire.secp256k1 import new_secret, public_key

ODD = feature_bit("option_onion_messages") + 1
ALIAS = 16_000_000 << 40 | 5 << 16
PAYLOAD = 64
PROGRAM = Path(__file__).parent.parent / "harness" / "onion_service.py"


def onion(path: BlindedPath, text: bytes = b"hello", reply_path: bytes = b"") -> bytes:
    fields = {PAYLOAD: text} | ({REPLY_PATH: reply_path} if reply_path else {})
    return write_message(seal(path, fields, new_secret()))


class Side:
    """A peer whose key is known."""

    def __init__(self, number: int) -> None:
        self.secret = bytes([number]) * 32
        self.node_id = public_key(self.secret)
        self.peer: ScriptedPeer

    async def join(self, node: Node) -> ScriptedPeer:
        self.peer = await ScriptedPeer.connect(node.target, privkey=self.secret)
        return self.peer

    def is_offered_onion_messages(self) -> bool:
        """By the node's INIT."""
        assert self.peer.their_init is not None
        return self.peer.their_init.all_features().has(ODD)

    async def hears(self) -> Forward | Final:
        message = await self.peer.hear(OnionMessage)
        sealed = read_message(message.encode())
        keys = keys_of_onion(self.secret, sealed.path_key, sealed.packet.public_key)
        return open_message(sealed, keys, {PAYLOAD})


async def has_oniond(node: Node) -> None:
    async def there() -> bool:
        return "oniond" in node.pids()

    await until(there, "oniond is not started")


@pytest.mark.bolt("B4-120", "B4-121", "B4-129", "B4-130", "B4-131", "B9-106")
async def test_relayed_between_peers(nodes: Nodes) -> None:
    node = nodes.start("--onion-messages=all")
    a, b = Side(0x21), Side(0x22)
    async with await a.join(node), await b.join(node):
        assert a.is_offered_onion_messages()
        our_id = bytes.fromhex(node.node_id)
        await a.peer.say(onion(path_to([our_id, b.node_id], b"id", new_secret())))
        assert await b.hears() == Final({PAYLOAD: b"hello"}, b"id")
        await b.peer.say(onion(path_to([our_id, a.node_id], None, new_secret()), bytes(20_000)))
        assert await a.hears() == Final({PAYLOAD: bytes(20_000)}, None)
        async with BusService("channels", node.directory) as service:
            await service.join()
            channel = {"channel_id": b"\1" * 32, "node_id": b.node_id, "short_channel_id": ALIAS}
            await service.ask("register", channels=[channel])
            data = [encode_data(RecipientData(short_channel_id=ALIAS)), b""]
            await a.peer.say(onion(blind([our_id, b.node_id], data, new_secret()), b"by alias"))
            assert await b.hears() == Final({PAYLOAD: b"by alias"}, None)
            # nothing of what follows is answered, and the connection stays; b is the service's now, and goes with it
            wrong = bytearray(onion(path_to([our_id, b.node_id], None, new_secret())))
            wrong[-1] ^= 1
            absent = onion(path_to([our_id, public_key(b"\x55" * 32)], None, new_secret()))
            await a.peer.say(bytes(wrong), absent, b"\x02\x01", OnionMessage(a.node_id, b"").encode())
            await a.peer.sync()
            await b.peer.say(onion(path_to([our_id, a.node_id], None, new_secret()), b"last"))
            assert await a.hears() == Final({PAYLOAD: b"last"}, None)


@pytest.mark.bolt("B4-128")
async def test_a_flood_is_dropped_by_the_owner_of_the_connection(nodes: Nodes) -> None:
    node = nodes.start("--onion-messages=all")
    flooder, honest, b = Side(0x23), Side(0x24), Side(0x25)
    async with await flooder.join(node), await honest.join(node), await b.join(node):
        our_id = bytes.fromhex(node.node_id)
        raw = onion(path_to([our_id, b.node_id], None, new_secret()), b"flood")
        await flooder.peer.say(*[raw] * 300)
        await flooder.peer.sync()
        await honest.peer.say(onion(path_to([our_id, b.node_id], None, new_secret()), b"honest"))
        heard = 0
        while (message := await b.hears()) != Final({PAYLOAD: b"honest"}, None):
            assert message == Final({PAYLOAD: b"flood"}, None)
            heard += 1
        assert 4 <= heard <= 12


@pytest.mark.bolt("B4-123", "B4-124", "B4-127")
async def test_a_service_hears_and_answers(nodes: Nodes) -> None:
    node = nodes.start("--onion-messages=all")
    a = Side(0x26)
    async with (
        await a.join(node),
        BusService("shop", node.directory) as shop,
        BusService("other", node.directory) as other,
    ):
        our_id = bytes.fromhex(node.node_id)
        await shop.join()
        await other.join()
        for service in (shop, other):
            await service.ask("register", onion_messages=[PAYLOAD])
        back = path_to([a.node_id], b"mine", new_secret())
        await a.peer.say(onion(path_to([our_id], b"invented", new_secret()), b"question", back.encode()))
        for service in (shop, other):
            event = await service.ctl.hear("onion_message")
            assert event["fields"] == [{"type": PAYLOAD, "value": b"question"}]
            assert (event["own_path"], event["context"]) == (False, b"")
        made = await shop.ask("make_blinded_path", node_ids=[a.node_id], context=b"order 7")
        answer = [{"type": PAYLOAD, "value": b"answer"}]
        await shop.ask("send_onion_message", path=event["reply_path"], fields=answer, reply_path=made["path"])
        heard = await a.hears()
        assert heard == Final({PAYLOAD: b"answer", REPLY_PATH: made["path"]}, b"mine")
        # along the path that the service has made, whose introduction node is the peer
        sealed = seal(read_path(made["path"]), {PAYLOAD: b"thanks"}, new_secret())
        keys = keys_of_onion(a.secret, sealed.path_key, sealed.packet.public_key)
        onward = open_message(sealed, keys, {PAYLOAD})
        assert isinstance(onward, Forward)
        assert onward.next_node_id == our_id
        await a.peer.say(write_message(onward.message))
        event = await shop.ctl.hear("onion_message")
        assert event["fields"] == [{"type": PAYLOAD, "value": b"thanks"}]
        assert (event["own_path"], event["context"], event["reply_path"]) == (True, b"order 7", b"")
        assert not [message for message in other.ctl.heard if message["type"] == "onion_message"]
        listed = {each["service"]: each for each in (await node.rpc("listservices"))["services"]}
        assert listed["shop"]["onion_messages"] == [PAYLOAD]
        # and by JSON-RPC
        path = await node.rpc("blindedpath", service="shop", context="07")
        assert path["first_node_id"] == our_id.hex()
        assert (
            read_path(bytes.fromhex(path["blindedpath"])).hops[0].blinded_node_id.hex()
            == path["path"][0]["blinded_node_id"]
        )
        await node.rpc("sendonionmessage", fields={"64": "6869"}, ids=[a.node_id.hex()], reply_path=path["blindedpath"])
        assert await a.hears() == Final({PAYLOAD: b"hi", REPLY_PATH: bytes.fromhex(path["blindedpath"])}, None)


@pytest.mark.bolt("B4-123", "B4-127")
async def test_a_program_hears_and_answers(nodes: Nodes) -> None:
    """One that copies 513 gets the messages for this node beside its copies."""
    rpc_file = nodes.directory("node") / NETWORK / "lightning-rpc"
    program = shlex.join([sys.executable, "-P", str(PROGRAM), str(rpc_file)])
    node = nodes.start(f"--service=clerk={program}", "--copy=clerk=513", "--onion-messages=all", name="node")
    a = Side(0x2D)
    async with await a.join(node):
        assert a.is_offered_onion_messages()
        back = path_to([a.node_id], b"mine", new_secret()).encode()
        made = await node.rpc("blindedpath", service="clerk", context=b"order 8".hex())
        ours = read_path(bytes.fromhex(made["blindedpath"]))
        for path, answered in (
            (ours, b"order 8/question"),
            (path_to([bytes.fromhex(node.node_id)], b"invented", new_secret()), b"-/question"),
        ):
            await a.peer.say(onion(path, b"question", back))
            assert await a.hears() == Final({PAYLOAD: answered}, b"mine")
        await node.logged("a peer has said 0201")


@pytest.mark.bolt("B4-131")
async def test_channels_by_default(nodes: Nodes) -> None:
    """oniond is there as soon as a service has a channel, and relays for its peers only."""
    node = nodes.start()
    a, b, stranger = Side(0x27), Side(0x28), Side(0x29)
    assert "oniond" not in node.pids()
    async with await a.join(node), await b.join(node), BusService("channels", node.directory) as service:
        assert not a.is_offered_onion_messages()
        our_id = bytes.fromhex(node.node_id)
        await service.join()
        channels = [{"channel_id": bytes([n]) * 32, "node_id": side.node_id} for n, side in ((1, a), (2, b))]
        await service.ask("register", channels=channels)
        await has_oniond(node)
        async with await stranger.join(node):
            assert stranger.is_offered_onion_messages()
            await stranger.peer.say(onion(path_to([our_id, b.node_id], None, new_secret()), b"a stranger's"))
            await stranger.peer.sync()
            await a.peer.say(onion(path_to([our_id, stranger.node_id], None, new_secret()), b"to a stranger"))
            await a.peer.say(onion(path_to([our_id, b.node_id], None, new_secret()), b"ours"))
            assert await b.hears() == Final({PAYLOAD: b"ours"}, None)
            await stranger.peer.sync()
            assert not any(isinstance(message, OnionMessage) for message in stranger.peer.heard)


async def test_none(nodes: Nodes) -> None:
    node = nodes.start("--onion-messages=none")
    async with BusService("channels", node.directory) as service:
        await service.join()
        with pytest.raises(BusRefused, match="--onion-messages=none"):
            await service.ask("register", onion_messages=[PAYLOAD])
        await service.ask("register", channels=[{"channel_id": b"\1" * 32, "node_id": Side(0x2A).node_id}])
        assert "oniond" not in node.pids()


async def test_oniond_dies_and_is_restarted(nodes: Nodes) -> None:
    node = nodes.start("--onion-messages=all")
    a, b = Side(0x2B), Side(0x2C)
    async with await a.join(node), await b.join(node):
        path = [bytes.fromhex(node.node_id), b.node_id]
        (old,) = node.pids_of("oniond")
        assert (await node.rpc("restart", what="oniond"))["restarted"] == "oniond"
        await a.peer.say(onion(path_to(path, None, new_secret()), b"after a restart"))
        assert await b.hears() == Final({PAYLOAD: b"after a restart"}, None)
        victim = node.pids()["oniond"]
        assert victim != old
        os.kill(victim, signal.SIGKILL)
        await node.logged("oniond was restarted$")
        await a.peer.say(onion(path_to(path, None, new_secret()), b"after a death"))
        assert await b.hears() == Final({PAYLOAD: b"after a death"}, None)
        assert set((await node.peers()).keys()) == {a.node_id.hex(), b.node_id.hex()}
