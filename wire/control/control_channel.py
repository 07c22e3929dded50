"""The control channel: control messages with their fds over a SEQPACKET socket on the asyncio loop.

A ControlChannel never blocks and always reads. What the socket does not take waits in a list, so two processes that
write to each other cannot lock each other up; how long the list may get is for those who produce, see `queued`.
Programs without a loop use `send_message` and `receive_message`.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from wire.control.asked import NO_READER, NO_RESOURCES, Asked, ChannelClosed, DirectFuture, Outgoing, RequestFailed
from wire.control.control_message import ControlError, ControlMessage, Fd, Refusal, Reply, Request
from wire.control.control_socket import DONT_WAIT, ChannelLeft, encode, receive, receive_message, send_message, transmit
from wire.control.control_wire import Heartbeat, HeartbeatReply, LogLine, SetLog
from wire.control.status import Status, heed_log

__all__ = ["ChannelClosed", "ChannelLeft", "ControlChannel", "RequestFailed", "receive_message", "send_message"]

READS_PER_TURN = 64
"""Datagrams that are read at one wake-up: others get their turn."""
BUSY = 0.0003
"""Seconds since the last wake-up below which more than one datagram is looked for. A look that finds nothing costs as
much as half a message (3 to 4 µs), and another turn of the loop, if there was something after all, twice that."""
MARK = 1_000
"""Messages that the other end has not taken yet, above which those who produce them stop their sources."""
MARK_BYTES = 4 << 20
"""The same in bytes."""
LINES_WAITING = 100
"""Messages that wait, above which the master is told no lines of the log."""
RETRY_DELAY = 0.02
"""Seconds until the next try where the kernel does not tell that there is room again."""

status = Status("control")

R = TypeVar("R", bound=Reply)


class ControlChannel:
    """One end of a control socket on the running asyncio loop.

    `who` is the role of the other end, checked against each message's senders. `on_message` gets every message but the
    replies to `request`. `on_closed` is called once, with the reason, when the other end has closed or has said
    something that it may not; `close` then tells what was never sent. It is not called after our own `close`.
    """

    def __init__(
        self,
        sock: socket.socket,
        who: str,
        on_message: Callable[[ControlMessage], None],
        on_closed: Callable[[str], None],
        *,
        window: int = 64,
        foreign: bool = False,
        last_request_id: int = 0,
    ) -> None:
        """`foreign`: the other end is not ours, so that what it says wrongly is its bug and not our being broken.
        `last_request_id`: of the program that had this end before us; replies to what that has asked are dropped."""
        self.who = who
        self.on_drained: Callable[[], None] | None = None
        """Called when `queued` falls to 0: sources may go on."""
        self.on_heartbeat: Callable[[], None] = lambda: None
        """Called when the other end has answered a heartbeat, see `wire.control.heartbeat`."""
        self.knows: frozenset[int] | None = None
        """Numbers of the messages that the other end knows; None if it is of our version."""
        self.on_log_line: Callable[[LogLine], None] = lambda line: None
        """Called with each line of its log that the other end tells."""
        self._sock = sock
        self._on_message = on_message
        self._on_closed = on_closed
        self._window = window
        self._complain = status.unusual if foreign else status.broken
        self._closed = self._paused = False
        self.broken = False
        """One of the two ends has done what it may not, or what came was cut: a daemon ends then, and is restarted."""
        self._loop = asyncio.get_running_loop()
        self._queue, self._queued_bytes = deque[Outgoing](), 0
        self._waiting: deque[Asked] = deque()
        self._held_back: list[ControlMessage | Asked] | None = None
        self._outstanding: dict[int, Asked] = {}
        self._last_request_id = self._asked_before_us = last_request_id
        self._writer_added = False
        self._retry: asyncio.TimerHandle | None = None
        self._woken_at = 0.0
        self._loop.add_reader(sock.fileno(), self._readable)

    @property
    def queued(self) -> int:
        """Messages that wait for room in the socket, and requests that wait for a place in the window."""
        return len(self._queue) + len(self._waiting)

    @property
    def behind(self) -> bool:
        """The other end takes less than is said: sources stop, until `on_drained`. Always false when closed."""
        return not self._closed and (self.queued >= MARK or self._queued_bytes >= MARK_BYTES)

    @property
    def closed(self) -> bool:
        """True once either end has closed."""
        return self._closed

    def fileno(self) -> int:
        """The socket's fd, -1 when closed."""
        return self._sock.fileno()

    def send(self, message: ControlMessage) -> None:
        """Send a message, with its fds, or put it behind those that wait. Never blocks.

        Raises ChannelClosed if the channel is closed, ControlError if it is larger than its declaration says; the fds
        are still the caller's then."""
        if self._closed:
            raise ChannelClosed(f"the channel to {self.who} is closed")
        if self._held_back is not None and not isinstance(message, Heartbeat):
            self._held_back.append(message)
        else:
            self._send_now(message)

    def _send_now(self, message: ControlMessage) -> None:
        datagram, fds = encode(message)
        try:
            if not self._queue:
                transmit(self._sock, datagram, fds, DONT_WAIT)
                return
        except OSError:
            pass  # `_flush` finds out what is to be done
        self._queue.append(Outgoing(message, datagram, fds))
        self._queued_bytes += len(datagram)
        if len(self._queue) == 1:
            self._flush()

    def reply(self, request: Request, reply: Reply) -> None:
        """Answer a request. On a closed channel no answer is waited for: there it is dropped, its fds are closed."""
        reply.request_id = request.request_id
        if self._closed:
            reply.close_fds()
        else:
            self._send_now(reply)

    async def request(self, message: Request, reply_type: type[R]) -> R:
        """Send a request and wait for its reply, behind the others if the window is full. Its fds are the channel's.

        Raises RequestFailed for a refusal, ChannelClosed if the channel closes first. A cancelled request that was sent
        keeps its place in the window until its reply comes, which is then dropped."""
        return await self.ask(message, reply_type)

    def ask(self, message: Request, reply_type: type[R]) -> Coroutine[Any, Any, R]:
        """As `request`, but ahead of what is sent from now on, also if it is awaited later. Raises ChannelClosed."""
        if self._closed:
            message.close_fds()
            raise ChannelClosed(f"the channel to {self.who} is closed")
        asked = Asked(message, DirectFuture(loop=self._loop))
        self._enqueue(asked)
        return self._answer(asked, reply_type)

    async def _answer(self, asked: Asked, reply_type: type[R]) -> R:
        try:
            reply = await asked.future
        except (asyncio.CancelledError, TimeoutError):  # a driven coroutine has its deadline thrown into it
            self._forget(asked)
            raise
        if isinstance(reply, Refusal):
            raise RequestFailed(reply)
        if not isinstance(reply, reply_type):
            reply.close_fds()
            raise TypeError(f"{asked.request.name()} is answered by {reply.name()}, not by {reply_type.name()}")
        return reply

    def close(self) -> list[ControlMessage]:
        """Close our end; requests that wait raise ChannelClosed. The messages that were never sent, fds still open."""
        self._shut("we have closed it")
        unsent, self._queue = [outgoing.message for outgoing in self._queue], deque()
        return unsent

    def leave(self) -> ChannelLeft:
        """Let go of the socket, which stays open. Nothing may be `queued`; what was asked is not answered here."""
        self._closed = True
        self._stop_waiting()
        self._loop.remove_reader(self._sock)
        return ChannelLeft(Fd(self._sock.detach()), self._last_request_id)

    def refuse(self, message: ControlMessage) -> None:
        """The other end had no right to say this now: it is broken."""
        message.close_fds()
        self._break(f"{self.who} said {message.name()}, for which it was not asked")

    # another end

    def hold_back(self) -> None:
        """What is said from now on, but for replies, may be for another process: it waits for `go_on`."""
        self._held_back = []

    def go_on(self, to: "ControlChannel") -> None:
        """Say what was held back to this one, which may be ourselves: requests, too, whose askers wait here."""
        held, self._held_back = self._held_back or [], None
        for each in held:
            if isinstance(each, Asked):
                to._enqueue(each)
            else:
                to.send(each)

    # requests

    def _enqueue(self, asked: Asked) -> None:
        if self._held_back is not None:
            self._held_back.append(asked)
            return
        self._last_request_id += 1
        asked.request.request_id = self._last_request_id
        self._waiting.append(asked)
        self._fill_window()

    def _fill_window(self) -> None:
        while self._waiting and len(self._outstanding) < self._window:
            asked = self._waiting.popleft()
            self._outstanding[asked.request.request_id] = asked
            self._send_now(asked.request)

    def _forget(self, asked: Asked) -> None:
        """The asker no longer waits."""
        for place in (self._waiting, self._held_back or []):
            if asked in place:
                place.remove(asked)
                asked.request.close_fds()
                return
        if not asked.future.cancelled() and asked.future.exception() is None:
            asked.future.result().close_fds()  # the reply and the cancellation came in the same turn

    def _take_reply(self, asked: Asked, reply: Reply) -> None:
        del self._outstanding[reply.request_id]
        if reply.number - asked.request.number not in (100, 200):
            self._outstanding[reply.request_id] = asked
            reply.close_fds()
            self._break(f"{self.who} answered {asked.request.name()} with {reply.name()}")
        elif asked.future.done():
            status.debug(f"{self.who}: {reply.name()} comes too late")
            reply.close_fds()
        else:
            asked.future.set_result(reply)

    # reading

    def pause_reading(self, *, paused: bool) -> None:
        """Do not read for a while, or read again. For a channel whose messages make us say more to a third process that
        does not keep up, and whose other end stops its own sources then; never for the master's."""
        if self._closed or paused == self._paused:
            return
        self._paused = paused
        if paused:
            self._loop.remove_reader(self._sock.fileno())
        else:
            self._loop.add_reader(self._sock.fileno(), self._readable)

    def catch_up(self) -> None:
        """Deal now with what has come already, rather than when the loop finds it."""
        for _ in range(-(-MARK // READS_PER_TURN)):  # more than fits: the other end cannot keep us here
            if not self._read(READS_PER_TURN):
                break

    def hear_out(self) -> list[ControlMessage]:
        """The other end has died: deal with all that it has said before, then close. Returns what `close` does."""
        while not self._closed and self._read(READS_PER_TURN):
            pass
        return self.close()

    def _readable(self) -> None:
        now = self._loop.time()
        busy, self._woken_at = now - self._woken_at < BUSY, now
        self._read(READS_PER_TURN if busy else 1)

    def _read(self, most: int) -> bool:
        """False if nothing is left to be read."""
        for _ in range(most):
            if self._closed:  # by the handler of the last message
                break
            try:
                message = receive(self._sock, self.who, DONT_WAIT)
            except BlockingIOError:
                return False
            except (ControlError, OSError) as error:
                self._break(str(error))
                break
            if message is None:
                self._fail(f"{self.who} has closed its end")
            else:
                self._dispatch(message)
        return True

    def _dispatch(self, message: ControlMessage) -> None:
        asked = self._outstanding.get(message.request_id) if isinstance(message, Reply) else None
        if asked is None or not isinstance(message, Reply):
            self._hear(message)
            return
        had_queued = self.queued
        self._take_reply(asked, message)
        if not self._closed:
            self._fill_window()
            self._tell_drained(had_queued)

    def _hear(self, message: ControlMessage) -> None:
        if isinstance(message, Heartbeat):
            self.send(HeartbeatReply())
        elif isinstance(message, HeartbeatReply):
            self.on_heartbeat()
        elif isinstance(message, SetLog):
            heed_log(message, self._say_line)
        elif isinstance(message, LogLine):
            self.on_log_line(message)
        elif isinstance(message, Reply) and 0 < message.request_id <= self._asked_before_us:
            message.close_fds()
        else:
            self._on_message(message)

    def _say_line(self, line: LogLine) -> bool:
        if self._closed or self.queued >= LINES_WAITING:
            return False
        self.send(line)
        return True

    # writing

    def _flush(self) -> None:
        """Send from the head of the list until it is empty or the socket takes no more."""
        while self._queue:
            head = self._queue[0]
            try:
                transmit(self._sock, head.datagram, head.fds, DONT_WAIT)
            except BlockingIOError:
                self._wait_for_room()
                return
            except OSError as error:
                self._wait_after(error)
                return
            self._queue.popleft()
            self._queued_bytes -= len(head.datagram)
        self._stop_waiting()

    def _wait_for_room(self) -> None:
        if not self._writer_added:
            self._loop.add_writer(self._sock.fileno(), self._writable)
        self._writer_added = True

    def _wait_after(self, error: OSError) -> None:
        """The socket is writable and yet it does not take the message: a writer callback would spin."""
        self._stop_waiting()
        if error.errno in NO_RESOURCES:
            self._retry = self._loop.call_later(RETRY_DELAY, self._writable)
        elif error.errno not in NO_READER:  # else the reader comes to the end too, after what is left to be read
            self._loop.call_soon(self._break, f"{self._queue[0].message.name()} cannot be sent to {self.who}: {error}")

    def _writable(self) -> None:
        self._retry = None
        had_queued = self.queued
        self._flush()
        self._tell_drained(had_queued)

    def _tell_drained(self, had_queued: int) -> None:
        if had_queued and not self.queued and self.on_drained is not None:
            self.on_drained()

    def _stop_waiting(self) -> None:
        if self._writer_added:
            self._loop.remove_writer(self._sock.fileno())
            self._writer_added = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    # the end

    def _break(self, reason: str) -> None:
        """One of the two ends is broken: nothing that it says can be trusted."""
        if not self._closed:
            self.broken = True
            self._complain(reason)
            self._fail(reason)

    def _fail(self, reason: str) -> None:
        self._shut(reason)
        self._on_closed(reason)

    def _shut(self, reason: str) -> None:
        """Leave the loop first, then close: a registration that outlives its fd spins."""
        if self._closed:
            return
        self._closed = True
        self._stop_waiting()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        held, self._held_back = self._held_back or [], None
        unasked = [*self._waiting, *(each for each in held if isinstance(each, Asked))]
        for each in (*held, *self._waiting):
            (each.request if isinstance(each, Asked) else each).close_fds()
        for asked in (*self._outstanding.values(), *unasked):
            if not asked.future.done():
                asked.future.set_exception(ChannelClosed(reason))
        self._waiting.clear()
        self._outstanding.clear()
