"""The owner of one connection whose thread waits: what is under `wire.program`.

`hear` does an owner's duties, and `say` while it waits for room; nothing else waits, but for a bounded time at the end.
"""

import contextlib
import functools
import random
import select
import socket
import time

from wire.control import control_wire
from wire.control.control_message import ControlMessage, Fd, Reply, Request
from wire.control.control_wire import PeerStats, TakePeer
from wire.control.status import LONGEST
from wire.crypto_state import MAX_MESSAGE, READ_SIZE
from wire.frames import FrameError, Frames
from wire.net.duties import (
    MAX_OUTBOX,
    NOT_ANSWERING,
    NOT_READING,
    Duties,
    Flaw,
    Outbox,
    SlowReader,
    copy_of,
    ping_reply,
    send_message_reply,
)
from wire.net.gossip_fd import GOSSIP_START
from wire.net.gossip_queue import GossipQueue
from wire.net.master_line import MasterLine
from wire.net.onion_rates import ONION_MESSAGE, OnionRate
from wire.net.pinger import PONG_BYTES, Pinger, PongHandler, Verdict, patience_for
from wire.net.seldom_copies import SeldomCopies
from wire.routing import Deed, Routes

_PACKET = 65_536
_PULL = 32_768
"""Bytes that are encrypted at a time."""
_FAREWELL = 2.0
"""Seconds that what was said has to leave when the connection ends; the master kills a program after five."""


