"""The CTL bus over real ZMQ sockets: sessions, registrations, events, copies."""

import pytest

from lightningd_py.bus.ctl_bus import CtlBus
from lightningd_py.bus.in_hand import MAX_IN_HAND
from lightningd_py.owners.claims import GOSSIPD
from tests.lightningd_py.bus.ctl_master import NODE, ODD, OTHER, OWN, CtlMaster, Service, Services, until_gone
from wire.bus.sessions import MAX_FAULTS
from wire.control.control_wire import OnionForUs, PeerInfo, PeerTaken, RemoteChannelUpdate
from wire.secp256k1 import public_key

CHANNEL = bytes(range(32))


# sessions


async def test_welcome_says_all_that_a_service_needs(services: Services, master: CtlMaster) -> None:
    welcome = await services.connect().ask("hello", service="alice")
    assert len(welcome.pop("ticket")) == 16
    assert welcome.pop("version")
    assert welcome == {
        "v": 1,
        "type": "welcome",
        "service": "alice",
        "node_id": OWN,
        "network": "regtest",
        "features": b"\x02",
        "msg": "ipc:///msg",
        "node_ids": [],
        "channels": [],
        "id": 1,
    }
    assert master.renamed.get_nowait() == "alice"


async def test_a_name_is_one_service_at_a_time(services: Services, alice: Service) -> None:
    other = services.connect()
    assert await other.refused("hello", service="alice") == "service alice is here already"
    assert await other.refused("hello", service="s") == "service s is a program"
    assert await other.refused("hello", service="gossipd") == "'gossipd' is the name of a daemon"
    assert (await other.refused("hello", service="A b")).startswith("'A b' is no name of a service")
    assert await other.refused("list_peers") == "say hello first"
    await alice.done("register", take=[40001])
    await other.ask("hello", service="bob")
    await other.done("register", take=[40003])


async def test_nothing_is_asked_while_a_daemon_does_not_keep_up(alice: Service, master: CtlMaster) -> None:
    master.gossipd.behind = True
    reason = "a daemon of the node does not keep up: try again in a moment"
    assert await alice.refused("register", take=[40001]) == reason
    master.gossipd.behind = False
    await alice.done("register", take=[40001])


async def test_what_is_kept_is_told_when_it_comes_back(services: Services, alice: Service, master: CtlMaster) -> None:
    channel = {"channel_id": CHANNEL, "node_id": OTHER, "short_channel_id": 5}
    await alice.done("register", node_ids=[NODE], channels=[channel], take=[40001], copy=[40003], offer=["400"])
    first = master.registrations.named("alice")
    assert first is not None
    ticket = first.ticket
    await alice.say("goodbye", reason="later\n")
    await until_gone(master, "alice")
    kept = master.registrations.named("alice")
    assert kept is not None and (list(kept.take), list(kept.copy), list(kept.offer)) == ([], [], [])
    welcome = await services.connect().ask("hello", service="alice")
    assert (welcome["node_ids"], welcome["channels"]) == ([NODE], [channel])
    assert welcome["ticket"] != ticket


async def test_a_service_that_dies_has_left(services: Services, alice: Service, master: CtlMaster) -> None:
    await alice.done("register", take=[40001], events=True)
    alice.socket.close()
    await until_gone(master, "alice")
    bob = await services.join("bob")
    await bob.done("register", take=[40001])


async def test_ten_wrong_messages_in_a_row_end_a_session(alice: Service, services: Services, master: CtlMaster) -> None:
    for _ in range(MAX_FAULTS - 1):
        await alice.say_raw(b"\x81" * 1000)
    await alice.done("register", take=[40001])
    for _ in range(MAX_FAULTS):
        await alice.say("take_peer")
    errors = [(await alice.hear("error"))["error"] for _ in range(2 * MAX_FAULTS - 1)]
    assert errors[0] == "that is no msgpack"
    assert errors[-1] == "there is no message of type 'take_peer' from a service on ctl"
    assert (await alice.hear("goodbye"))["reason"] == "10 messages in a row were wrong"
    await until_gone(master, "alice")
    await services.join("alice")


