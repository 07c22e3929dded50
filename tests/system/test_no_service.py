"""What a peer's channel messages get where there is no service: the spec's answer, and the peer stays with gossipd."""

from collections.abc import AsyncIterator

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.moves import (
    CHAIN,
    TAKEN,
    TEMPORARY_ID,
    about_channel,
    moves,
    opening,
    owner,
    said,
)
from tests.harness.node import Node, Nodes, RpcError
from wire.peer_wire import ErrorMessage, WarningMessage, message_name


@pytest.fixture(scope="module")
def lonely_node(shared_nodes: Nodes) -> Node:
    return shared_nodes.start(name="lonely")


@pytest.fixture
async def lonely_peer(lonely_node: Node) -> AsyncIterator[ScriptedPeer]:
    async with await ScriptedPeer.connect(lonely_node.target) as peer:
        await peer.sync()
        peer.heard.clear()
        yield peer
    await lonely_node.be_alone()


@pytest.mark.parametrize("number", [32, 64])
async def test_opening_without_service_gets_an_error(lonely_node: Node, lonely_peer: ScriptedPeer, number: int) -> None:
    await lonely_peer.say(opening(number))
    (answer,) = said(await lonely_peer.sync())
    assert isinstance(answer, ErrorMessage)
    assert answer.channel_id == TEMPORARY_ID
    assert await moves(lonely_node, lonely_peer) == [*TAKEN[:2], ("gossipd", "handle_peer")]


@pytest.mark.bolt("B1-36")
@pytest.mark.parametrize("number", [33, 34, 36, 38, 65, 128, 132, 136])
async def test_other_channel_message_without_service_gets_a_warning(
    lonely_node: Node, lonely_peer: ScriptedPeer, number: int
) -> None:
    await lonely_peer.say(about_channel(number))
    (answer,) = said(await lonely_peer.sync())
    assert isinstance(answer, WarningMessage)
    assert answer.channel_id == TEMPORARY_ID
    assert message_name(number) in answer.text()
    assert await owner(lonely_node, lonely_peer) == "gossipd"


@pytest.mark.parametrize(
    "message",
    [about_channel(17), about_channel(1), bytes.fromhex("00ff") + bytes(40)],
)
@pytest.mark.bolt("B1-33")
async def test_what_is_about_no_channel_gets_no_answer(
    lonely_node: Node, lonely_peer: ScriptedPeer, message: bytes
) -> None:
    if message[:2] in (b"\x00\x11", b"\x00\x01"):
        message = message[:34] + b"\x00\x02hi"
    await lonely_peer.say(message)
    assert said(await lonely_peer.sync()) == []
    assert await owner(lonely_node, lonely_peer) == "gossipd"


@pytest.mark.bolt("B1-6", "B1-7")
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (bytes.fromhex("00fe") + bytes(50), "unknown even message type 254"),
        (bytes.fromhex("ea60") + bytes(50), "unknown even message type 60000"),
        (bytes.fromhex("0020"), "open_channel is too short"),
        (opening()[:60], "open_channel is too short"),
        (bytes.fromhex("0026 01"), "shutdown is too short"),
    ],
)
async def test_message_that_ends_the_connection(lonely_peer: ScriptedPeer, message: bytes, reason: str) -> None:
    """A warning says why; no error."""
    await lonely_peer.say(message)
    assert [
        last.text() for last in await lonely_peer.hangs_up() if isinstance(last, WarningMessage | ErrorMessage)
    ] == [reason]


async def test_many_openings_in_one_write(lonely_node: Node, lonely_peer: ScriptedPeer) -> None:
    """The connection goes back and forth for each, and nothing is lost, doubled or out of order."""
    ids = [number.to_bytes(32, "big") for number in range(50)]
    await lonely_peer.say(*(b"\x00\x20" + CHAIN + channel_id + bytes(100) for channel_id in ids))
    answers = await lonely_peer.sync()
    assert [answer.channel_id for answer in answers if isinstance(answer, ErrorMessage)] == ids
    assert await owner(lonely_node, lonely_peer) == "gossipd"


async def test_takepeer_without_such_a_service(lonely_node: Node, lonely_peer: ScriptedPeer) -> None:
    with pytest.raises(RpcError) as error:
        await lonely_node.rpc("takepeer", service="puppet", id=lonely_peer.node_id.hex())
    assert error.value.code == -32602
