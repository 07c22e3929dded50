"""Control messages and their fds over a SEQPACKET socket, as blocking calls.

One datagram is one message with its fds. A message of more than MAX_INLINE bytes travels as a sealed memfd: the
datagram is then the envelope `[0]` and the memfd comes before the message's own fds. Which messages may be so large,
and how large, is part of their declaration: of a memfd no more than the number is read before that is known. Sending
gives the fds away: our copies are closed as soon as `sendmsg` has succeeded, and not before.
"""

import array
import fcntl
import os
import socket
import threading

from wire.control.control_message import HEAD_SIZE, MAX_INLINE, ControlError, ControlMessage, Fd
from wire.start.late_dataclass import dataclass

DATAGRAM_SIZE = 212_960
"""The largest datagram that the default SO_SNDBUF lets through."""
MAX_FDS = 253
"""SCM_MAX_FD of Linux: fds in one datagram."""

# Plain integers: to join two members of the enum costs as much as to pack a message.
DONT_WAIT = int(socket.MSG_DONTWAIT)
_RECEIVE = int(socket.MSG_CMSG_CLOEXEC)
_SEND = int(socket.MSG_NOSIGNAL)
_CUT_SHORT = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)
_RIGHTS_SIZE = socket.CMSG_SPACE(MAX_FDS * array.array("i").itemsize)
_ENVELOPE = b"\x91\x00"
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


@dataclass(frozen=True, slots=True)
class ChannelLeft:
    """What one program of a process leaves to the next one of a control channel: exec keeps sockets."""

    fd: Fd
    last_request_id: int = 0


class _Room(threading.local):
    """Where a thread receives: to allocate the largest datagram for each costs ten times as much as to receive."""

    def __init__(self) -> None:
        self.datagram = memoryview(bytearray(DATAGRAM_SIZE))


_room = _Room()


def send_message(sock: socket.socket, message: ControlMessage) -> None:
    """Send a message and close its fds. Blocks where the socket does. After an OSError the fds are still the caller's.

    Raises ControlError for a message that is larger than its declaration says.
    """
    datagram, fds = encode(message)
    transmit(sock, datagram, fds, 0)


def receive_message(sock: socket.socket, sender: str, largest: int | None = None) -> ControlMessage | None:
    """The next message from `sender`, the role of the other end; None when it has closed. Blocks where the socket does.

    `largest`: bytes; what is larger is refused before it is read, whatever its declaration says. The message's fds are
    the caller's, close-on-exec. Raises ControlError for anything that is no message which that role may send; its fds
    are closed then, and the socket is no longer worth reading.
    """
    return receive(sock, sender, 0, largest)


def encode(message: ControlMessage) -> tuple[bytes, list[int]]:
    """The datagram and the fds that go with it. Raises ControlError for a message larger than its declaration says."""
    datagram, fds = message.encode()
    if len(datagram) > message.largest:
        raise ControlError(f"a {message.name()} of {len(datagram)} bytes is too large")
    return datagram, fds


def transmit(sock: socket.socket, datagram: bytes, fds: list[int], flags: int) -> None:
    """One `sendmsg`; closes `fds` if it succeeds, leaves them alone if it raises OSError."""
    if len(datagram) <= MAX_INLINE:
        _sendmsg(sock, datagram, fds, flags)
    else:
        memfd = _sealed_memfd(datagram)
        try:
            _sendmsg(sock, _ENVELOPE, [memfd, *fds], flags)
        finally:
            os.close(memfd)
    for fd in fds:
        os.close(fd)


def _sendmsg(sock: socket.socket, data: bytes, fds: list[int], flags: int) -> None:
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([data], rights, flags | _SEND)


def _sealed_memfd(data: bytes) -> int:
    memfd = os.memfd_create("control", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        written = 0
        while written < len(data):
            written += os.write(memfd, memoryview(data)[written:])
        fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(memfd)
        raise
    return memfd


def receive(sock: socket.socket, sender: str, flags: int, largest: int | None = None) -> ControlMessage | None:
    """As receive_message, with the flags of recv(2): DONT_WAIT raises BlockingIOError where it would block."""
    data, rights, got = _recvmsg(sock, flags | _RECEIVE)
    fds = _received_fds(rights)
    try:
        if got & _CUT_SHORT:
            raise ControlError(f"a datagram from {sender} was cut short")
        if not data and not fds:
            return None
        if data == _ENVELOPE:
            data = _open_envelope(fds, sender, largest)
        return ControlMessage.decode(data, fds, sender)
    finally:
        for fd in fds:  # decode() has emptied the list if it succeeded
            os.close(fd)


def _recvmsg(sock: socket.socket, flags: int) -> tuple[bytes, list[tuple[int, int, bytes]], int]:
    room = _room.datagram
    try:
        size, rights, got, _ = sock.recvmsg_into([room], _RIGHTS_SIZE, flags)
    except ConnectionResetError:
        # It closed with something of ours unread. The kernel says so once, ahead of what still waits to be read here.
        size, rights, got, _ = sock.recvmsg_into([room], _RIGHTS_SIZE, flags)
    return bytes(room[:size]), rights, got


def _received_fds(rights: list[tuple[int, int, bytes]]) -> list[int]:
    if not rights:
        return []
    fds = array.array("i")
    for level, kind, data in rights:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return fds.tolist()


def _open_envelope(fds: list[int], sender: str, largest: int | None) -> bytes:
    """The message in the memfd that is the first of `fds`; it is taken out of them and closed."""
    if not fds:
        raise ControlError(f"{sender} sent an envelope without its memfd")
    memfd = fds.pop(0)
    try:
        if fcntl.fcntl(memfd, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
            raise ControlError(f"{sender} sent a memfd that is not sealed")
        size = os.fstat(memfd).st_size
        if largest is not None and size > largest:
            raise ControlError(f"{sender} sent a memfd of {size} bytes")
        kind = ControlMessage.kind_of(os.pread(memfd, HEAD_SIZE, 0), sender)
        if size > kind.largest:
            raise ControlError(f"{sender} sent {kind.name()} of {size} bytes: {kind.largest} may be")
        return os.pread(memfd, size, 0)
    except OSError as error:
        raise ControlError(f"{sender} sent an envelope that cannot be read: {error}") from error
    finally:
        os.close(memfd)
