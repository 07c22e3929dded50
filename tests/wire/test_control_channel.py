"""Control channels over real socketpairs: whose an fd is at every moment, and what happens when it does not go well."""

import asyncio
import errno
import fcntl
import itertools
import logging
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wire import control_channel, control_socket
from wire.control_channel import ChannelClosed, ControlChannel, RequestFailed, receive_message, send_message
from wire.control_wire import (
    ClientHsmfd,
    ControlError,
    ControlMessage,
    Ecdh,
    EcdhReply,
    Fd,
    GossipGetAddrs,
    GossipGetAddrsReply,
    GossipNewPeerReply,
    PeerAddrhint,
    ReachPeer,
    ReachPeerReplyfail,
    Reply,
    Request,
)

Pair = tuple[socket.socket, socket.socket]
ROOT = Path(__file__).parents[2]


def fd_count() -> int:
    """How many fds this process has open, the one for counting them included."""
    return len(list(Path("/proc/self/fd").iterdir()))


def is_open(fd: int) -> bool:
    """Something is open under this number."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def new_pipe() -> tuple[Fd, Fd]:
    """A pipe: the end that is to travel, and the one that tells which pipe it was."""
    reader, writer = os.pipe()
    return Fd(reader), Fd(writer)


def same_pipe(one: int, other: int) -> bool:
    """Two fds are ends of one pipe."""
    return os.fstat(one).st_ino == os.fstat(other).st_ino


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of a control socket."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield ends
    for end in ends:
        end.close()


class End:
    """A control channel that keeps what it is told."""

    def __init__(self, sock: socket.socket, who: str, **options: Any) -> None:
        self.got: list[ControlMessage] = []
        self.reasons: list[str] = []
        self.heard = asyncio.Event()
        self.on_message: Callable[[ControlMessage], None] = self.got.append
        self.channel = ControlChannel(sock, who, self._take, self._closed, **options)

    def _take(self, message: ControlMessage) -> None:
        self.on_message(message)
        self.heard.set()

    def _closed(self, reason: str) -> None:
        self.reasons.append(reason)
        self.heard.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for messages or the end until it is so."""
        while not condition():
            self.heard.clear()
            await asyncio.wait_for(self.heard.wait(), 10)


def fill(sock: socket.socket) -> int:
    """Put hints into a socket until it takes no more; how many it took."""
    count = 0
    while True:
        try:
            sock.send(hint(count).encode()[0], socket.MSG_DONTWAIT)
        except BlockingIOError:
            return count
        count += 1


def hint(number: int, size: int = 1000) -> PeerAddrhint:
    """A message from the master to connectd."""
    return PeerAddrhint(number.to_bytes(33, "big"), "x" * size)


def long_reply(number: int) -> ControlMessage:
    """A message from connectd to the master that answers no question."""
    return ReachPeerReplyfail("x" * 1000, 400, [("", str(number))])


def numbers(messages: list[ControlMessage]) -> list[int]:
    """Of hints."""
    return [int.from_bytes(message.node_id, "big") for message in messages if isinstance(message, PeerAddrhint)]


# the blocking calls


def test_the_fd_itself_crosses_and_the_senders_copy_is_closed(pair: Pair) -> None:
    reader, writer = new_pipe()
    send_message(pair[0], ClientHsmfd("connectd", writer))
    assert not is_open(writer)
    message = receive_message(pair[1], "master")
    assert isinstance(message, ClientHsmfd)
    assert same_pipe(message.fd, reader)
    assert not os.get_inheritable(message.fd)
    os.close(message.fd)
    assert os.read(reader, 1) == b""  # no other copy of the writer is left anywhere
    os.close(reader)


def test_an_fd_that_was_not_sent_is_still_the_senders(pair: Pair) -> None:
    reader, writer = new_pipe()
    pair[1].close()
    with pytest.raises(BrokenPipeError):
        send_message(pair[0], ClientHsmfd("connectd", writer))
    os.close(writer)
    os.close(reader)


@pytest.mark.parametrize("size", [0, 131_000, 131_072, 300_000, 5_000_000])
def test_messages_of_any_size(pair: Pair, size: int) -> None:
    before = fd_count()
    send_message(pair[0], PeerAddrhint(b"", "x" * size))
    assert receive_message(pair[1], "master") == PeerAddrhint(b"", "x" * size)
    assert fd_count() == before


def test_a_large_message_carries_its_own_fds_behind_the_memfd(pair: Pair) -> None:
    reader, writer = new_pipe()
    send_message(pair[0], ClientHsmfd("x" * 200_000, writer))
    message = receive_message(pair[1], "master")
    assert isinstance(message, ClientHsmfd)
    assert same_pipe(message.fd, reader)
    os.close(message.fd)
    os.close(reader)


