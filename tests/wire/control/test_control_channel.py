"""Control channels over real socketpairs: queues, the end, and what the other end may not do."""

import asyncio
import errno
import itertools
import logging
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wire.control.control_ends import End, Pair, fill, hint, is_open, long_reply, new_pipe, numbers, same_pipe
from wire.control import control_channel, control_socket
from wire.control.control_channel import ChannelClosed, ControlChannel, receive_message, send_message
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    ClientHsmfd,
    Ecdh,
    EcdhReply,
    GossipGetAddrs,
    GossipNewPeerReply,
    ReachPeerReplyfail,
)

ROOT = Path(__file__).parents[3]


async def test_messages_arrive_in_order_with_their_fds_when_the_socket_is_full(ends: Pair) -> None:
    filled = fill(ends[0])
    master = ControlChannel(ends[0], "hsmd", lambda message: None, lambda reason: None)
    drained = asyncio.Event()
    master.on_drained = drained.set
    pipes = [new_pipe() for _ in range(40)]
    for number, (_, writer) in enumerate(pipes):
        master.send(ClientHsmfd(str(number), writer))
    assert master.queued == 40
    assert all(is_open(writer) for _, writer in pipes)
    assert not drained.is_set()
    hsmd = End(ends[1], "master")
    await hsmd.until(lambda: len(hsmd.got) == filled + 40)
    await drained.wait()
    assert master.queued == 0
    for number, message in enumerate(hsmd.got[filled:]):
        assert isinstance(message, ClientHsmfd)
        assert message.client == str(number)
        assert same_pipe(message.fd, pipes[number][0])
        os.close(message.fd)
        os.close(pipes[number][0])
    master.close()
    hsmd.channel.close()


async def test_two_ends_that_only_talk_do_not_lock_each_other_up(ends: Pair) -> None:
    one, other = End(ends[0], "connectd"), End(ends[1], "master")
    for number in range(600):
        one.channel.send(hint(number))
        other.channel.send(long_reply(number))
    await other.until(lambda: len(other.got) == 600)
    await one.until(lambda: len(one.got) == 600)
    assert numbers(other.got) == list(range(600))
    one.channel.close()
    other.channel.close()


async def test_reading_gives_other_events_their_turn(ends: Pair) -> None:
    for number in range(200):
        send_message(ends[0], hint(number, 10))
    end = End(ends[1], "master")
    seen: list[int] = []
    asyncio.get_running_loop().call_soon(lambda: seen.append(len(end.got)))
    while len(end.got) < 200:
        await asyncio.sleep(0)
        seen.append(len(end.got))
    assert all(later - earlier <= control_channel.READS_PER_TURN for earlier, later in itertools.pairwise(seen))
    end.channel.close()


async def test_catching_up_with_all_that_has_come_and_not_with_one_who_never_ends(ends: Pair) -> None:
    end = End(ends[1], "master")
    for number in range(200):
        send_message(ends[0], hint(number, 10))
    end.channel.catch_up()
    assert numbers(end.got) == list(range(200))

    def speak_on(message: ControlMessage) -> None:
        end.got.append(message)
        send_message(ends[0], hint(0, 10))

    end.on_message = speak_on
    send_message(ends[0], hint(0, 10))
    end.channel.catch_up()
    assert control_channel.MARK <= len(end.got) - 200 <= control_channel.MARK + control_channel.READS_PER_TURN
    end.channel.close()
    end.channel.catch_up()