# registrations


async def test_registering_is_all_or_nothing_and_ten_refusals_harm_nobody(services: Services, alice: Service) -> None:
    await alice.done("register", take=[64], node_ids=[NODE])
    bob = await services.join("bob")
    for _ in range(MAX_FAULTS + 1):
        assert await bob.refused("register", node_ids=[OTHER], take=[64]) == "message 64 (open_channel2) is alice's"
    assert await bob.refused("register", node_ids=[NODE]) == f"node {NODE.hex()} is alice's"
    await bob.refused("register", take=[256])
    await bob.refused("register", node_ids=[bytes(33)])
    await bob.refused("register", offer=["flying"])
    listed = (await bob.ask("list_registrations"))["services"]
    assert [(entry["service"], entry["kind"], entry["take"]) for entry in listed] == [
        ("s", "program", [32]),
        ("alice", "bus", [64]),
        ("bob", "bus", []),
    ]


async def test_what_is_taken_back_can_be_had_by_others(services: Services, alice: Service) -> None:
    await alice.done("register", take=[40001], node_ids=[NODE])
    await alice.done("unregister", take=[40001, 40003], node_ids=[NODE, OTHER])
    bob = await services.join("bob")
    await bob.done("register", take=[40001], node_ids=[NODE])


# events and copies


async def test_connections_are_told_to_who_asked_for_that(
    services: Services, alice: Service, master: CtlMaster
) -> None:
    bob = await services.join("bob")
    await alice.done("register", events=True)
    peer = master.connected()
    shown = {
        "node_id": NODE,
        "conn_id": 1,
        "owner": "gossipd",
        "address": peer.address,
        "incoming": True,
        "features": b"",
    }
    assert (await alice.hear("peer_connected"))["peer"] == shown
    assert (await bob.ask("list_peers"))["peers"] == [shown]
    found = master.ownership.peers.get(1)
    assert found is not None
    for listener in master.ownership.moved:
        listener(found)
    assert await alice.hear() == {"v": 1, "type": "peer_owner", "node_id": NODE, "conn_id": 1, "owner": "gossipd"}
    master.gone()
    ended = {"v": 1, "type": "peer_disconnected", "node_id": NODE, "conn_id": 1, "reason": "it hung up"}
    assert await alice.hear() == ended
    await alice.done("unregister", events=True)
    master.connected(2)
    assert (await alice.ask("list_peers"))["peers"] == [shown | {"conn_id": 2}]
    assert (alice.heard, bob.heard) == ([], [])


async def test_copies_come_to_who_is_registered_for_them(services: Services, alice: Service, master: CtlMaster) -> None:
    bob = await services.join("bob")
    await alice.done("register", copy=[0x8001])
    master.connected()
    master.copy()
    assert await alice.hear() == {
        "v": 1,
        "type": "peer_message",
        "node_id": NODE,
        "conn_id": 1,
        "message_type": 0x8001,
        "channel_id": None,
        "message": ODD,
        "lost": 0,
    }
    master.copy(b"\x80\x03")
    await bob.ask("list_peers")
    assert (alice.heard, bob.heard) == ([], [])


@pytest.mark.parametrize("room", [50])
async def test_onion_messages_come_and_those_that_are_lost_are_counted(
    alice: Service, master: CtlMaster, caplog: pytest.LogCaptureFixture
) -> None:
    await alice.done("register", onion_messages=[64])
    to_bus = master.onions.services.to_bus
    to_bus("alice", OnionForUs([(64, b"x")], b"path", NODE, "alice", b"7"))
    assert await alice.hear() == {
        "v": 1,
        "type": "onion_message",
        "fields": [{"type": 64, "value": b"x"}],
        "reply_path": b"path",
        "path_key": NODE,
        "own_path": True,
        "context": b"7",
        "lost": 0,
    }
    sent = 0
    while "service alice takes no onion messages: 2 are lost so far" not in caplog.text:
        to_bus("alice", OnionForUs([(64, bytes(30_000))], b"", NODE, None, b""))
        sent += 1
    heard = [await alice.hear("onion_message")]
    while sum(1 + message["lost"] for message in heard) < sent:
        if not await alice.socket.poll(100):
            to_bus("alice", OnionForUs([(64, b"")], b"", NODE, None, b""))
            sent += 1
        else:
            heard.append(await alice.hear("onion_message"))
    assert sum(message["lost"] for message in heard) >= 2