def test_too_large_for_any_datagram(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_socket, "MAX_MEMFD", 1000)
    with pytest.raises(ControlError, match="is too large"):
        send_message(pair[0], hint(0))


def test_eof(pair: Pair) -> None:
    send_message(pair[0], hint(1))
    pair[0].close()
    assert receive_message(pair[1], "master") == hint(1)
    assert receive_message(pair[1], "master") is None


def test_what_was_said_before_the_end_is_heard_though_our_words_were_not(pair: Pair) -> None:
    send_message(pair[1], Ecdh(b""))
    send_message(pair[0], hint(1))
    pair[0].close()  # with something unread: the kernel reports ECONNRESET first
    assert receive_message(pair[1], "master") == hint(1)
    assert receive_message(pair[1], "master") is None


def sealed(data: bytes, seals: int = control_socket._SEALS) -> int:
    memfd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.write(memfd, data)
    fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, seals)
    return memfd


def test_envelopes_that_are_refused(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    good, _ = hint(1).encode()
    monkeypatch.setattr(control_socket, "MAX_MEMFD", len(good))
    reader, writer = new_pipe()
    envelopes = [
        ([], "without its memfd"),
        ([sealed(good, fcntl.F_SEAL_WRITE)], "not sealed"),
        ([reader], "cannot be read"),
        ([sealed(good + b"\0")], f"memfd of {len(good) + 1} bytes"),
        ([sealed(good), writer], "1 fds too many"),
        ([sealed(control_socket._ENVELOPE)], "no control message"),
    ]
    for fds, complaint in envelopes:
        before = fd_count()
        socket.send_fds(pair[0], [control_socket._ENVELOPE], fds)
        with pytest.raises(ControlError, match=complaint):
            receive_message(pair[1], "master")
        assert fd_count() == before
        for fd in fds:
            os.close(fd)
    socket.send_fds(pair[0], [control_socket._ENVELOPE], [memfd := sealed(good)])
    os.close(memfd)
    assert receive_message(pair[1], "master") == hint(1)


def test_a_datagram_larger_than_the_buffer_is_refused(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = new_pipe()
    monkeypatch.setattr(control_socket, "DATAGRAM_SIZE", 100)
    before = fd_count()
    socket.send_fds(pair[0], [hint(1).encode()[0]], [reader])
    with pytest.raises(ControlError, match="cut short"):
        receive_message(pair[1], "master")
    assert fd_count() == before
    os.close(reader)
    os.close(writer)


def test_fds_that_find_no_room_are_noticed(pair: Pair) -> None:
    reader, writer = new_pipe()
    send_message(pair[0], ClientHsmfd("connectd", writer))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(ControlError, match="cut short"):
            receive_message(pair[1], "master")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    os.close(reader)


def test_fds_with_an_empty_datagram_are_no_end(pair: Pair) -> None:
    reader, writer = new_pipe()
    socket.send_fds(pair[0], [b""], [reader])
    before = fd_count()
    with pytest.raises(ControlError, match="no control message"):
        receive_message(pair[1], "master")
    assert fd_count() == before
    os.close(reader)
    os.close(writer)


BYTES = st.binary(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5) | BYTES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
NUMBERS = st.sampled_from(sorted(ControlMessage.registry))
DATAGRAMS = st.one_of(
    st.binary(min_size=1, max_size=50),
    VALUES.map(msgpack.packb),
    st.builds(lambda number, rest: msgpack.packb([number, *rest]), NUMBERS, st.lists(VALUES, max_size=8)),
)


@settings(max_examples=300, deadline=None)
@given(datagram=DATAGRAMS, fds=st.integers(0, 3), sender=st.sampled_from(["master", "connectd", "gossipd"]))
def test_whatever_comes_is_a_message_or_an_error_and_no_fd_is_lost(datagram: bytes, fds: int, sender: str) -> None:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with left, right:
        before = fd_count()
        socket.send_fds(left, [datagram], [left.fileno()] * fds)
        try:
            message = receive_message(right, sender)
        except ControlError:
            pass
        else:
            assert message is not None
            message.close_fds()
        assert fd_count() == before


# the channel


async def test_messages_arrive_in_order_with_their_fds_when_the_socket_is_full(pair: Pair) -> None:
    filled = fill(pair[0])
    master = ControlChannel(pair[0], "hsmd", lambda message: None, lambda reason: None)
    drained = asyncio.Event()
    master.on_drained = drained.set
    pipes = [new_pipe() for _ in range(40)]
    assert master.stuck_since is None
    for number, (_, writer) in enumerate(pipes):
        master.send(ClientHsmfd(str(number), writer))
    assert master.queued == 40
    assert all(is_open(writer) for _, writer in pipes)
    assert master.stuck_since is not None
    assert not drained.is_set()
    hsmd = End(pair[1], "master")
    await hsmd.until(lambda: len(hsmd.got) == filled + 40)
    await drained.wait()
    assert (master.queued, master.stuck_since) == (0, None)
    for number, message in enumerate(hsmd.got[filled:]):
        assert isinstance(message, ClientHsmfd)
        assert message.client == str(number)
        assert same_pipe(message.fd, pipes[number][0])
        os.close(message.fd)
        os.close(pipes[number][0])
    master.close()
    hsmd.channel.close()


async def test_two_ends_that_only_talk_do_not_lock_each_other_up(pair: Pair) -> None:
    one, other = End(pair[0], "connectd"), End(pair[1], "master")
    for number in range(600):
        one.channel.send(hint(number))
        other.channel.send(long_reply(number))
    await other.until(lambda: len(other.got) == 600)
    await one.until(lambda: len(one.got) == 600)
    assert numbers(other.got) == list(range(600))
    one.channel.close()
    other.channel.close()


async def test_reading_gives_other_events_their_turn(pair: Pair) -> None:
    for number in range(200):
        send_message(pair[0], hint(number, 10))
    end = End(pair[1], "master")
    seen: list[int] = []
    asyncio.get_running_loop().call_soon(lambda: seen.append(len(end.got)))
    while len(end.got) < 200:
        await asyncio.sleep(0)
        seen.append(len(end.got))
    assert all(later - earlier <= control_channel.READS_PER_TURN for earlier, later in itertools.pairwise(seen))
    end.channel.close()


@pytest.mark.parametrize("code", [errno.ETOOMANYREFS, errno.ENOBUFS, errno.EMFILE])
async def test_what_the_kernel_has_no_room_for_is_tried_again_by_a_timer(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    tries = 0

    def refuse(*arguments: object) -> None:
        nonlocal tries
        tries += 1
        raise OSError(code, os.strerror(code))

    really = control_socket.transmit
    monkeypatch.setattr(control_channel, "transmit", refuse)
    master, hsmd = End(pair[0], "hsmd"), End(pair[1], "master")
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

    def watched(*arguments: Any) -> None:
        try:
            control_socket.transmit(*arguments)
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


async def test_eof_ends_the_channel_and_all_that_waits(pair: Pair) -> None:
    connectd = End(pair[0], "hsmd", window=1)
    asked = [asyncio.create_task(connectd.channel.request(Ecdh(b""), EcdhReply)) for _ in range(3)]
    await asyncio.sleep(0)
    pair[1].close()
    assert [type(error) for error in await asyncio.gather(*asked, return_exceptions=True)] == [ChannelClosed] * 3
    assert connectd.reasons == ["hsmd has closed its end"]
    assert connectd.channel.closed
    assert (connectd.channel.fileno(), connectd.channel.queued) == (-1, 0)
    assert connectd.channel.close() == []
    with pytest.raises(ChannelClosed):
        await connectd.channel.request(Ecdh(b""), EcdhReply)


async def test_what_waits_in_the_channel_is_read_before_the_end(pair: Pair) -> None:
    for number in range(100):
        send_message(pair[0], hint(number, 10))
    pair[0].close()
    connectd = End(pair[1], "master")
    connectd.channel.send(ReachPeerReplyfail("", 401, []))  # EPIPE: no reason not to read
    await connectd.until(lambda: bool(connectd.reasons))
    assert numbers(connectd.got) == list(range(100))
    assert connectd.channel.close() == [ReachPeerReplyfail("", 401, [])]


async def test_close_gives_back_what_was_never_sent(pair: Pair) -> None:
    filled = fill(pair[0])
    master = End(pair[0], "hsmd")
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
    assert sum(1 for _ in iter(lambda: receive_message(pair[1], "master"), None)) == filled


async def test_a_reply_on_a_closed_channel_is_dropped_with_its_fds(pair: Pair) -> None:
    gossipd = End(pair[0], "connectd")
    gossipd.channel.close()
    reader, writer = new_pipe()
    gossipd.channel.reply(GossipGetAddrs(b"", request_id=1), GossipNewPeerReply(writer))
    assert os.read(reader, 1) == b""
    os.close(reader)


async def test_a_handler_may_close_the_channel(pair: Pair) -> None:
    for number in range(5):
        send_message(pair[0], hint(number))
    end = End(pair[1], "master")

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
    pair: Pair, datagram: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    end = End(pair[0], "connectd")
    pair[1].send(datagram)
    await end.until(lambda: bool(end.reasons))
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert [record.getMessage()] == end.reasons
    assert end.got == []
    assert end.channel.close() == []


async def test_a_message_that_cannot_be_sent_at_all_ends_the_channel_later(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    master = End(pair[0], "hsmd")
    bad = ClientHsmfd("connectd", Fd(1000))
    master.channel.send(bad)
    assert master.reasons == []  # not while the sender is in the midst of something
    await master.until(lambda: bool(master.reasons))
    assert master.reasons == ["client_hsmfd cannot be sent to hsmd: [Errno 9] Bad file descriptor"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert master.channel.close() == [bad]


# requests


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


async def test_replies_find_their_requests_in_any_order(pair: Pair) -> None:
    connectd, hsmd = End(pair[0], "hsmd"), Hsmd(pair[1], "connectd")
    tasks = [asyncio.create_task(ask(connectd.channel, bytes([65 + number]))) for number in range(3)]
    await hsmd.until(lambda: len(hsmd.got) == 3)
    for index in (2, 0, 1):
        hsmd.answer(index)
    assert await asyncio.gather(*tasks) == [b"AA", b"BB", b"CC"]
    assert connectd.got == []
    connectd.channel.close()
    hsmd.channel.close()


async def test_a_refusal_is_an_exception(pair: Pair) -> None:
    master, connectd = End(pair[0], "connectd"), End(pair[1], "master")
    refusal = ReachPeerReplyfail("nobody at home", 401, [("1.2.3.4:9735", "refused")])
    connectd.on_message = lambda message: connectd.channel.reply(as_request(message), refusal)
    with pytest.raises(RequestFailed, match="nobody at home") as failed:
        await master.channel.request(ReachPeer(b"", []), Reply)
    assert failed.value.refusal == refusal
    master.channel.close()
    connectd.channel.close()


def as_request(message: ControlMessage) -> Request:
    assert isinstance(message, Request)
    return message


async def test_an_answer_to_another_question_is_broken(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    connectd, hsmd = End(pair[0], "gossipd"), End(pair[1], "connectd")
    reader, writer = new_pipe()
    hsmd.on_message = lambda message: hsmd.channel.reply(as_request(message), GossipNewPeerReply(writer))
    with pytest.raises(ChannelClosed, match="gossipd answered gossip_get_addrs with gossip_new_peer_reply"):
        await connectd.channel.request(GossipGetAddrs(b""), GossipGetAddrsReply)
    assert connectd.reasons == ["gossipd answered gossip_get_addrs with gossip_new_peer_reply"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert os.read(reader, 1) == b""
    os.close(reader)
    hsmd.channel.close()


async def test_a_wrong_reply_type_is_our_own_bug(pair: Pair) -> None:
    connectd, hsmd = End(pair[0], "hsmd"), Hsmd(pair[1], "connectd")
    task = asyncio.create_task(connectd.channel.request(Ecdh(b"A"), GossipGetAddrsReply))
    await hsmd.until(lambda: len(hsmd.got) == 1)
    hsmd.answer(0)
    with pytest.raises(TypeError, match="ecdh is answered by ecdh_reply, not by gossip_get_addrs_reply"):
        await task
    connectd.channel.close()
    hsmd.channel.close()


async def test_a_reply_that_nobody_waits_for_is_an_ordinary_message(pair: Pair) -> None:
    connectd = End(pair[0], "hsmd")
    send_message(pair[1], EcdhReply(b"", request_id=77))
    await connectd.until(lambda: bool(connectd.got))
    assert connectd.got == [EcdhReply(b"", request_id=77)]
    connectd.channel.close()


async def test_the_window(pair: Pair) -> None:
    connectd, hsmd = End(pair[0], "hsmd", window=2), Hsmd(pair[1], "connectd")
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


async def test_a_cancelled_request_keeps_its_place_until_its_reply_comes(pair: Pair) -> None:
    connectd, hsmd = End(pair[0], "hsmd", window=1), Hsmd(pair[1], "connectd")
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
async def test_the_fd_of_a_reply_that_comes_with_the_cancellation_or_later_is_closed(pair: Pair, late: bool) -> None:
    connectd = End(pair[0], "gossipd")
    task = asyncio.create_task(connectd.channel.request(GossipGetAddrs(b""), GossipGetAddrsReply))
    await asyncio.sleep(0)
    asked = receive_message(pair[1], "connectd")
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
