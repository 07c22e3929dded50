"""One WebSocket, the server's side, without I/O: the upgrade, and then frames whose payloads make up one stream.

RFC 6455 is the library's (`websockets`, sans-IO). What is ours are the bounds, and what a stream of bytes makes of
messages: their borders mean nothing, in both directions, as CLN has it. The library gets whole frames only: so what it
has in hand between two of them is known, and another process can go on with it.
"""

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from connectd.websocketd.forwarded import Networks, client_address
from wire.address import WireAddr
from wire.start.late_dataclass import dataclass

MAX_HEAD = 16_384
"""Bytes of the request that asks for the upgrade."""
MAX_MESSAGE = 131_072
"""Bytes of one message: two of Lightning's largest packets."""

_MASKED, _LENGTH = 0x80, 0x7F
_END_OF_HEAD = b"\r\n\r\n"
_METHOD = b"GET "


@dataclass(frozen=True, slots=True)
class MovedWebSocket:
    """A WebSocket of another process. `head`: of its request, if it is not open; `half`: of the frame that comes."""

    is_open: bool = False
    head: bytes = b""
    half: bytes = b""
    so_far: int | None = None
    """Bytes of the message that is coming in several frames."""


class WebSocket:
    """Bytes of TCP in and out on one side, bytes of the stream on the other.

    `proxies`: the client is one of these, and its request says where the WebSocket comes from.
    """

    def __init__(self, proxies: Networks = (), moved: MovedWebSocket | None = None) -> None:
        """`moved`: one that goes on here."""
        self._proxies = proxies
        self.client: WireAddr | None = None
        """Where it comes from, if a proxy has said so."""
        self.frames = 0
        """How many have come."""
        moved = moved or MovedWebSocket()
        self._head, self._half, self._so_far = bytearray(moved.head), bytearray(moved.half), moved.so_far
        self._protocol = ServerProtocol(max_size=MAX_MESSAGE, state=State.OPEN if moved.is_open else State.CONNECTING)
        if moved.so_far is not None:
            self._protocol.receive_data(_begun_message(moved.so_far))
            self._protocol.events_received()
        self.complaint: str | None = None
        """What was wrong with what the client said."""
        self.ended = False
        """What `to_send` has given was the last: the TCP connection is to be closed when it is sent."""

    @property
    def is_open(self) -> bool:
        """The upgrade is done, and neither end has said goodbye."""
        return self._protocol.state is State.OPEN

    def receive(self, data: bytes) -> bytes:
        """Bytes from the client; what of them is the stream's. Look at `to_send` and `ended` afterwards."""
        if self.ended:
            return b""
        if self._protocol.state is State.CONNECTING:
            data = self._upgrade(data)
        if data and not self.ended:
            self._receive_frames(data)
        events = self._protocol.events_received()
        self.frames += len(events)
        payload = b"".join(map(self._payload, events))
        if self._protocol.parser_exc is not None:
            self._complain(str(self._protocol.parser_exc))
        return payload

    def _receive_frames(self, data: bytes) -> None:
        self._half += data
        end = 0
        while (size := _frame_size(self._half, end)) and end + size <= len(self._half):
            end += size
        if end:
            self._protocol.receive_data(bytes(self._half[:end]))
            del self._half[:end]

    def leave(self) -> MovedWebSocket:
        """For another process; neither end has said goodbye."""
        return MovedWebSocket(self.is_open, bytes(self._head), bytes(self._half), self._so_far)

    def wrap(self, data: bytes) -> None:
        """Bytes of the stream, for the client, as one message. Our end never speaks first; RuntimeError if it does."""
        if self._protocol.state is State.CONNECTING:
            raise RuntimeError("the stream speaks before the client")
        if self.is_open:
            self._protocol.send_binary(data)

    def close(self) -> None:
        """The stream is over. A client that is still asking for the upgrade gets no answer."""
        if self.is_open:
            self._protocol.send_close(CloseCode.GOING_AWAY)
        self.ended = True

    def to_send(self) -> bytes:
        """What the client is to be sent now."""
        pieces = self._protocol.data_to_send()
        self.ended = self.ended or b"" in pieces
        return b"".join(pieces)

    def _upgrade(self, data: bytes) -> bytes:
        """Collect the request, and answer it when it is whole; what follows it."""
        self._head += data
        head, end, rest = bytes(self._head).partition(_END_OF_HEAD)
        if not _METHOD.startswith(self._head[: len(_METHOD)]):
            self._complain("no request for a WebSocket")
            self.ended = True
        elif len(head) > MAX_HEAD:
            self._complain(f"a request of more than {MAX_HEAD} bytes")
            self._protocol.send_response(self._protocol.reject(431, "This request is too long.\n"))
            self.ended = True
        elif end:
            self._head.clear()
            self._protocol.receive_data(head + end)
            self._answer()
            return rest
        return b""

    def _answer(self) -> None:
        if (error := self._protocol.handshake_exc) is not None:  # no HTTP: the library has ended it
            self._complain(str(error))
            self.ended = True
            return
        (request,) = self._protocol.events_received()
        if not isinstance(request, Request):
            raise RuntimeError(f"{request} before the upgrade")
        if self._proxies:
            try:
                self.client = client_address(request.headers, self._proxies)
            except ValueError as error:
                self._complain(str(error))
                self._protocol.send_response(self._protocol.reject(400, f"{error}\n"))
                self.ended = True
                return
        self._protocol.send_response(self._protocol.accept(request))
        if self._protocol.handshake_exc is not None:
            self._complain(str(self._protocol.handshake_exc))
            self.ended = True

    def _payload(self, event: object) -> bytes:
        if not isinstance(event, Frame) or self.complaint is not None:
            return b""
        if event.opcode is Opcode.TEXT:
            self._complain("a text message")
            self._protocol.fail(CloseCode.UNSUPPORTED_DATA, "binary messages only")
        elif event.opcode in (Opcode.BINARY, Opcode.CONT):
            self._so_far = None if event.fin else (self._so_far or 0) + len(event.data)
        return bytes(event.data) if event.opcode in (Opcode.BINARY, Opcode.CONT) else b""

    def _complain(self, about: str) -> None:
        self.complaint = self.complaint or about


def _frame_size(data: bytearray, at: int) -> int:
    """Bytes of the frame that begins there, 0 if that cannot be seen yet. RFC 6455, 5.2. One that is to be refused for
    its first bytes is what is there of it.
    """
    if len(data) - at < 2:
        return 0
    masked, length, head = data[at + 1] & _MASKED, data[at + 1] & _LENGTH, 2
    if length > 125:
        head += 2 if length == 126 else 8
        if len(data) - at < head:
            return 0
        length = int.from_bytes(data[at + 2 : at + head], "big")
    if not masked or length > MAX_MESSAGE:
        return len(data) - at
    return head + 4 + length


def _begun_message(size: int) -> bytes:
    """A first frame of so many bytes, masked with zeros, after which others are to come."""
    return bytes([Opcode.BINARY, _MASKED | _LENGTH]) + size.to_bytes(8, "big") + bytes(4 + size)
