"""Requests over control channels: replies, refusals, the window, cancellation."""

import asyncio
import logging
import os

import pytest

from tests.wire.control.control_ends import End, Pair, as_request, new_pipe
from wire.control.control_channel import ChannelClosed, ControlChannel, RequestFailed, receive_message, send_message
from wire.control.control_message import Reply
from wire.control.control_wire import (
    Ecdh,
    EcdhReply,
    GossipGetAddrs,
    GossipGetAddrsReply,
    GossipNewPeerReply,
    ReachPeer,
    ReachPeerReplyfail,
)


class Hsmd(End):
    """Answers `ecdh` when it is told to."""

    def requests(self) -> list[Ecdh]:
        return [message for message in self.got if isinstance(message, Ecdh)]

    def answer(self, index: int) -> None:
        request = self.requests()[index]
        self.channel.reply(request, EcdhReply(request.point * 2))


async def ask(channel: ControlChannel, point: bytes) -> bytes:
    """The answer that Hsmd gives."""
    return (await channel.request(Ecdh(point), EcdhReply)).shared_secret


async def test_replies_find_their_requests_in_any_order(ends: Pair) -> None:
    connectd, hsmd = End(ends[0], "hsmd"), Hsmd(ends[1], "connectd")
    tasks = [asyncio.create_task(ask(connectd.channel, bytes([65 + number]))) for number in range(3)]
    await hsmd.until(lambda: len(hsmd.got) == 3)
    for index in (2, 0, 1):
        hsmd.answer(index)
    assert await asyncio.gather(*tasks) == [b"AA", b"BB", b"CC"]
    assert connectd.got == []
    connectd.channel.close()
    hsmd.channel.close()


async def test_a_refusal_is_an_exception(ends: Pair) -> None:
    master, connectd = End(ends[0], "connectd"), End(ends[1], "master")
    refusal = ReachPeerReplyfail("nobody at home", 401, [("1.2.3.4:9735", "refused")])
    connectd.on_message = lambda message: connectd.channel.reply(as_request(message), refusal)
    with pytest.raises(RequestFailed, match="nobody at home") as failed:
        await master.channel.request(ReachPeer(b"", []), Reply)
    assert failed.value.refusal == refusal
    master.channel.close()
    connectd.channel.close()


async def test_an_answer_to_another_question_is_broken(ends: Pair, caplog: pytest.LogCaptureFixture) -> None:
    connectd, hsmd = End(ends[0], "gossipd"), End(ends[1], "connectd")
    reader, writer = new_pipe()
    hsmd.on_message = lambda message: hsmd.channel.reply(as_request(message), GossipNewPeerReply(writer))
    with pytest.raises(ChannelClosed, match="gossipd answered gossip_get_addrs with gossip_new_peer_reply"):
        await connectd.channel.request(GossipGetAddrs(b""), GossipGetAddrsReply)
    assert connectd.reasons == ["gossipd answered gossip_get_addrs with gossip_new_peer_reply"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert os.read(reader, 1) == b""
    os.close(reader)
    hsmd.channel.close()


async def test_a_wrong_reply_type_is_our_own_bug(ends: Pair) -> None:
    connectd, hsmd = End(ends[0], "hsmd"), Hsmd(ends[1], "connectd")
    task = asyncio.create_task(connectd.channel.request(Ecdh(b"A"), GossipGetAddrsReply))
    await hsmd.until(lambda: len(hsmd.got) == 1)
    hsmd.answer(0)
    with pytest.raises(TypeError, match="ecdh is answered by ecdh_reply, not by gossip_get_addrs_reply"):
        await task
    connectd.channel.close()
    hsmd.channel.close()


async def test_a_reply_that_nobody_waits_for_is_an_ordinary_message(ends: Pair) -> None:
    connectd = End(ends[0], "hsmd")
    send_message(ends[1], EcdhReply(b"", request_id=77))
    await connectd.until(lambda: bool(connectd.got))
    assert connectd.got == [EcdhReply(b"", request_id=77)]
    connectd.channel.close()


async def test_the_window(ends: Pair) -> None:
    connectd, hsmd = End(ends[0], "hsmd", window=2), Hsmd(ends[1], "connectd")
    drained = asyncio.Event()
    connectd.channel.on_drained = drained.set
    tasks = [asyncio.create_task(ask(connectd.channel, bytes([65 + number]))) for number in range(5)]
    await hsmd.until(lambda: len(hsmd.got) == 2)
    assert connectd.channel.queued == 3
    hsmd.answer(1)
    await hsmd.until(lambda: len(hsmd.got) == 3)
    assert not drained.is_set()
    for index in (0, 2):
        hsmd.answer(index)
    await hsmd.until(lambda: len(hsmd.got) == 5)
    assert [request.point for request in hsmd.requests()] == [b"A", b"B", b"C", b"D", b"E"]
    assert drained.is_set()
    assert connectd.channel.queued == 0
    for index in (3, 4):
        hsmd.answer(index)
    assert await asyncio.gather(*tasks) == [b"AA", b"BB", b"CC", b"DD", b"EE"]
    connectd.channel.close()
    hsmd.channel.close()


async def test_a_cancelled_request_keeps_its_place_until_its_reply_comes(ends: Pair) -> None:
    connectd, hsmd = End(ends[0], "hsmd", window=1), Hsmd(ends[1], "connectd")
    cancelled, never_sent, last = (asyncio.create_task(ask(connectd.channel, point)) for point in (b"A", b"B", b"C"))
    await hsmd.until(lambda: len(hsmd.got) == 1)
    cancelled.cancel()
    never_sent.cancel()
    await asyncio.wait([cancelled, never_sent])
    assert connectd.channel.queued == 1
    assert len(hsmd.got) == 1
    hsmd.answer(0)
    await hsmd.until(lambda: len(hsmd.got) == 2)
    hsmd.answer(1)
    assert await last == b"CC"
    assert connectd.got == []
    connectd.channel.close()
    hsmd.channel.close()


@pytest.mark.parametrize("late", [True, False])
async def test_the_fd_of_a_reply_that_comes_with_the_cancellation_or_later_is_closed(ends: Pair, late: bool) -> None:
    connectd = End(ends[0], "gossipd")
    task = asyncio.create_task(connectd.channel.request(GossipGetAddrs(b""), GossipGetAddrsReply))
    await asyncio.sleep(0)
    asked = receive_message(ends[1], "connectd")
    assert asked is not None
    reader, writer = new_pipe()
    reply = GossipGetAddrsReply([], request_id=as_request(asked).request_id)
    reply.close_fds = lambda: os.close(writer)  # type: ignore[method-assign]
    waiting = connectd.channel._outstanding[reply.request_id]
    if late:
        task.cancel()
        await asyncio.wait([task])
    connectd.channel._take_reply(waiting, reply)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert os.read(reader, 1) == b""
    os.close(reader)
    connectd.channel.close()
