"""A WebSocket without I/O: the upgrade, the stream, and what is wrong with what clients say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from connectd.websocketd.websocket import MAX_HEAD, MAX_MESSAGE, WebSocket
from tests.harness.web_peer import REQUEST


def opened() -> WebSocket:
    websocket = WebSocket()
    assert websocket.receive(REQUEST) == b""
    assert websocket.to_send().startswith(b"HTTP/1.1 101 ")
    assert websocket.is_open
    return websocket


def frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


class Client:
    """The library's client, and what it has been told."""

    def __init__(self) -> None:
        self.protocol = ClientProtocol(parse_uri("ws://a/"))
        self.protocol.send_request(self.protocol.connect())

    def said(self) -> bytes:
        return b"".join(self.protocol.data_to_send())

    def hears(self, data: bytes) -> list[object]:
        self.protocol.receive_data(data)
        return list(self.protocol.events_received())


@given(
    up=st.lists(st.binary(max_size=300), max_size=5),
    down=st.lists(st.binary(max_size=300), max_size=5),
    cut=st.integers(1, 40),
)
def test_bytes_arrive_both_ways_however_they_are_cut(up: list[bytes], down: list[bytes], cut: int) -> None:
    client, websocket = Client(), WebSocket()
    received, answer = b"", b""
    request = client.said()
    for start in range(0, len(request), cut):
        received += websocket.receive(request[start : start + cut])
    (response,) = client.hears(websocket.to_send())
    assert isinstance(response, Response) and response.status_code == 101
    for data in up:
        client.protocol.send_binary(data)
    said = client.said()
    for start in range(0, len(said), cut):
        received += websocket.receive(said[start : start + cut])
    for data in down:
        websocket.wrap(data)
    for event in client.hears(websocket.to_send()):
        assert isinstance(event, Frame) and event.opcode is Opcode.BINARY
        answer += bytes(event.data)
    assert (received, answer) == (b"".join(up), b"".join(down))
    assert websocket.is_open


def test_a_message_in_fragments_with_a_ping_between() -> None:
    websocket = opened()
    first = frame(Opcode.BINARY, b"ab", fin=False) + frame(Opcode.PING, b"?")
    assert websocket.receive(first) == b"ab"
    assert websocket.to_send() == b"\x8a\x01?"
    assert websocket.receive(frame(Opcode.CONT, b"cd", fin=False) + frame(Opcode.CONT, b"e")) == b"cde"


def test_the_client_says_goodbye() -> None:
    websocket = opened()
    assert websocket.receive(frame(Opcode.BINARY, b"last") + frame(Opcode.CLOSE, b"\x03\xe8")) == b"last"
    assert websocket.to_send() == b"\x88\x02\x03\xe8"
    assert websocket.ended
    assert websocket.complaint is None
    assert websocket.receive(b"more") == b""


def test_we_say_goodbye() -> None:
    websocket = opened()
    websocket.close()
    assert websocket.to_send() == b"\x88\x02\x03\xe9"
    assert websocket.ended
    websocket.wrap(b"too late")
    assert websocket.to_send() == b""


def test_the_stream_ends_before_the_upgrade() -> None:
    websocket = WebSocket()
    websocket.receive(REQUEST[:20])
    websocket.close()
    assert (websocket.to_send(), websocket.ended) == (b"", True)


@pytest.mark.parametrize(
    ("said", "complaint", "answer"),
    [
        (frame(Opcode.TEXT, b"{}"), "a text message", b"\x88\x16\x03\xebbinary messages only"),
        (frame(Opcode.TEXT, b"{", fin=False), "a text message", b"\x88\x16\x03\xebbinary messages only"),
        (b"\x82\xff" + (100 << 20).to_bytes(8, "big") + bytes(4), "104857600", b"\x88"),
        (b"\x82\xff" + (1 << 63).to_bytes(8, "big") + bytes(4), "", b"\x88"),
        (frame(Opcode.BINARY, bytes(MAX_MESSAGE), fin=False) + frame(Opcode.CONT, b"x"), "", b"\x88"),
        (b"\x82\x01x", "incorrect masking", b"\x88"),
        (b"\x83\x80" + bytes(4), "invalid opcode", b"\x88"),
        (b"\xc2\x80" + bytes(4), "reserved bits", b"\x88"),
        (frame(Opcode.CONT, b"x"), "unexpected continuation", b"\x88"),
        (frame(Opcode.BINARY, b"x", fin=False) + frame(Opcode.BINARY, b"y"), "expected a continuation", b"\x88"),
        (b"\x89\xfe\x00\x7e" + bytes(4 + 126), "control frame too long", b"\x88"),
        (frame(Opcode.CLOSE, b"\x00"), "close frame too short", b"\x88"),
    ],
    ids=map(str, range(12)),  # masks are random, and a test's name is the same in every process
)
def test_wrong_frames(said: bytes, complaint: str, answer: bytes) -> None:
    websocket = opened()
    websocket.receive(said)
    assert websocket.complaint is not None and complaint in websocket.complaint
    assert websocket.to_send().startswith(answer)
    assert websocket.ended
    assert not websocket.is_open


@pytest.mark.parametrize(
    ("said", "complaint", "answer"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no request", b""),
        (b"\0" + bytes(49), "no request", b""),
        (b"POST / HTTP/1.1\r\n\r\n", "no request", b""),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "missing Connection header", b"HTTP/1.1 426 "),
        (REQUEST.replace(b": 13", b": 12"), "Sec-WebSocket-Version", b"HTTP/1.1 400 "),
        (REQUEST.replace(b"dGhl", b""), "Sec-WebSocket-Key", b"HTTP/1.1 400 "),
        (b"GET nonsense\r\n\r\n", "valid HTTP request", b""),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", "", b"HTTP/1.1 431 "),
        (b"GET /" + b"x" * MAX_HEAD, f"more than {MAX_HEAD} bytes", b"HTTP/1.1 431 "),
    ],
)
def test_wrong_upgrades(said: bytes, complaint: str, answer: bytes) -> None:
    websocket = WebSocket()
    assert websocket.receive(said) == b""
    assert websocket.complaint is not None and complaint in websocket.complaint
    assert websocket.to_send().startswith(answer)
    assert websocket.ended
    assert not websocket.is_open


@given(st.binary(max_size=500), st.booleans())
def test_rubbish_never_raises(data: bytes, upgraded: bool) -> None:
    websocket = opened() if upgraded else WebSocket()
    websocket.receive(data)
    websocket.receive(b"GET " + data)
    websocket.to_send()
