"""Public keys of several signers, and what a funding output pays to. BIP 327, BIP 341, BOLT 3.

Nothing here has a secret: those who announce a channel have signed together before, and one BIP 340 signature is left.
"""

from collections.abc import Iterable
from hashlib import sha256

from wire.gossip_v2.records import tagged_digest
from wire.secp256k1 import key_agg, tweak_x_only

P2TR, P2WSH = b"\x51\x20", b"\x00\x20"
"""What the script of such an output begins with; 32 bytes follow."""
SCRIPT_SIZE = 34


def key_sort(points: Iterable[bytes]) -> list[bytes]:
    """KeySort of BIP 327: in the order of their bytes."""
    return sorted(points)


def aggregate(*points: bytes) -> bytes | None:
    """KeyAgg(KeySort(points)), the x-only key, 32 bytes; None if one is no point on the curve."""
    return key_agg(key_sort(points))


def lift(x_only: bytes) -> bytes:
    """The point with that x and an even y, 33 bytes."""
    return b"\x02" + x_only


def taproot_script(bitcoin_key_1: bytes, bitcoin_key_2: bytes, merkle_root: bytes | None) -> bytes | None:
    """The P2TR script of both keys, tweaked by a merkle root if there is one; None if one is no point."""
    internal = aggregate(bitcoin_key_1, bitcoin_key_2)
    if internal is None:
        return None
    if merkle_root is None:
        return P2TR + internal
    output = tweak_x_only(internal, tagged_digest("TapTweak", internal + merkle_root))
    return None if output is None else P2TR + output


def multisig_script(bitcoin_key_1: bytes, bitcoin_key_2: bytes) -> bytes:
    """The P2WSH script of the 2-of-2 of both keys. BOLT 3, Funding Transaction Output."""
    first, second = key_sort((bitcoin_key_1, bitcoin_key_2))
    return P2WSH + sha256(b"\x52\x21" + first + b"\x21" + second + b"\x52\xae").digest()
