"""Messages that people sign with a node's key: lnd's scheme, which CLN has taken over.

    zbase32(31 + recovery id, signature)     over SHA256(SHA256("Lightning Signed Message:" + message))

The prefix keeps such a signature from being one of gossip, but for long texts that were made for that: read as
the signed part of an announcement it is the length of its features, 19,561 bytes. Such a text is not signed.
"""

from wire.cursor import WireError
from wire.peer_wire import ChannelAnnouncement, NodeAnnouncement
from wire.secp256k1 import double_sha256, recover

PREFIX = b"Lightning Signed Message:"
LONGEST_MESSAGE = 65_535
ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"
SIGNATURE_SIZE = 65
_FIRST_BYTE = 31


def digest_of(message: bytes) -> bytes:
    """What is signed. Raises ValueError for a text that could be passed off as gossip."""
    text = PREFIX + message
    for kind, signatures in ((NodeAnnouncement, 1), (ChannelAnnouncement, 4)):
        try:
            kind.decode(kind.number.to_bytes(2, "big") + bytes(64 * signatures) + text)
        except WireError:
            continue
        raise ValueError(f"it can be read as a {kind.name()}")
    return double_sha256(text)


def to_zbase(signature: bytes, recovery_id: int) -> str:
    """The signature as people pass it on: 104 letters. `signature`: compact, 64 bytes."""
    bits = int.from_bytes(bytes([_FIRST_BYTE + recovery_id]) + signature, "big")
    return "".join(ALPHABET[bits >> shift & 31] for shift in range(5 * (8 * SIGNATURE_SIZE // 5 - 1), -1, -5))


def from_zbase(zbase: str) -> tuple[bytes, int]:
    """Signature and recovery id. Raises ValueError with CLN's words."""
    if not set(zbase) <= set(ALPHABET):
        raise ValueError("zbase is not valid zbase32")
    bits = 0
    for letter in zbase:
        bits = bits << 5 | ALPHABET.index(letter)
    if 5 * len(zbase) % 8:
        raise ValueError("zbase is not valid zbase32")
    data = bits.to_bytes(5 * len(zbase) // 8, "big")
    if len(data) != SIGNATURE_SIZE:
        raise ValueError(f"zbase is too {'short' if len(data) < SIGNATURE_SIZE else 'long'}")
    if not 0 <= data[0] - _FIRST_BYTE <= 3:
        raise ValueError("cannot parse zbase signature")
    return data[1:], data[0] - _FIRST_BYTE


def signer_of(message: bytes, signature: bytes, recovery_id: int) -> bytes | None:
    """The key that has signed the message, None if no key can have. Raises ValueError for a malformed signature."""
    return recover(double_sha256(PREFIX + message), signature, recovery_id)
