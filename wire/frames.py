"""BOLT 8's message frames: a stream of bytes into messages and back, and the state in which a connection moves.

A frame is an encrypted length (18 bytes) and the encrypted message (its length + 16). Bytes are read from the socket in
large pieces, but decrypted one message at a time: whatever has not been decrypted goes along, as it came, when the
connection is handed over. `rn` counts at message boundaries only, so a header that was decrypted ahead of its body
still counts as not decrypted.
"""

import struct
from collections.abc import Iterable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from wire.crypto_state import (
    MAX_MESSAGE,
    MAX_UNREAD,
    ROTATION,
    CryptoState,
    PeerState,
    Traffic,
    check_nonces,
    hkdf_pair,
)

_MAC = 16
_HEADER = 2 + _MAC
_FRAME = _HEADER + _MAC
_NONCES = tuple(struct.pack("<4xQ", number) for number in range(ROTATION))
_pack_length = struct.Struct(">H").pack


class FrameError(Exception):
    """A header or body whose MAC is wrong: the connection ends without another byte (B8-46)."""


class Frames:
    """Encrypts and decrypts one connection. Holds what was read and not yet asked for."""

    __slots__ = (
        "_buffer",
        "_bytes_in",
        "_bytes_out",
        "_length",
        "_messages_in",
        "_messages_out",
        "_position",
        "_r_ck",
        "_receiver",
        "_rk",
        "_rn",
        "_s_ck",
        "_sender",
        "_sk",
        "_sn",
    )

    def __init__(self, crypto: CryptoState, unread: bytes = b"", traffic: Traffic | None = None) -> None:
        """`traffic` is what the connection has carried before. Raises ValueError for nonces that are no message
        boundary: not even, or past a rotation.
        """
        check_nonces(crypto)
        self._rn, self._rk, self._r_ck = crypto.rn, crypto.rk, crypto.r_ck
        self._sn, self._sk, self._s_ck = crypto.sn, crypto.sk, crypto.s_ck
        self._receiver: ChaCha20Poly1305 | None = None
        self._sender: ChaCha20Poly1305 | None = None
        self._buffer = unread
        self._position = 0  # where in the buffer the next header begins
        self._length: int | None = None  # of the message there, if its header was decrypted
        before = traffic or Traffic()
        self._bytes_in, self._bytes_out = before.bytes_in, before.bytes_out
        # Messages need no counting: the nonces do it, and a rotation puts them back by ROTATION.
        self._messages_in = before.messages_in - crypto.rn // 2
        self._messages_out = before.messages_out - crypto.sn // 2

    @property
    def unread_size(self) -> int:
        """How many bytes have been fed and not been decrypted."""
        return len(self._buffer) - self._position

    @property
    def messages_in(self) -> int:
        """How many messages have been decrypted since the connection's first one."""
        return self._messages_in + self._rn // 2

    @property
    def traffic(self) -> Traffic:
        """All that this connection has carried until now."""
        messages_out = self._messages_out + self._sn // 2
        return Traffic(self._bytes_in, self._bytes_out, self.messages_in, messages_out)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Append `data` (at once), and yield the messages that are complete, each decrypted when it is asked for.

        The consumer may stop, export, sleep or feed between any two messages; feed(b"") goes on with what is left.
        Raises FrameError where a MAC is wrong, and ValueError if more than MAX_UNREAD bytes would wait: then the
        caller has read on although it had stopped asking.
        """
        if data:
            if self.unread_size + len(data) > MAX_UNREAD:
                raise ValueError("fed more than may be left unread")
            self._compact()
            self._bytes_in += len(data)
            self._buffer = self._buffer + data if self._buffer else data
        return self._messages()

    def _compact(self) -> None:
        if self._position:
            self._buffer = self._buffer[self._position :]
            self._position = 0

    def _messages(self) -> Iterator[bytes]:
        # Hot: locals where a loop would look an attribute up twice, and nothing kept in them across a yield.
        while True:
            buffer, start = self._buffer, self._position
            body = start + _HEADER
            receiver = self._receiver
            if receiver is None or self._rn == ROTATION:
                if len(buffer) < body:
                    break
                receiver = self._ready_to_receive()
            nonce = self._rn
            try:
                length = self._length
                if length is None:
                    if len(buffer) < body:
                        break
                    header = receiver.decrypt(_NONCES[nonce], buffer[start:body], None)
                    self._length = length = header[0] << 8 | header[1]
                end = body + length + _MAC
                if len(buffer) < end:
                    break
                message = receiver.decrypt(_NONCES[nonce + 1], buffer[body:end], None)
            except InvalidTag:
                raise FrameError(f"bad MAC at rn {nonce} or the one after it") from None
            self._rn = nonce + 2
            self._length = None
            self._position = end
            yield message
        self._compact()  # or a few bytes of an unfinished message would hold the whole read

    def put_back(self, message: bytes) -> None:
        """The message that was yielded last is unread again: nothing may have been fed, or asked for, since then."""
        self._position -= len(message) + _FRAME
        self._rn -= 2

    def encrypt(self, message: bytes | bytearray | memoryview) -> bytes:
        """Header and body of one message. Raises ValueError if it is longer than 65,535 bytes."""
        out = bytearray()
        self.encrypt_into(out, message)
        return bytes(out)

    def encrypt_into(self, out: bytearray, message: bytes | bytearray | memoryview) -> None:
        """Append header and body of one message to a batch. Raises ValueError if it is longer than 65,535 bytes."""
        size = len(message)
        if size > MAX_MESSAGE:
            raise ValueError(f"a message of {size} bytes is too long")
        sender = self._sender
        nonce = self._sn
        if sender is None or nonce == ROTATION:
            sender = self._ready_to_send()
            nonce = self._sn
        out += sender.encrypt(_NONCES[nonce], _pack_length(size), None)
        out += sender.encrypt(_NONCES[nonce + 1], message, None)
        self._sn = nonce + 2
        self._bytes_out += size + _FRAME

    def encrypt_all_into(self, out: bytearray, messages: Iterable[bytes]) -> None:
        """As `encrypt_into` for each of them. Hot: all that is served goes through here."""
        sender, nonce, begun = self._sender, self._sn, len(out)
        try:
            for message in messages:
                size = len(message)
                if size > MAX_MESSAGE:
                    raise ValueError(f"a message of {size} bytes is too long")
                if sender is None or nonce == ROTATION:
                    self._sn = nonce
                    sender, nonce = self._ready_to_send(), self._sn
                out += sender.encrypt(_NONCES[nonce], _pack_length(size), None)
                out += sender.encrypt(_NONCES[nonce + 1], message, None)
                nonce += 2
        finally:  # whatever happens: no nonce is used twice
            self._sn = nonce
            self._bytes_out += len(out) - begun

    def _ready_to_receive(self) -> ChaCha20Poly1305:
        """The cipher for receiving, after the rotation if that is due (B8-52)."""
        if self._rn == ROTATION:
            self._r_ck, self._rk = hkdf_pair(self._r_ck, self._rk)
            self._rn = 0
            self._messages_in += ROTATION // 2
        self._receiver = ChaCha20Poly1305(self._rk)
        return self._receiver

    def _ready_to_send(self) -> ChaCha20Poly1305:
        """The cipher for sending, after the rotation if that is due (B8-52)."""
        if self._sn == ROTATION:
            self._s_ck, self._sk = hkdf_pair(self._s_ck, self._sk)
            self._sn = 0
            self._messages_out += ROTATION // 2
        self._sender = ChaCha20Poly1305(self._sk)
        return self._sender

    def export(self, unsent: bytes) -> PeerState:
        """The state to hand over, with what the socket has not taken. These frames must not be used after it."""
        crypto = CryptoState(self._rn, self._sn, self._rk, self._sk, self._r_ck, self._s_ck)
        return PeerState(crypto, bytes(self._buffer[self._position :]), unsent, self.traffic)

    def sleep(self) -> None:
        """Drop the cipher objects, 2.3 kB each; they are made again when they are needed."""
        self._compact()
        self._receiver = self._sender = None