@pytest.mark.parametrize("room", [50])
async def test_lost_copies_are_counted_and_others_go_on(
    services: Services, alice: Service, master: CtlMaster, caplog: pytest.LogCaptureFixture
) -> None:
    bob = await services.join("bob")
    await alice.done("register", copy=[0x8001])
    await bob.done("register", copy=[0x8001])
    master.connected()
    sent = 0
    while "service alice takes no copies: 2 are lost so far" not in caplog.text:
        master.copy(ODD + bytes(60_000))
        sent += 1
        assert (await bob.hear("peer_message"))["lost"] == 0
    heard = [await alice.hear("peer_message")]
    while sum(1 + copy["lost"] for copy in heard) < sent:
        if not await alice.socket.poll(100):
            master.copy()
            sent += 1
        else:
            heard.append(await alice.hear("peer_message"))
    assert sum(copy["lost"] for copy in heard) >= 2


@pytest.mark.parametrize("room", [2])
async def test_lists_wait_until_what_was_said_before_has_found_room(
    services: Services, alice: Service, ctl: CtlBus, master: CtlMaster
) -> None:
    """A list may have some MB: a service that asks and does not read makes nothing grow."""
    bob = await services.join("bob")
    await alice.done("register", node_ids=[public_key((number + 5).to_bytes(32, "big")) for number in range(1_000)])
    session = ctl._sessions.named("alice")
    assert session is not None
    asked = 0
    while len(session.queue) < 2:  # ZMQ's room is full, here and there: a list waits in our queue, and a refusal
        await alice.say("list_registrations", id=5_000 + asked)
        asked += 1
        await bob.ask("list_peers")
    assert sum(len(body) > 33_000 for body in session.queue) <= 1
    assert ctl._in_hand._counts[session] == MAX_IN_HAND
    answers = [await alice.hear(id=5_000 + number) for number in range(asked)]
    refused = [answer["error"] for answer in answers if answer["type"] != "registrations"]
    assert set(refused) == {"64 requests of this service are in hand already"}
    assert len(refused) < asked


@pytest.mark.parametrize("room", [2])
async def test_who_does_not_read_its_events_is_cut_off(services: Services, alice: Service, master: CtlMaster) -> None:
    bob = await services.join("bob")
    await alice.done("register", events=True)
    conn_id = 0
    while master.registrations.named("alice") is not None:
        for _ in range(100):
            conn_id += 1
            peer = PeerInfo(NODE, conn_id, "x" * 4_000, True, None, b"", [])
            master.ownership.peer_handed_over(peer)
            master.ownership.heard(GOSSIPD, PeerTaken(peer))
            master.gone(conn_id)
        await bob.ask("list_registrations")
    await bob.done("register", take=[40001])


async def test_who_has_lost_its_session_on_msg_is_told(alice: Service, master: CtlMaster) -> None:
    master.registrations.msg_lost("nobody")
    master.registrations.msg_lost("alice")
    assert (await alice.hear())["error"] == "connectiond has died: say hello on MSG again"


async def test_private_channel_updates_come_to_their_service(alice: Service, master: CtlMaster) -> None:
    master.registrations.remote_update_to("alice", RemoteChannelUpdate(NODE, 5, "alice", b"update"))
    master.registrations.remote_update_to("nobody", RemoteChannelUpdate(NODE, 5, "nobody", b"update"))
    assert await alice.hear() == {
        "v": 1,
        "type": "remote_channel_update",
        "node_id": NODE,
        "short_channel_id": 5,
        "channel_update": b"update",
    }
