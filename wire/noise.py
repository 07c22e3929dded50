"""BOLT 8's handshake, Noise_XK, as two state machines without I/O, clock or chance.

The node's own secret lives in hsmd, so the one product that needs it is left to the caller: each side hands out a point
(`receive_act_two`, `receive_act_one`) and takes the shared secret with the next step. The ephemeral secret comes in by
the door and must be fresh for each handshake (B8-48).
"""

import functools
from collections.abc import Callable, Mapping
from enum import Enum, auto
from hashlib import sha256
from types import MappingProxyType
from typing import ClassVar, Concatenate, ParamSpec, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from wire.crypto_state import CryptoState, hkdf_pair
from wire.secp256k1 import Point, ecdh, public_key

ACT_ONE_SIZE = 50
ACT_TWO_SIZE = 50
ACT_THREE_SIZE = 66

_VERSION = b"\0"
_PROTOCOL_DIGEST = sha256(b"Noise_XK_secp256k1_ChaChaPoly_SHA256").digest()
_PROLOGUE_DIGEST = sha256(_PROTOCOL_DIGEST + b"lightning").digest()
_NONCES = (bytes(12), bytes(4) + (1).to_bytes(8, "little"))


class HandshakeError(Exception):
    """The other side's act is wrong; the connection ends without another byte (B8-45..47)."""


class Step(Enum):
    """Where a handshake stands. FAILED is final, and so is DONE."""

    __hash__ = object.__hash__  # Enum's is Python code, and dictionaries ask for it

    READY = auto()
    GOT_ACT_ONE = auto()
    WAITING_FOR_ACT_TWO = auto()
    GOT_ACT_TWO = auto()
    WAITING_FOR_ACT_THREE = auto()
    DONE = auto()
    FAILED = auto()


Steps = Mapping[tuple[Step, str], Step]


class _Handshake:
    """What both sides share: the digest `h`, the chaining key `ck` and the intermediate key."""

    next_step: ClassVar[Steps]

    def __init__(self, responder_id: bytes, ephemeral: bytes) -> None:
        self.step = Step.READY
        self._ephemeral = ephemeral
        self._ck = _PROTOCOL_DIGEST
        self._h = _PROLOGUE_DIGEST
        self._temp_k = b""
        self._mix_hash(responder_id)

    def _mix_hash(self, data: bytes) -> None:
        self._h = sha256(self._h + data).digest()

    def _mix_key(self, shared: bytes) -> None:
        self._ck, self._temp_k = hkdf_pair(self._ck, shared)

    def _encrypt_and_mix(self, plaintext: bytes, nonce: int = 0) -> bytes:
        ciphertext = ChaCha20Poly1305(self._temp_k).encrypt(_NONCES[nonce], plaintext, self._h)
        self._mix_hash(ciphertext)
        return ciphertext

    def _decrypt_and_mix(self, ciphertext: bytes, error: str, nonce: int = 0) -> bytes:
        try:
            plaintext = ChaCha20Poly1305(self._temp_k).decrypt(_NONCES[nonce], ciphertext, self._h)
        except InvalidTag:
            raise HandshakeError(error) from None
        self._mix_hash(ciphertext)
        return plaintext


H = TypeVar("H", bound=_Handshake)
P = ParamSpec("P")
R = TypeVar("R")


def _step(method: Callable[Concatenate[H, P], R]) -> Callable[Concatenate[H, P], R]:
    """One step: legal by the table, and the last one if anything goes wrong in it."""
    action = method.__name__

    @functools.wraps(method)
    def step(self: H, /, *args: P.args, **keywords: P.kwargs) -> R:
        following = self.next_step.get((self.step, action))
        if following is None:
            raise RuntimeError(f"{action} in state {self.step.name}")
        self.step = Step.FAILED
        result = method(self, *args, **keywords)
        self.step = following
        return result

    return step


def _check_frame(act: bytes, name: str, size: int) -> None:
    """Length, then version, as the spec orders (B8-44, B8-45)."""
    if len(act) != size:
        raise HandshakeError(f"{name}: {len(act)} bytes instead of {size}")
    if act[:1] != _VERSION:
        raise HandshakeError(f"{name}: bad version {act[0]}")


def _check_key(point: bytes, name: str) -> Point:
    try:
        return Point(point)
    except ValueError:
        raise HandshakeError(f"{name}: bad key") from None


def _product(secret: bytes, point: bytes, name: str) -> bytes:
    """Our ephemeral secret's product with what the other side calls a point: the check that it is one is part of it."""
    try:
        return ecdh(secret, point)
    except ValueError:
        raise HandshakeError(f"{name}: bad key") from None