@pytest.mark.parametrize("code", [errno.ETOOMANYREFS, errno.ENOBUFS, errno.EMFILE])
async def test_what_the_kernel_has_no_room_for_is_tried_again_by_a_timer(
    ends: Pair, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    tries = 0

    def refuse(*arguments: object) -> None:
        nonlocal tries
        tries += 1
        raise OSError(code, os.strerror(code))

    really = control_socket.transmit
    monkeypatch.setattr(control_channel, "transmit", refuse)
    master, hsmd = End(ends[0], "hsmd"), End(ends[1], "master")
    reader, writer = new_pipe()
    master.channel.send(ClientHsmfd("first", writer))
    master.channel.send(ClientHsmfd("second", reader))
    for _ in range(50):
        await asyncio.sleep(0)
    assert tries <= 3  # a writer callback would have come at every turn
    assert master.channel.queued == 2
    assert is_open(reader)
    assert is_open(writer)
    monkeypatch.setattr(control_channel, "transmit", really)
    await hsmd.until(lambda: len(hsmd.got) == 2)
    assert [message.client for message in hsmd.got if isinstance(message, ClientHsmfd)] == ["first", "second"]
    for message in hsmd.got:
        message.close_fds()
    master.channel.close()
    hsmd.channel.close()


def test_too_many_fds_in_flight_wait_like_any_others() -> None:
    """The real limit, which root does not have: at most RLIMIT_NOFILE fds of one user are in flight."""
    path = f"sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]"
    program = f"import sys; {path}; import asyncio, test_control_channel as test; asyncio.run(test.fill_with_fds())"
    done = subprocess.run([sys.executable, "-B", "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "60 came in order, ETOOMANYREFS at first\n"), done.stderr


async def fill_with_fds() -> None:
    """Runs in a process of its own, as an ordinary user who may have 50 fds."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    refusals = set()

    def watched(sock: socket.socket, datagram: bytes, fds: list[int], flags: int) -> None:
        try:
            control_socket.transmit(sock, datagram, fds, flags)
        except OSError as error:
            refusals.add(errno.errorcode[error.errno or 0])
            raise

    control_channel.transmit = watched  # type: ignore[attr-defined]
    master = ControlChannel(left, "hsmd", lambda message: None, lambda reason: None)
    for number in range(60):
        master.send(ClientHsmfd(str(number), Fd(os.open(os.devnull, os.O_RDONLY))))
    hsmd = End(right, "master")
    hsmd.on_message = lambda message: (message.close_fds(), hsmd.got.append(message))[-1]
    await hsmd.until(lambda: len(hsmd.got) == 60)
    clients = [message.client for message in hsmd.got if isinstance(message, ClientHsmfd)]
    assert clients == [str(number) for number in range(60)]
    print("60 came in order,", *refusals, "at first")
    master.close()
    hsmd.channel.close()


async def test_eof_ends_the_channel_and_all_that_waits(ends: Pair) -> None:
    connectd = End(ends[0], "hsmd", window=1)
    asked = [asyncio.create_task(connectd.channel.request(Ecdh(b""), EcdhReply)) for _ in range(3)]
    await asyncio.sleep(0)
    ends[1].close()
    assert [type(error) for error in await asyncio.gather(*asked, return_exceptions=True)] == [ChannelClosed] * 3
    assert connectd.reasons == ["hsmd has closed its end"]
    assert connectd.channel.closed
    assert (connectd.channel.fileno(), connectd.channel.queued) == (-1, 0)
    assert connectd.channel.close() == []
    with pytest.raises(ChannelClosed):
        await connectd.channel.request(Ecdh(b""), EcdhReply)


async def test_what_waits_in_the_channel_is_read_before_the_end(ends: Pair) -> None:
    for number in range(100):
        send_message(ends[0], hint(number, 10))
    ends[0].close()
    connectd = End(ends[1], "master")
    connectd.channel.send(ReachPeerReplyfail("", 401, []))  # EPIPE: no reason not to read
    await connectd.until(lambda: bool(connectd.reasons))
    assert numbers(connectd.got) == list(range(100))
    assert connectd.channel.close() == [ReachPeerReplyfail("", 401, [])]


async def test_hearing_out_the_dead(ends: Pair) -> None:
    """At once, and with the same end; of a neighbour that lives, what it has said so far."""
    for number in range(100):
        send_message(ends[0], hint(number, 10))
    connectd = End(ends[1], "master")
    assert connectd.channel.hear_out() == []
    assert (numbers(connectd.got), connectd.channel.closed) == (list(range(100)), True)
    assert connectd.channel.hear_out() == []
    assert ends[0].recv(1) == b""
    ends[0].close()


async def test_close_gives_back_what_was_never_sent(ends: Pair) -> None:
    filled = fill(ends[0])
    master = End(ends[0], "hsmd")
    reader, writer = new_pipe()
    master.channel.send(ClientHsmfd("connectd", writer))
    assert master.channel.close() == [ClientHsmfd("connectd", writer)]
    assert is_open(writer)
    assert master.channel.close() == []
    with pytest.raises(ChannelClosed):
        master.channel.send(ClientHsmfd("connectd", writer))
    assert is_open(writer)
    os.close(writer)
    os.close(reader)
    assert master.reasons == []
    assert sum(1 for _ in iter(lambda: receive_message(ends[1], "master"), None)) == filled


async def test_a_reply_on_a_closed_channel_is_dropped_with_its_fds(ends: Pair) -> None:
    gossipd = End(ends[0], "connectd")
    gossipd.channel.close()
    reader, writer = new_pipe()
    gossipd.channel.reply(GossipGetAddrs(b"", request_id=1), GossipNewPeerReply(writer))
    assert os.read(reader, 1) == b""
    os.close(reader)


async def test_a_handler_may_close_the_channel(ends: Pair) -> None:
    for number in range(5):
        send_message(ends[0], hint(number))
    end = End(ends[1], "master")

    def take(message: ControlMessage) -> None:
        end.got.append(message)
        if len(end.got) == 2:
            end.channel.close()

    end.on_message = take
    await end.until(lambda: len(end.got) == 2)
    await asyncio.sleep(0)
    assert (numbers(end.got), end.reasons) == ([0, 1], [])


@pytest.mark.parametrize("datagram", [b"\x00", hint(1).encode()[0], Ecdh(b"").encode()[0][:-1]])
async def test_a_broken_other_end_is_closed_with_a_verdict(
    ends: Pair, datagram: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    end = End(ends[0], "connectd")
    ends[1].send(datagram)
    await end.until(lambda: bool(end.reasons))
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert [record.getMessage()] == end.reasons
    assert end.got == []
    assert end.channel.close() == []


async def test_a_message_that_cannot_be_sent_at_all_ends_the_channel_later(
    ends: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    master = End(ends[0], "hsmd")
    bad = ClientHsmfd("connectd", Fd(1000))
    master.channel.send(bad)
    assert master.reasons == []  # not while the sender is in the midst of something
    await master.until(lambda: bool(master.reasons))
    assert master.reasons == ["client_hsmfd cannot be sent to hsmd: [Errno 9] Bad file descriptor"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert master.channel.close() == [bad]


@pytest.mark.parametrize(("size", "most"), [(10, control_channel.MARK), (50_000, control_channel.MARK_BYTES // 50_000)])
async def test_one_that_is_behind(ends: Pair, size: int, most: int) -> None:
    """By the number of what waits, or by its bytes; until all has been taken."""
    fill(ends[0])
    master = ControlChannel(ends[0], "connectd", lambda message: None, lambda reason: None)
    drained = asyncio.Event()
    master.on_drained = drained.set
    sent = 0
    while not master.behind:
        master.send(hint(sent, size))
        sent += 1
    assert abs(sent - most) < 3
    connectd = End(ends[1], "master")
    await drained.wait()
    assert not master.behind
    assert not master.queued
    for number in range(sent):
        master.send(hint(number, size))
    master.close()
    assert not master.behind
    connectd.channel.close()


async def test_one_that_is_held_reads_later(ends: Pair) -> None:
    connectd, other = End(ends[0], "master"), ControlChannel(ends[1], "connectd", print, print)
    connectd.channel.pause_reading(paused=True)
    connectd.channel.pause_reading(paused=True)
    other.send(hint(1))
    for _ in range(5):
        await asyncio.sleep(0)
    assert connectd.got == []
    connectd.channel.pause_reading(paused=False)
    await connectd.until(lambda: numbers(connectd.got) == [1])
    connectd.channel.pause_reading(paused=True)
    connectd.channel.close()
    connectd.channel.pause_reading(paused=False)
    other.close()
