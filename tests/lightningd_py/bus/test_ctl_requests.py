"""What services ask for on CTL: about peers, signatures; and how many of them there may be."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.bus import in_hand
from lightningd_py.bus.ctl_bus import CtlBus
from lightningd_py.registrations.registered import MOST_PAYLOADS
from tests.lightningd_py.bus.ctl_master import NODE, ODD, OTHER, CtlMaster, Service, Services, until_gone
from wire.control.control_wire import ReachPeer, ReachPeerReply, ReachPeerReplyfail, SendMessage, SendMessageReply

# requests about peers


async def test_connect(alice: Service, master: CtlMaster) -> None:
    def reached(asked: Any) -> ReachPeerReply:
        assert asked == ReachPeer(NODE, ["127.0.0.1:9735"])
        return ReachPeerReply(master.connected())

    master.connectd.answer = reached
    answer = await alice.ask("connect", node_id=NODE, address="127.0.0.1:9735")
    assert (answer["type"], answer["peer"]["conn_id"], answer["peer"]["owner"]) == ("connected", 1, "gossipd")


async def test_connect_that_fails(alice: Service, master: CtlMaster) -> None:
    master.connectd.answer = lambda asked: ReachPeerReplyfail("no address is known", 400, [])
    assert await alice.refused("connect", node_id=NODE) == "no address is known"
    assert await alice.refused("connect", node_id=bytes(33)) == "node_id: it is no point on the curve"
    assert await alice.refused("connect", node_id=b"x") == "node_id: it is no point on the curve"
    assert (await alice.refused("connect", node_id=NODE, address="a:b:c")).startswith("address: ")
    assert await alice.refused("connect") == "connect: node_id is missing"


async def test_disconnect(services: Services, alice: Service, master: CtlMaster) -> None:
    assert await alice.refused("disconnect", node_id=NODE) == "Peer not connected"
    assert await alice.refused("disconnect") == "node_id: it is missing"
    master.connected()
    await alice.say("disconnect", id="mine", node_id=NODE)
    bob = await services.join("bob")  # by now the first request has been seen
    master.gone()
    assert (await alice.hear(id="mine"))["type"] == "ok"
    peer = master.connected(2)
    found = master.ownership.peers.get(peer.conn_id)
    assert found is not None
    found.owner = "alice"
    assert await bob.refused("disconnect", node_id=NODE) == "the connection is service alice's"
    assert found.end_wanted is None


async def test_release_needs_a_session_on_msg(alice: Service, master: CtlMaster) -> None:
    master.connected()
    refusal = "say hello on MSG first: connections are handed over there"
    assert await alice.refused("release_peer", node_id=NODE) == refusal
    master.registrations.present("alice", True)
    assert await alice.refused("release_peer", node_id=OTHER) == "Peer not connected"
    await alice.done("release_peer", node_id=NODE)
    assert await alice.refused("release_peer", node_id=NODE) == "the connection is gossipd's"


async def test_connectiond_has_said_that_a_service_is_there_and_nobody_has_read_it(
    alice: Service, master: CtlMaster
) -> None:
    """Two sockets, two orders: what the service has said on MSG came before what it says here."""
    peer = master.connected()
    master.connectiond_says = lambda: master.registrations.present("alice", True)
    await alice.done("register", take=[64])
    assert master.registrations.for_message(64, None, peer.node_id) is master.registrations.named("alice")


async def test_release_of_a_service_whose_coming_nobody_has_read(alice: Service, master: CtlMaster) -> None:
    master.connected()
    master.connectiond_says = lambda: master.registrations.present("alice", True)
    await alice.done("release_peer", node_id=NODE)


async def test_a_connection_of_which_connectiond_has_said_that_it_is_over(alice: Service, master: CtlMaster) -> None:
    """The service, which is here, has heard of it on MSG already."""
    master.registrations.present("alice", True)
    master.connected()
    master.connectiond_says = master.gone
    assert (await alice.ask("list_peers"))["peers"] == []


async def test_send_message_of_a_type_that_is_nobodys_or_copied(alice: Service, master: CtlMaster) -> None:
    master.connected()
    master.gossipd.answer = lambda asked: SendMessageReply()
    await alice.done("send_message", node_id=NODE, message=ODD)
    onion = (513).to_bytes(2, "big") + b"onion"
    refusal = "Cannot send messages of type 513 (onion_message)"
    assert await alice.refused("send_message", node_id=NODE, message=onion) == refusal
    assert await alice.refused("send_message", node_id=NODE, message=b"\x80\x02") == (
        "Cannot send messages of even type 32770"
    )
    assert await alice.refused("send_message", node_id=OTHER, message=ODD) == "Peer not connected"
    assert "a message has 2 to 65535 bytes" in await alice.refused("send_message", node_id=NODE, message=b"x")
    await alice.done("register", copy=[513])
    await alice.done("send_message", node_id=NODE, message=onion)
    assert master.gossipd.asked == [SendMessage(NODE, 1, ODD), SendMessage(NODE, 1, onion)]


async def test_signatures_are_for_services_that_may(services: Services, alice: Service, master: CtlMaster) -> None:
    refusal = "nothing is signed for this service: there is no --may-sign=alice"
    assert await alice.refused("sign_channel_announcement", message=b"x") == refusal
    signer = await services.join("signer")
    for _ in range(2):
        answer = await signer.ask("sign_channel_announcement", message=b"x")
        assert (answer["type"], answer["signature"]) == ("signature", bytes(64))
    assert await signer.refused("sign_channel_announcement", message=b"y") == (
        "the channel_announcement is of other nodes"
    )
    assert len(master.signers) == 1
    await signer.say("goodbye")
    await until_gone(master, "signer")


async def test_onion_messages_and_paths(alice: Service, master: CtlMaster) -> None:
    answer = await alice.ask("make_blinded_path", node_ids=[NODE], context=b"7")
    assert (answer["type"], answer["path"]) == ("blinded_path", b"a path")
    await alice.done("send_onion_message", path=b"there", reply_path=b"back", fields=[{"type": 64, "value": b"x"}])
    await alice.done("send_onion_message", node_ids=[NODE, OTHER], fields=[])
    assert master.onions.asked == [
        ([NODE], "alice", b"7"),
        ([], b"there", {64: b"x"}, b"back"),
        ([NODE, OTHER], b"", {}, b""),
    ]
    master.onions.refuses = "the first node is not connected"
    assert await alice.refused("send_onion_message", node_ids=[NODE], fields=[]) == master.onions.refuses
    assert await alice.refused("make_blinded_path") == master.onions.refuses


async def test_onion_messages_of_a_node_that_has_none(alice: Service, master: CtlMaster) -> None:
    assert (await alice.refused("register", onion_messages=[63])).startswith("63 is no type of a payload")
    many = await alice.refused("register", onion_messages=[*range(64, 65 + MOST_PAYLOADS)])
    assert many == "101 types of onion messages are too many for one service, 100 may be"
    master.onions.enabled = False
    assert "--onion-messages=none" in await alice.refused("register", onion_messages=[64])
    await alice.done("register", take=[40_001])


async def test_messages_of_other_buses_have_no_effect(alice: Service) -> None:
    assert await alice.refused("give_back", conn_id=1) == (
        "there is no message of type 'give_back' from a service on ctl"
    )


async def test_so_many_requests_are_in_hand(
    services: Services, alice: Service, master: CtlMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_hand, "MAX_IN_HAND", 1)
    master.connected()
    await alice.say("disconnect", id="waits", node_id=NODE)
    assert await alice.refused("connect", node_id=NODE) == "1 requests of this service are in hand already"
    assert (await alice.ask("list_peers"))["type"] == "peers"
    bob = await services.join("bob")
    assert await bob.refused("connect", node_id=bytes(33)) == "node_id: it is no point on the curve"
    master.gone()
    assert (await alice.hear(id="waits"))["type"] == "ok"


async def test_a_request_in_hand_outlives_its_session(services: Services, alice: Service, master: CtlMaster) -> None:
    master.connected()
    await alice.say("disconnect", node_id=NODE)
    await alice.say("goodbye")
    await until_gone(master, "alice")
    master.gone()
    await services.join("alice")


async def test_a_thousand_connections_that_say_nothing(services: Services, alice: Service, tmp_path: Path) -> None:
    crowd = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(1_000)]
    try:
        directory = os.open(tmp_path, os.O_RDONLY)
        for one in crowd:
            one.connect(f"/proc/self/fd/{directory}/ctl")
        os.close(directory)
        await alice.done("register", take=[40001])
        await (await services.join("bob")).done("register", take=[40003])
    finally:
        for one in crowd:
            one.close()


async def test_so_many_services_are_here(services: Services, alice: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lightningd_py.registrations.registrations.MOST_SERVICES", 1)
    other = services.connect()
    assert await other.refused("hello", service="bob") == "1 services are the most that there may be"
    await alice.done("register", take=[40001])


async def test_bytes_of_requests_in_hand_are_bounded_and_others_have_room(
    services: Services, alice: Service, ctl: CtlBus, master: CtlMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 130,000 bytes for all, one has the half."""
    monkeypatch.setattr(in_hand, "MAX_BYTES", 130_000)
    master.connected()
    bob = await services.join("bob")
    for number in range(5):
        await alice.say("disconnect", id=number, node_id=NODE, padding=bytes(20_000))
    refused = [await alice.hear(id=number) for number in (3, 4)]
    assert {answer["error"] for answer in refused} == {"requests of 60,234 bytes of this service are in hand already"}
    await bob.say("disconnect", id="bob's", node_id=NODE, padding=bytes(20_000))
    assert (await bob.ask("list_peers"))["type"] == "peers"
    master.gone()
    for number in range(3):
        assert (await alice.hear(id=number))["type"] == "ok"
    assert (await bob.hear(id="bob's"))["type"] == "ok"
    assert not (ctl._in_hand._bytes or ctl._in_hand._counts)