class Initiator(_Handshake):
    """The side that dialled, and so knows whom. ValueError if `their_id` is no point or `ephemeral` no secret."""

    next_step = MappingProxyType(
        {
            (Step.READY, "act_one"): Step.WAITING_FOR_ACT_TWO,
            (Step.WAITING_FOR_ACT_TWO, "receive_act_two"): Step.GOT_ACT_TWO,
            (Step.GOT_ACT_TWO, "act_three"): Step.DONE,
        }
    )

    def __init__(self, my_id: bytes, their_id: bytes, *, ephemeral: bytes) -> None:
        super().__init__(their_id, ephemeral)
        self._my_id = my_id
        self._ephemeral_key = public_key(ephemeral)
        self._es = ecdh(ephemeral, their_id)

    @_step
    def act_one(self) -> bytes:
        """The first 50 bytes to send."""
        self._mix_hash(self._ephemeral_key)
        self._mix_key(self._es)
        return _VERSION + self._ephemeral_key + self._encrypt_and_mix(b"")

    @_step
    def receive_act_two(self, act: bytes) -> bytes:
        """Check act two; the point whose product with our node's key `act_three` needs. Raises HandshakeError."""
        _check_frame(act, "act two", ACT_TWO_SIZE)
        their_ephemeral = act[1:34]
        self._mix_hash(their_ephemeral)
        self._mix_key(_product(self._ephemeral, their_ephemeral, "act two"))
        self._decrypt_and_mix(act[34:], "act two: bad MAC")
        return their_ephemeral

    @_step
    def act_three(self, shared: bytes) -> tuple[bytes, CryptoState]:
        """The last 66 bytes to send, and the state for the messages that follow (B8-49)."""
        act = _VERSION + self._encrypt_and_mix(self._my_id, nonce=1)
        self._mix_key(shared)
        act += self._encrypt_and_mix(b"")
        sk, rk = hkdf_pair(self._ck, b"")
        return act, CryptoState(rn=0, sn=0, rk=rk, sk=sk, r_ck=self._ck, s_ck=self._ck)


class Responder(_Handshake):
    """The side that was dialled. ValueError if `ephemeral` is no secret."""

    next_step = MappingProxyType(
        {
            (Step.READY, "receive_act_one"): Step.GOT_ACT_ONE,
            (Step.GOT_ACT_ONE, "act_two"): Step.WAITING_FOR_ACT_THREE,
            (Step.WAITING_FOR_ACT_THREE, "receive_act_three"): Step.DONE,
        }
    )

    def __init__(self, my_id: bytes, *, ephemeral: bytes) -> None:
        super().__init__(my_id, ephemeral)
        self._ephemeral_key = public_key(ephemeral)
        self._their_ephemeral = b""
        self._their_point: Point
        self._act_one_mac = b""

    @_step
    def receive_act_one(self, act: bytes) -> bytes:
        """The point whose product with our node's key `act_two` needs. Raises HandshakeError; the MAC waits for it."""
        _check_frame(act, "act one", ACT_ONE_SIZE)
        self._their_ephemeral, self._act_one_mac = act[1:34], act[34:]
        self._their_point = _check_key(self._their_ephemeral, "act one")
        return self._their_ephemeral

    @_step
    def act_two(self, shared: bytes) -> bytes:
        """The 50 bytes to answer. Raises HandshakeError if act one's MAC is wrong."""
        self._mix_hash(self._their_ephemeral)
        self._mix_key(shared)
        self._decrypt_and_mix(self._act_one_mac, "act one: bad MAC")
        self._mix_hash(self._ephemeral_key)
        self._mix_key(ecdh(self._ephemeral, self._their_point))
        return _VERSION + self._ephemeral_key + self._encrypt_and_mix(b"")

    @_step
    def receive_act_three(self, act: bytes) -> tuple[bytes, CryptoState]:
        """Who dialled, and the state for the messages that follow (B8-49). Raises HandshakeError."""
        _check_frame(act, "act three", ACT_THREE_SIZE)
        their_id = self._decrypt_and_mix(act[1:50], "act three: bad MAC of the key", nonce=1)
        self._mix_key(_product(self._ephemeral, their_id, "act three"))
        self._decrypt_and_mix(act[50:], "act three: bad MAC")
        rk, sk = hkdf_pair(self._ck, b"")
        return their_id, CryptoState(rn=0, sn=0, rk=rk, sk=sk, r_ck=self._ck, s_ck=self._ck)