class BlockingOwner:
    """From `take_peer` until the connection has gone back, or has ended."""

    def __init__(self, control: socket.socket, taken: TakePeer, routes: Routes) -> None:
        self._info = taken.peer
        self._control = control
        self._master = MasterLine(control)
        self._routes = routes
        self._frames = Frames(taken.state.crypto, taken.state.unread, taken.state.traffic)
        self._peer = socket.socket(fileno=taken.peer_fd)
        self._peer.setblocking(False)
        self._gossip = None if taken.gossip_fd is None else socket.socket(fileno=taken.gossip_fd)
        self._timing = taken.timing
        patience = patience_for(taken.peer.address)
        self._slow_reader = taken.limits.slow_reader * patience
        self._duties = Duties()
        self._queue = GossipQueue(taken.timing.backpressure_pause, taken.state.gossip)
        self._outbox = Outbox(self._queue)
        self._slow = SlowReader()
        self._seldom = SeldomCopies()
        self._onions = OnionRate()
        self._unsent = bytearray(taken.state.unsent)
        self._sent = 0
        """Bytes that the socket has taken."""
        self._pinger = Pinger(time.monotonic(), taken.timing, patience)
        self._next_look = 0.0
        self._look_later()
        self._here = True
        self._unheard = False
        """A message for the service is next, and `hear` has not been called."""
        if self._gossip is not None:
            self._gossip.setblocking(False)
            with contextlib.suppress(OSError):  # full: its last owner has said it, then
                self._gossip.send(GOSSIP_START)
        self._flush()

    def say(self, message: bytes) -> None:
        """See `wire.program.TakenPeer`, and so for the next two."""
        if len(message) > MAX_MESSAGE:
            raise ValueError(f"a message of {len(message)} bytes is too long")
        if not self._here:
            return
        self._outbox.say(message)
        self._flush()
        while self._here and self._outbox.said_size > MAX_OUTBOX:
            self._hear(for_service=False)
            self._turn()

    def hear(self) -> bytes | None:
        """The next message that is for a service."""
        self._unheard = False
        while self._here:
            message = self._hear(for_service=True)
            if message is not None:
                self._flush()
                return message
            self._turn()
        return None

    def give_back(self) -> None:
        """The connection goes back, with all that waits either way."""
        self._flush()
        if not self._here:
            return
        self._leave()
        messages, _ = self._outbox.pull_all()
        self._frames.encrypt_all_into(self._unsent, messages)
        state = self._frames.export(bytes(self._unsent))
        state.gossip = self._queue.left_over()
        self._master.tell(
            control_wire.PeerGivenBack(
                self._info.node_id,
                self._info.conn_id,
                state,
                [],
                None,
                Fd(self._peer.detach()),
                Fd(self._gossip.detach()) if self._gossip is not None else None,
            )
        )
        self._master.finish(self._timing.control_timeout)

    # what the peer has said

    def _hear(self, *, for_service: bool) -> bytes | None:
        """Deal with what has been read, up to the first message for the service: it is returned, or left unread."""
        try:
            while self._here and not self._unheard and not self._outbox.choked:
                message = next(self._frames.feed(b""), None)
                if message is None:
                    break
                deed, about = self._duties.hear(message, self._routes)
                if deed in (Deed.TAKE, Deed.TROUBLE):
                    if for_service:
                        return self._taken(deed, message)
                    self._frames.put_back(message)
                    self._unheard = True
                else:
                    self._do(deed, about)
        except FrameError as error:
            self.end(str(error))
        except Flaw as flaw:
            self.end(str(flaw), flaw.last_words)
        return None

    def _taken(self, deed: Deed, message: bytes) -> bytes:
        if deed is Deed.TROUBLE:
            self._copy_up(message)
        return message

    def _do(self, deed: Deed, message: bytes) -> None:
        match deed:
            case Deed.SAY:
                self._outbox.answer(message)
            case Deed.GOSSIP:
                self._to_gossipd(message)
            case Deed.COPY:
                self._copy_up(message)

    def _copy_up(self, message: bytes) -> None:
        if message[0] << 8 | message[1] == ONION_MESSAGE and not self._onions.take(len(message), time.monotonic()):
            return
        if self._seldom.hear(self._info.conn_id, None, message, time.monotonic(), room=self._master.takes_copies):
            self._copy(message)

    def _copy(self, message: bytes) -> None:
        if self._master.takes_copies:
            self._master.tell(copy_of(self._info, message))

    # one turn of an owner's duties: what can be written is written, what can be read is read, what is due is done

    def _turn(self) -> None:
        self._flush()
        if not self._here:
            return
        poll = select.poll()
        for fd, events in self._interests().items():
            if events:
                poll.register(fd, events)
        for fd, events in poll.poll(1_000 * self._pause()):
            if self._here:
                self._ready(fd, events)
        self._look()

    def _interests(self) -> dict[int, int]:
        """What is waited for: the peer's words only while `hear` waits."""
        reads = select.POLLIN if self._reads else 0
        interests = {self._peer.fileno(): reads | (select.POLLOUT if self._unsent else 0)}
        if self._gossip is not None:
            room = select.POLLOUT if self._queue.next_packet is not None else 0
            interests[self._gossip.fileno()] = room | (select.POLLIN if self._queue.may_read else 0)
        # The master last: what had come before its order is dealt with.
        interests[self._control.fileno()] = select.POLLIN | (select.POLLOUT if self._master.waits else 0)
        return interests

    @property
    def _reads(self) -> bool:
        return not self._unheard and not self._outbox.choked

    def _pause(self) -> float:
        """Seconds until something is due, and a millisecond: `poll` counts in these."""
        self._is_slow(time.monotonic())  # from now on its time runs
        stuck = None if self._slow.since is None else self._slow.since + self._slow_reader
        times = (self._next_look, stuck, self._queue.deadline, self._seldom.next_due)
        due = min(at for at in times if at is not None)
        return max(0.0, due - time.monotonic()) + 0.001

    def _ready(self, fd: int, events: int) -> None:
        readable = events & ~select.POLLOUT
        if fd == self._control.fileno():
            if readable:
                self._obey_next()
            self._master.flush()
        elif fd == self._peer.fileno():
            if readable and self._reads:
                self._read()
        elif readable and self._queue.may_read:
            self._from_gossipd()

    def _look(self) -> None:
        """What is due: pings, and the end of a peer that does not answer them, or takes nothing."""
        if not self._here:
            return
        now = time.monotonic()
        self._queue.look(now)
        for _, message in self._seldom.due(now) if self._master.takes_copies else ():
            self._copy(message)
        if self._is_slow(now):
            self.end(NOT_READING)
        elif now >= self._next_look:
            self._look_at_pings(now)

    def _is_slow(self, now: float) -> bool:
        return self._slow.look(now, self._sent if self._unsent else None, self._slow_reader)

    def _look_at_pings(self, now: float) -> None:
        if not self._reads:  # then its silence is our doing
            self._pinger.heard_at = now
        verdict = self._pinger.look(now)
        if verdict is Verdict.GONE:
            self.end(NOT_ANSWERING)
            return
        if verdict is Verdict.PING:
            self._ping(PONG_BYTES, 0, lambda total: None if total is None else self._pinger.ponged(time.monotonic()))
        self._look_later()

    def _look_later(self) -> None:
        self._next_look = time.monotonic() + self._pinger.pause(random.random())  # noqa: S311 - no secret

    def _ping(self, num_pong_bytes: int, ignored_len: int, answered: PongHandler) -> None:
        self._outbox.answer(self._duties.ping(num_pong_bytes, ignored_len, answered))

    # the peer

    def _read(self) -> None:
        try:
            data = self._peer.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self.end(error.strerror or str(error))
            return
        self._pinger.heard_at = time.monotonic()
        if data:
            self._frames.feed(data)
        else:
            self.end("the peer has closed the connection")

    def _flush(self) -> None:
        """Write to the peer and to gossipd what there is room for."""
        self._flush_gossip()
        while self._here and (self._unsent or self._outbox):
            if not self._unsent:
                messages, _ = self._outbox.pull(_PULL)
                self._frames.encrypt_all_into(self._unsent, messages)
            try:
                sent = self._peer.send(self._unsent)
            except BlockingIOError:
                return
            except OSError as error:
                self.end(error.strerror or str(error))
                return
            self._sent += sent
            del self._unsent[:sent]

    # gossipd

    def _to_gossipd(self, message: bytes) -> None:
        self._queue.write(message)
        self._flush_gossip()

    def _flush_gossip(self) -> None:
        while self._here and self._gossip is not None and (packet := self._queue.next_packet) is not None:
            try:
                self._gossip.send(packet)
            except BlockingIOError:
                self._queue.no_room(time.monotonic())
                return
            except OSError:
                self._forget_gossip()
                return
            self._queue.wrote()

    def _from_gossipd(self) -> None:
        assert self._gossip is not None
        try:
            packet = self._gossip.recv(_PACKET)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if packet:
            self._queue.heard(packet)
        else:
            self._forget_gossip()

    def _forget_gossip(self) -> None:
        """gossipd is gone: the connection lives on without gossip, which is owed to the next one."""
        if self._gossip is not None:
            self._gossip.close()
            self._gossip = None
        self._queue.lose()

    # the master

    def _obey_next(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._obey(self._master.receive())

    def _obey(self, message: ControlMessage | None) -> None:
        match message:
            case None:
                self.end("the node has ended")
            case control_wire.Heartbeat():
                self._master.tell(control_wire.HeartbeatReply())
            case control_wire.SetMessageRoutes(routes=routes):
                self._routes.replace(routes)
            case control_wire.SendMessage(message=raw):
                reply = send_message_reply(self._outbox.waiting)
                if isinstance(reply, control_wire.SendMessageReply):
                    self._outbox.say(raw)
                self._reply(message, reply)
            case control_wire.Ping(num_pong_bytes=wanted, ignored_len=ignored):
                self._ping(wanted, ignored, functools.partial(self._ponged, message))
            case control_wire.ListPeers():
                stats = PeerStats(self._info.conn_id, self._frames.traffic, self._pinger.latency, 0)
                self._reply(message, control_wire.ListPeersReply([stats]))
            case control_wire.GiveBack():
                self.give_back()
            case control_wire.Disconnect(send=last_words, reason=reason):
                self.end(reason, last_words)

    def _ponged(self, request: control_wire.Ping, total: int | None) -> None:
        self._reply(request, ping_reply(total))

    def _reply(self, request: Request, reply: Reply) -> None:
        reply.request_id = request.request_id
        self._master.tell(reply)

    # the end

    def _leave(self) -> None:
        self._here = False
        for message in self._seldom.leave(self._info.conn_id):
            self._copy(message)
        self._duties.leave()

    def end(self, reason: str, last_words: list[bytes] | None = None) -> None:
        """The connection is over: say so, once, and close it when all that was said has left, or after a while."""
        if not self._here:
            return
        self._leave()
        self._master.tell(control_wire.PeerDisconnected(self._info.node_id, self._info.conn_id, reason[:LONGEST]))
        messages, _ = self._outbox.pull_all()
        self._frames.encrypt_all_into(self._unsent, [*messages, *(last_words or [])])
        self._peer.settimeout(_FAREWELL)
        if reason != NOT_READING:
            with contextlib.suppress(OSError):
                self._peer.sendall(self._unsent)
        self._peer.close()
        if self._gossip is not None:
            self._gossip.close()
        self._master.finish(self._timing.control_timeout)
